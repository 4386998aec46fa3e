"""Files from the wild: whatever is in them, they are read or refused in a sentence of ours.

Each test takes files of its kind, and those that once ended in something else, and changes them at random for some
seconds. The seed is the day's. SGAPLUS_FUZZ_SEED sets another, SGAPLUS_FUZZ_SECONDS the time.
"""

from __future__ import annotations

import copy
import io
import os
import random
import signal
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from compressai.models import MeanScaleHyperprior
from PIL import Image
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from sgaplus.codec import bitstream
from sgaplus.codec.bitstream import Coder
from sgaplus.codec.hyperprior import load_state
from sgaplus.codec.latents import Latents
from sgaplus.config import on_disk, user_files
from sgaplus.config.references import validated
from sgaplus.config.run_files import RunFiles
from sgaplus.data import formats, manifest, pictures
from sgaplus.data.archives import Limits, reading, unpack
from sgaplus.data.datasets import sources
from sgaplus.data.shards import images_of
from sgaplus.errors import SgaplusError
from tests.unit.making import chain, gnu_sparse, link, make_tar, make_zip, pax_sparse, pixels, png, raw_png, repaired

from .config.configurations import CONFIG, SMALL

SEED = os.environ.get("SGAPLUS_FUZZ_SEED", date.today().isoformat())
SECONDS = float(os.environ.get("SGAPLUS_FUZZ_SECONDS", "3"))
LONGEST = 20
"""Seconds after which a single file counts as one that hangs."""

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1)


class TooSlow(BaseException):
    """Not an Exception, which readers turn into errors of their files."""


@contextmanager
def watched() -> Iterator[None]:
    """Stop what takes too long."""

    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def survives(read: Callable[[], object], what: str) -> None:
    """A file is read, or refused in one line."""
    message = ""
    try:
        with watched():
            read()
    except SgaplusError as error:
        message = str(error)
    except BaseException as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    assert "\n" not in message, what
    assert len(message) < 2000, what


def fuzz(
    corpus: dict[str, bytes],
    read: Callable[[bytes], object],
    mend: Callable[[bytes, random.Random], bytes] | None = None,
) -> None:
    """All of a corpus, then changes of it, of which half are mended, for some seconds."""
    for name, content in corpus.items():
        survives(lambda content=content: read(content), name)
    names, end, number = sorted(corpus), time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        dice = random.Random(f"{SEED}/{number}")
        name = dice.choice(names)
        content = mutated(corpus[name], corpus[dice.choice(names)], dice)
        if mend and dice.random() < 0.5:
            content = mend(content, dice)
        survives(lambda content=content: read(content), f"{name}, change {number} of seed {SEED}")
        number += 1


