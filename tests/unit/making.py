"""Manifests, pictures, archives and damaged bitstreams that tests are made of."""

from __future__ import annotations

import csv
import hashlib
import io
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import yaml
from PIL import Image, ImageCms

from sgaplus.data import manifest
from sgaplus.data.sources import make
from sgaplus.errors import ImageError

CONFIG = yaml.safe_load((manifest.MANIFEST.parent / "config.yaml").read_text())
HEADER = 34
"""Bytes of a bitstream's header, as in docs/bitstream.md; importing the codec's own constant would import torch."""

PAYLOAD_AT, LATENTS_AT, CHECKSUM_AT = HEADER - 12, HEADER - 8, HEADER - 4
"""Offsets in a bitstream of its payload's length, and of the checksums of its latents and of the file."""


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="t" tiff:Orientation="6"></x:xmpmeta>'
XMP_UPRIGHT = XMP.replace(b' tiff:Orientation="6"', b" ")

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = SRGB.replace(b"rXYZ", b"----", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"----", b"gXYZ", 1)
"""A profile whose red is the green of sRGB and whose green is its red."""


def write(path, *rows, columns=manifest.COLUMNS):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([row[column] for column in columns] for row in rows)
    return path


def row_of(content: bytes | None, name: str = "a.zip") -> manifest.Row:
    """A row of a file with this content; without a hash and a length for None."""
    known = content is not None
    return manifest.Row(
        **{"dataset": "set", "split": "all", "file": name, "url": "", "mirrors": (), "members": ""},
        bytes=len(content) if known else None,
        hash_kind="sha256" if known else "",
        hash=hashlib.sha256(content).hexdigest() if known else "",
        **{"images": None, "size": None, "page": "https://a.org", "licence": "free", "use": "test"},
    )


def cells(row: manifest.Row) -> dict[str, object]:
    size = f"{row.size[0]}x{row.size[1]}" if row.size else ""
    return {column: getattr(row, column) for column in manifest.COLUMNS} | {
        "mirrors": " ".join(row.mirrors),
        "size": size,
        **{column: getattr(row, column) or "" for column in ("bytes", "images")},
    }


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, array: np.ndarray | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(4, 6) if array is None else array).save(path, **options)
    return path


def encoded(form: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), seed: int = 0) -> bytes:
    channels = {"RGB": 3, "L": 1, "CMYK": 4}[mode]
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], channels), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise.squeeze(), mode).save(content, form)
    return content.getvalue()


def png(side: int = 8, seed: int = 0) -> bytes:
    return encoded("PNG", size=(side, side), seed=seed)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc32(kind + content))


def raw_png(samples: np.ndarray, colour: int, depth: int = 16, transparent: tuple[int, ...] = ()) -> bytes:
    """A PNG of kinds that Pillow does not write: samples (H, W, channels), of 16 bits or packed into bytes.

    ``colour`` is 0 for grayscale, 2 for RGB, 4 for grayscale with alpha, 6 for RGB with alpha.
    """
    height, width = samples.shape[0], samples.shape[1] * (1 if depth == 16 else 8 // depth)
    rows = b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in samples)
    chunks = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
        *([chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))] if transparent else []),
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def link(kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo("a.png")
    info.type, info.linkname = kind, target
    return info


def make_tar(path: Path, files: dict[str, bytes], *special: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in special:
            archive.addfile(info)
    return path


def make_zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def gnu_sparse(archive: Path) -> Path:
    """One member of 10 kB that unpacks to 3 GB, in the old format of GNU tar."""
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("a.png")
        info.type = tarfile.GNUTYPE_SPARSE
        tar.addfile(info)
    header = bytearray(archive.read_bytes())
    header[386:410] = b"%011o\0%011o\0" % (3_000_000_000 - 1, 1)  # where it has its only byte
    header[483:495] = b"%011o\0" % 3_000_000_000
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    archive.write_bytes(header)
    return archive


def pax_sparse(archive: Path, size: str = "3000000000") -> Path:
    """The same in the format of POSIX, or malformed."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.png")
        info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": size, "GNU.sparse.numblocks": "1"}
        tar.addfile(info)
    return archive


def chain(archive: Path) -> Path:
    """Five thousand headers, each of which says what the next one is called."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2
    archive.write_bytes((info.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")) * 5000)
    return archive


def index(entry, folder=Path(), indexes=None, progress=iter):
    return make(entry, manifest.read()).index(folder, indexes, progress)


def refusal(action, *arguments, error=ImageError) -> str:
    """The message of the error that a call ends in."""
    with pytest.raises(error) as caught:
        action(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def repaired(data: bytes) -> bytes:
    """A bitstream with the right length of its payload and the right checksum in its header."""
    payload = data[HEADER:]
    head = data[:PAYLOAD_AT] + struct.pack("<I", len(payload)) + data[LATENTS_AT:CHECKSUM_AT]
    return head + struct.pack("<I", crc32(head + payload)) + payload


def changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def exif(**more: int) -> bytes:
    """EXIF with a maker and a date, and with tags like ``x0112=6``."""
    made = Image.Exif()
    made[0x010F], made[0x8769] = "Maker", {0x9003: "2020:01:01 00:00:00"}
    for tag, value in more.items():
        made[int(tag[1:], 16)] = value
    return made.tobytes()