def mutated(content: bytes, other: bytes, dice: random.Random) -> bytes:
    """Content with some of its bytes changed, left out, doubled, or replaced by those of another file."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        at, length = dice.randrange(len(data) + 1), dice.choice((1, 2, 4, 8, 64))
        match dice.randrange(7):
            case 0:
                data[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                number = dice.choice(NUMBERS) & (256 ** min(length, 4) - 1)
                data[at : at + min(length, 4)] = number.to_bytes(min(length, 4), dice.choice(("big", "little")))
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data[at:at] = dice.randbytes(length)
            case 5:
                data[at : at + length] = other[at : at + length]
            case 6:
                del data[at + dice.randrange(len(data) + 1) :]
    return bytes(data)


# Pictures


def picture(format: str, mode: str = "RGB", **options: object) -> bytes:
    content = io.BytesIO()
    image = Image.fromarray(pixels(17, 24)).convert(mode)
    if options.pop("turned", False):
        exif = Image.Exif()
        exif[0x0112] = 6
        options["exif"] = exif
    image.save(content, format, **options)
    return content.getvalue()


def deep(colour: int, channels: int, transparent: tuple[int, ...] = ()) -> bytes:
    samples = np.random.default_rng(0).integers(0, 65536, (9, 11, channels))
    return raw_png(samples, colour, transparent=transparent)


def words_for_numbers(tiff: bytes) -> bytes:
    """Its StripOffsets are text."""
    return tiff.replace(struct.pack("<HH", 273, 4), struct.pack("<HH", 273, 2))


def large(width: int, height: int) -> bytes:
    """A PNG that says it is so large."""
    start = png()
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return start[:12] + header + struct.pack(">I", zlib.crc32(header)) + start[33:]


def pictures_from_the_wild() -> dict[str, bytes]:
    frames = {"save_all": True, "append_images": [Image.fromarray(pixels(17, 24, seed=1))]}
    found = {f"{mode} PNG": picture("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")}
    found |= {
        f"{mode} TIFF": picture("TIFF", mode) for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "F", "I", "I;16")
    }
    found |= {
        f"{name} TIFF": picture("TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")
    }
    found |= {f"{mode} JPEG": picture("JPEG", mode) for mode in ("L", "RGB", "CMYK")}
    found |= {f"{form} moving": picture(form, **frames) for form in ("GIF", "WEBP", "PNG", "AVIF")}
    found |= {f"{form} turned": picture(form, turned=True) for form in ("JPEG", "WEBP", "PNG", "TIFF", "AVIF")}
    found |= {form: picture(form) for form in ("BMP", "PPM", "GIF", "WEBP", "AVIF", "MPO")}
    found |= {"progressive": picture("JPEG", progressive=True), "lossless": picture("WEBP", "RGBA", lossless=True)}
    found |= {f"16 bits, {colour}": deep(colour, channels) for colour, channels in ((0, 1), (2, 3), (4, 2), (6, 4))}
    return found | {
        "16 bits with a key": deep(2, 3, transparent=(1, 2, 3)),
        "tbwn0g16": deep(0, 1, transparent=(1024,)),
        "text PPM": b"P3\n2 1\n255\n1 2 3 4 5 6\n",
        "deep PPM": b"P6\n1 1\n65535\n123456",
        "WebP with half a directory": picture("WEBP", exif=b"Exif\0\0II*\0"),
        "TIFF with words for numbers": words_for_numbers(picture("TIFF")),
        "xcsn0g01": png()[:-13] + b"x" + png()[-12:],
        "400 megapixels": large(20_000, 20_000),
        "beyond": large(2**31 - 1, 2**31 - 1),
        **{
            f"{form} called a picture": picture(form)
            for form in ("DDS", "EPS", "ICNS", "TGA", "PCX", "SGI", "JPEG2000")
        },
        "BLP": b"BLP1" + bytes(200),
    }


def mended_png(content: bytes, dice: random.Random) -> bytes:
    """A PNG whose chunks have the right checksums; others as they are."""
    if not content.startswith(b"\x89PNG"):
        return content
    data, at = bytearray(content), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        struct.pack_into(">I", data, at + 8 + length, zlib.crc32(data[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(data)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of tags that it passes over
def test_pictures(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1_000_000)  # large ones take seconds
    fuzz(pictures_from_the_wild(), lambda content: pictures.decode(content, "wild.png"), mended_png)


# Archives


def archives_from_the_wild(folder: Path) -> dict[str, bytes]:
    files = {"a.png": png(), "b/c.png": png(seed=1), "readme.txt": b"words"}
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    made = {f"zip {kind}": make_zip(folder / f"{kind}.zip", files, kind) for kind in kinds}
    made |= {
        "tar": make_tar(folder / "plain.tar", files),
        "tar with a link": make_tar(folder / "link.tar", files, link(tarfile.SYMTYPE)),
        "tar with a long name": make_tar(folder / "long.tar", {f"{'d' * 90}/{'e' * 90}.png": png()}),
        "name of 300 in a tar": make_tar(folder / "longer.tar", {f"{'n' * 300}.png": png()}),
        "name of 300 in a zip": make_zip(folder / "longer.zip", {f"{'n' * 300}.png": png()}),
        "sparse": gnu_sparse(folder / "gnu.tar"),
        "sparse as in POSIX": pax_sparse(folder / "pax.tar"),
        "malformed": pax_sparse(folder / "malformed.tar", "three"),
        "tar in a tar": make_tar(folder / "outer.tar", {"inner.tar": (folder / "plain.tar").read_bytes()}),
        "chain": chain(folder / "chain.tar"),
        "bomb": make_zip(folder / "bomb.zip", {"a.png": bytes(3_000_000)}, zipfile.ZIP_DEFLATED),
        "way out": make_tar(folder / "out.tar", {"../../a.png": b""}),
    }
    return {name: path.read_bytes() for name, path in made.items()}


def mended_tar(content: bytes, dice: random.Random) -> bytes:
    """A tar with the right checksum in a block that may be a header; zip files as they are."""
    data = bytearray(content)
    if len(data) >= 512 and not content.startswith(b"PK"):
        at = dice.choice((0, 0, 512 * dice.randrange(len(data) // 512)))
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


def test_archives(tmp_path):
    corpus = archives_from_the_wild(tmp_path)
    (tmp_path / "inside" / "folder").mkdir(parents=True)
    archive, folder = tmp_path / "inside" / "wild", tmp_path / "inside" / "folder" / "images"
    limits = Limits(members=100, member_bytes=1_000_000, total_bytes=4_000_000)

    def read(content: bytes) -> None:
        archive.write_bytes(content)
        try:
            unpack(archive, folder, formats.SUFFIXES, limits=limits)
        finally:
            assert sorted(path.name for path in archive.parent.iterdir()) == ["folder", "wild"]
            for path in folder.glob("*"):
                assert path.is_file()
                assert not path.is_symlink()
                path.unlink()
            if folder.is_dir():
                folder.rmdir()

    def read_nested(content: bytes) -> None:
        archive.write_bytes(content)
        with open(archive, "rb") as file, reading(archive):
            for _ in images_of(file, archive):
                pass

    fuzz(corpus, read, mended_tar)
    fuzz({name: content for name, content in corpus.items() if content[:2] != b"PK"}, read_nested, mended_tar)


# Checkpoints


def checkpoints_from_the_wild() -> dict[str, bytes]:
    state = MeanScaleHyperprior(2, 3).state_dict()

    def saved(content: object, **options: object) -> bytes:
        file = io.BytesIO()
        torch.save(content, file, **options)
        return file.getvalue()

    def with_weight(change: Callable[[torch.Tensor], torch.Tensor], name: str = "g_a.0.weight") -> bytes:
        return saved(state | {name: change(state[name])})

    return {
        "weights": saved(state),
        "halves": saved({name: value.half() if value.is_floating_point() else value for name, value in state.items()}),
        "old format": saved(state, _use_new_zipfile_serialization=False),
        "meta": with_weight(lambda x: x.to("meta")),
        "sparse": with_weight(lambda x: x.to_sparse()),
        "quantised": with_weight(lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)),
        "repeated": with_weight(lambda x: torch.zeros(1).expand(x.shape)),
        "absurd": with_weight(lambda x: torch.empty(10**18, 0, 5, 5)),
        "huge": with_weight(lambda x: torch.zeros(1).expand(10**6, 10**6, 10**6)),
        "complex": with_weight(lambda x: x.to(torch.complex64)),
        "not finite": with_weight(lambda x: x * float("nan")),
        "list": saved([1, 2]),
        "nested": saved({"state_dict": state}),
        "numbers for names": saved({1: torch.zeros(1)}),
        "numbers": saved(dict.fromkeys(state, 1)),
    }


def mended_zip(content: bytes, dice: random.Random) -> bytes:
    """A file of torch, a zip, with changes of what it holds, and the right checksums; others as they are."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:
        return content
    pickled = next((name for name in members if name.endswith("data.pkl")), None)
    if pickled:
        members[pickled] = mutated(members[pickled], members[pickled], dice)
    new = io.BytesIO()
    with zipfile.ZipFile(new, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return new.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")  # some of these kinds are beta or deprecated
def test_checkpoints(tmp_path):
    path = tmp_path / "wild.pth"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        load_state(path)

    corpus = checkpoints_from_the_wild()
    fuzz(corpus, read)
    fuzz(corpus, lambda content: read(mended_zip(content, random.Random(len(content)))))


# Configurations

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 9)
)
CONFIGURATIONS = {
    "small": yaml.safe_dump(SMALL).encode(),
    "demo": (CONFIG / "demo.yaml").read_bytes(),
    "twice": b"run: a\nrun: b\n",
    "Latin-1": "run: caf\xe9\n".encode("latin-1"),
    "UTF-16": "run: a\n".encode("utf-16"),
    "alias of itself": b"datasets: &a\n  x: *a\n",
    "laughs": LAUGHS.encode(),
    "laughs for a name": LAUGHS.encode() + b"run: *a8\n",
    "deep": b"run: " + b"[" * 3000 + b"]" * 3000,
    "long": b"run: " + b"a" * 300,
    "date": b"run: 2024-13-45\n",
    "tag": b"run: !!python/object/apply:os.system [true]\n",
    "nothing": b"",
    "list": b"- a\n",
}
ODD = (
    *(None, True, -1, 0, 0.5, 3, 1e308, 10**30, float("nan"), float("inf"), date(2024, 1, 1), b"bytes"),
    *("", "a", "a\0b", "~", "~nobody_here/x", "../x", "é", "a b", "x" * 300, "\udce9"),
    *([], {}, [[]], [None], [1, 1], {"a": 1}, {1: 2}, {None: None}),
    *("x.py:Y", "a\0.py:B", f"{'x' * 300}.py:Y", "/:Y", ".py:", "photos:Y", "photos/a.png:Y"),
)


def places(node: object, around: tuple = ()) -> Iterator[tuple]:
    """The places of all values in a tree of mappings and lists."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*around, key)
        yield from places(value, (*around, key))


def check(config: dict) -> None:
    """All that is done with a configuration before anything runs."""
    config = validated(config)
    found = sources(config["datasets"], manifest.read())
    on_disk.check(config, found, Path(os.path.expanduser(config["data_folder"])))
    RunFiles(config, found)


def test_configurations(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(png())
    path = tmp_path / "wild.yaml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        user_files.check(path)
        config = copy.deepcopy(SMALL)
        update_config(config, load_configfile(path))
        check(config)

    fuzz(CONFIGURATIONS, read)


def test_odd_values_in_configurations(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(png())
    known, end, number = sorted(places(SMALL), key=str), time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        dice = random.Random(f"{SEED}/{number}")
        config = copy.deepcopy(SMALL)
        for _ in range(dice.choice((1, 1, 2))):
            *around, key = dice.choice(known)
            node: object = config
            for each in around:
                node = node[each] if isinstance(node, dict) and each in node else node  # changed already
            if isinstance(node, list) and key in range(len(node)):
                node[key] = copy.deepcopy(dice.choice(ODD))
            elif isinstance(node, dict):
                node[dice.choice((key, key, key, "new", 1))] = copy.deepcopy(dice.choice(ODD))
        survives(lambda config=config: check(config), f"change {number} of seed {SEED}: {config}")
        number += 1


# Bitstreams


def test_bitstreams(tmp_path, codec, picture):
    coder, path = Coder(codec), tmp_path / "wild.sga"
    found = codec.analyse(codec.batch([picture(70, 90)]).x)
    data = coder.encode(Latents(found.y[0], found.z[0]), 90, 70)
    corpus = {
        "whole": data,
        "header": repaired(data[:34]),
        "100 megapixels": repaired(data[:6] + struct.pack("<II", 10_000, 10_000) + data[14:]),
        "no pixels": repaired(data[:6] + bytes(8) + data[14:]),
    }

    def read(content: bytes) -> None:
        path.write_bytes(content)
        coder.decode(bitstream.read(path), path)

    fuzz(corpus, read, lambda content, dice: repaired(content) if len(content) > 34 else content)
