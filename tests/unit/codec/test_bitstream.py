from __future__ import annotations

import base64
import hashlib
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgaplus.codec import bitstream
from sgaplus.codec.bitstream import HEADER, Coder, read, read_chunks, read_header, unrefined
from sgaplus.codec.frozen import Codec, as_tensor
from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.codec.latents import Latents
from sgaplus.data import pictures
from sgaplus.data.sources import Package
from sgaplus.errors import BitstreamError, CodecError
from sgaplus.meter import peak_memory
from tests.unit.making import LATENTS_AT, changed, repaired

REPOSITORY = Path(__file__).parents[3]
MODELS = sorted((REPOSITORY / "workflow" / "models").glob("*.pth"))
SIZE = (150, 100)
"""Width and height of the picture that most tests code."""

FUZZ = settings(max_examples=200, deadline=None, database=None)


@pytest.fixture(scope="module")
def coder(codec) -> Coder:
    return Coder(codec)


@pytest.fixture(scope="module")
def latents(codec, picture) -> Latents:
    return latents_of(codec, picture(*SIZE[::-1]))


@pytest.fixture(scope="module")
def data(coder, latents) -> bytes:
    return coder.encode(latents, *SIZE)


def latents_of(codec: Codec, image: torch.Tensor) -> Latents:
    found = codec.analyse(codec.batch([image]).x)
    return Latents(found.y[0], found.z[0])


def same(one: Latents, other: Latents) -> bool:
    return torch.equal(one.y, other.y) and torch.equal(one.z, other.z)


@pytest.mark.parametrize(
    "size", [(1, 1), (17, 15), (16, 16), (80, 48), (64, 65), (80, 80), (64, 64), (65, 129), (300, 20)]
)
def test_decoding_gives_what_was_encoded(codec, coder, picture, size):
    width, height = size
    latents = latents_of(codec, picture(height, width))
    data = coder.encode(latents, width, height)
    pixels, decoded = coder.decode(data)
    assert pixels.shape == (height, width, 3)
    assert same(decoded, coder.round(latents))
    assert (pixels == coder.reconstruct(coder.round(latents), width, height)).all()
    header = read_header(data)
    assert (header.width, header.height, header.model, header.size) == (width, height, coder.identity, len(data))


def test_what_is_coded_is_what_the_codec_measures(codec, coder, latents):
    """But for latents midway between two integers, which 1e-3 of difference in the means can turn."""
    ours, theirs = coder.round(latents), codec.round(Latents(latents.y[None], latents.z[None]))
    torch.testing.assert_close(ours.z, theirs.z[0])
    assert ((ours.y - theirs.y[0]).abs() < 2e-3).float().mean() > 0.99
    pixels = torch.from_numpy(coder.reconstruct(ours, *SIZE)).permute(2, 0, 1) / 255
    x_hat = codec.synthesise(ours.y[None]).clamp(0, 1)[0, :, : SIZE[1], : SIZE[0]]
    torch.testing.assert_close(pixels, x_hat, atol=0.5 / 255 + 1e-5, rtol=0)


def test_strips_change_no_pixel(coder, latents, monkeypatch):
    whole = coder.reconstruct(coder.round(latents), *SIZE)
    monkeypatch.setattr(bitstream, "STRIP_BYTES", 1)
    assert (coder.reconstruct(coder.round(latents), *SIZE) == whole).all()


def test_precision_and_layout_of_the_encoder_do_not_matter(coder, latents):
    """A refinement in bfloat16 is coded in float32 like any other."""
    low = Latents(latents.y.bfloat16(), latents.z.bfloat16())
    data = coder.encode(low, *SIZE)
    wide = Latents(low.y.double().requires_grad_(), low.z.double())
    assert coder.encode(wide, *SIZE) == data
    turned = [v.float().permute(1, 2, 0).contiguous().permute(2, 0, 1) for v in (low.y, low.z)]
    assert coder.encode(Latents(*turned), *SIZE) == data
    assert same(coder.decode_latents(data), coder.round(low))


VERSION_1 = (
    "U0dBKwFAHgAAABQAAAAN6fzh1h9ib3gAAAB7+HBeJptJIQgAAAACAC3+aYsAAGgAAAD//yPIqwAAABHbaUn//xH+//8hNQAA/v///zEj8P8fNOFBrsD+"
    "////IQAANP7///8x85xREQk9AyH///Hh////MQAA/v//MVPj66lOETcFDCEbAOP//zEY/v///xETurEAAFX/IQQATg=="
)
"""An image of 30x20 pixels, coded by :func:`counted_model` in version 1: 4x4 latents instead of 2x2."""


def counted(shape: torch.Size, steps: int) -> torch.Tensor:
    """Multiples of 1/steps, of either sign, that depend on the shape alone."""
    return ((37 * torch.arange(shape.numel()) + 11) % 101 - 50).reshape(shape) / steps


def counted_model() -> Hyperprior:
    """A model of 2 and 3 channels that was never trained, the same everywhere."""
    state = {name: counted(weight.shape, 256) for name, weight in Hyperprior(2, 3).state_dict().items()}
    state |= {name: torch.ones_like(weight) for name, weight in state.items() if name.endswith("beta")}
    quantiles = torch.tensor([-4.0, 0.25, 4.0]).expand(2, 1, 3)
    return Hyperprior.of(state | {"entropy_bottleneck.quantiles": quantiles})


def test_a_bitstream_of_version_1_decodes_to_the_same_bits_as_ever():
    coder = Coder(Codec(counted_model()))
    data = base64.b64decode(VERSION_1)
    assert read_header(data).version == 1
    pixels, decoded = coder.decode(data)
    latents = Latents(counted(torch.Size((3, 4, 4)), 16), counted(torch.Size((2, 1, 1)), 16))
    assert same(decoded, coder.round(latents))
    assert hashlib.sha256(pixels.tobytes()).hexdigest().startswith("df6d977151aa47602946519ce9c4253b")


EXTRA = {"icc": bytes(500), "exif": bytes(range(200))}


@pytest.fixture(scope="module")
def with_chunks(coder, latents) -> bytes:
    return coder.encode(latents, *SIZE, EXTRA)


def test_chunks_change_no_pixel_and_their_absence_costs_nothing(coder, data, with_chunks):
    assert read_chunks(with_chunks) == EXTRA
    assert read_chunks(data) == read_chunks(base64.b64decode(VERSION_1)) == {}
    assert (coder.decode(with_chunks)[0] == coder.decode(data)[0]).all()
    assert with_chunks.endswith(data[HEADER.size :])
    assert data[5] == 0


@pytest.mark.parametrize("at", [5, 35, 36, 40, 48])
def test_damaged_chunks_are_a_clear_error(coder, with_chunks, at, tmp_path):
    path = tmp_path / "bad.sga"
    path.write_bytes(repaired(changed(with_chunks, at, bytes([with_chunks[at] ^ 0x41]))))
    refuse(coder, path, "damaged")


@pytest.mark.parametrize("length", range(HEADER.size, HEADER.size + 210, 15))
def test_a_file_that_ends_within_its_chunks_is_refused(coder, with_chunks, length):
    with pytest.raises(BitstreamError, match="truncated"):
        coder.decode(with_chunks[:length])
    with pytest.raises(BitstreamError, match="damaged"):
        coder.decode(repaired(with_chunks[:length]))
    with pytest.raises(BitstreamError, match="bad: damaged"):
        read_chunks(repaired(with_chunks[:length]), "bad")


def test_a_bitstream_has_no_more_latents_than_the_image(codec, coder, picture):
    """An image of 80x80 pixels has 5x5 latents, where version 1 had 8x8."""
    latents = latents_of(codec, picture(80, 80))
    data = coder.encode(latents, 80, 80)
    assert read_header(data).version == 2
    assert coder.decode_latents(data).y.shape == (12, 5, 5)
    former = repaired(changed(data, 4, b"\1\x40"))
    with pytest.raises(BitstreamError, match=r"damaged|not what was encoded"):
        coder.decode(former)


DECODE = """
import sys, hashlib, torch
from sgaplus.codec.bitstream import Coder, read
from sgaplus.codec.frozen import Codec
torch.set_num_threads(int(sys.argv[3]))
pixels, latents = Coder(Codec.load(sys.argv[1])).decode(read(sys.argv[2]))
print(hashlib.sha256(pixels.tobytes() + latents.y.numpy().tobytes() + latents.z.numpy().tobytes()).hexdigest())
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_a_fresh_process_decodes_the_same_with_any_number_of_threads(tmp_path, threads):
    codec = Codec.load(MODELS[3])
    coder = Coder(codec)
    image = as_tensor(pictures.read(photograph("chelsea")))[:, :200, :190]
    latents = latents_of(codec, image)
    (tmp_path / "chelsea.sga").write_bytes(coder.encode(latents, 190, 200))
    expected = coder.round(latents)
    pixels = coder.reconstruct(expected, 190, 200)
    found = subprocess.run(
        [sys.executable, "-c", DECODE, str(MODELS[3]), str(tmp_path / "chelsea.sga"), str(threads)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    everything = pixels.tobytes() + expected.y.numpy().tobytes() + expected.z.numpy().tobytes()
    assert found.stdout.strip() == hashlib.sha256(everything).hexdigest()


def photograph(name: str) -> Path:
    (path,) = Package("skimage.data", (f"{name}.png",)).files()
    return path


@pytest.mark.parametrize("model", [MODELS[0], MODELS[3], MODELS[-1]], ids=lambda path: path.stem)
def test_photographs_take_the_bytes_that_were_estimated(model):
    codec = Codec.load(model)
    coder = Coder(codec)
    for name in ("astronaut", "chelsea", "coffee"):
        image = as_tensor(pictures.read(photograph(name)))
        batch = codec.batch([image])
        latents = codec.analyse(batch.x)
        data = coder.encode(Latents(latents.y[0], latents.z[0]), image.shape[2], image.shape[1])
        estimate = codec.measure(batch, latents).bpp.item() * image.shape[1] * image.shape[2] / 8
        assert abs(len(data) - estimate) < 0.02 * estimate + 64


def test_a_model_is_told_by_its_weights_not_by_their_storage(codec, trained, coder):
    state = {name: value.half().float() for name, value in trained.state_dict().items()}
    rounded = Hyperprior.of(state)
    assert rounded.identity != codec.model.identity == coder.identity
    assert Hyperprior.of(dict(reversed(state.items()))).identity == rounded.identity
    state["g_a.0.bias"] += 1  # an encoder's own affair
    assert Hyperprior.of(state).identity == rounded.identity
    state["h_s.0.bias"][0] += 1e-3
    assert Hyperprior.of(state).identity != rounded.identity


def test_a_coder_wants_the_model_as_it_was_loaded(codec):
    import copy

    other = copy.deepcopy(codec.model).bfloat16()
    with pytest.raises(CodecError, match="float32"):
        Coder(Codec(other))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e8])
def test_latents_that_cannot_be_coded_are_an_error(coder, latents, value):
    for name in ("y", "z"):
        bad = Latents(latents.y.clone(), latents.z.clone())
        getattr(bad, name)[0, 0, 0] = value
        with pytest.raises(BitstreamError, match=r"can't be coded"):
            coder.encode(bad, *SIZE)


def test_latents_of_another_size_are_an_error(coder, latents):
    with pytest.raises(BitstreamError, match=r"none of an image of 64x80 pixels: \(\(12, 5, 4\), \(8, 2, 1\)\)"):
        coder.encode(latents, 64, 80)


BROKEN = {
    "nothing": (lambda d: b"", "no bitstream of sgaplus"),
    "another format": (lambda d: b"\x89PNG" + d[4:], "no bitstream of sgaplus"),
    "half a header": (lambda d: d[:20], "truncated after 20 bytes"),
    "truncated": (lambda d: d[:-1], r"truncated after \d+ of \d+ bytes"),
    "header alone": (lambda d: d[: HEADER.size], "truncated after 34 of"),
    "longer": (lambda d: d + b"\0", "more than its"),
    "bit flipped": (lambda d: changed(d, 60, bytes([d[60] ^ 1])), "checksum is wrong"),
    "header flipped": (lambda d: changed(d, 7, bytes([d[7] ^ 1])), "checksum is wrong"),
    "newer": (lambda d: repaired(changed(d, 4, b"\3")), "format version 3, and this sgaplus reads up to 2. Update"),
    "unknown flag": (lambda d: repaired(changed(d, 5, b"\x80")), "damaged"),
    "older than any": (lambda d: repaired(changed(d, 4, b"\0")), "damaged"),
    "no pixels": (lambda d: repaired(changed(d, 6, bytes(8))), "claims 0x0 pixels"),
    "absurd size": (lambda d: repaired(changed(d, 6, b"\xff" * 8)), "claims 4294967295x4294967295 pixels"),
    "large size": (lambda d: repaired(changed(d, 6, struct.pack("<II", 20000, 20000))), "none of 20000x20000 pixels"),
    "another model": (lambda d: repaired(changed(d, 14, b"another!")), f"made with model {b'another!'.hex()}"),
    "long block": (lambda d: repaired(changed(d, 34, b"\xff" * 4)), "longer than the file"),
    "odd block": (lambda d: repaired(d + b"\3\0\0\0abc"), "blocks are none of 150x100 pixels"),
    "no blocks": (lambda d: repaired(d[: HEADER.size]), "0 blocks are none"),
    "other symbols": (lambda d: repaired(changed(d, 38, bytes([d[38] ^ 255]))), "damaged|not what was encoded"),
    "other latents": (lambda d: repaired(changed(d, LATENTS_AT, b"four")), "not what was encoded"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_every_kind_of_bad_bitstream_is_a_clear_error(coder, data, kind, tmp_path):
    change, message = BROKEN[kind]
    path = tmp_path / "bad.sga"
    path.write_bytes(change(data))
    used = peak_memory(lambda: refuse(coder, path, message), torch.device("cpu"))
    assert used < 64e6


def refuse(coder: Coder, path: Path, message: str) -> None:
    with pytest.raises(BitstreamError, match=message) as caught:
        coder.decode(read(path), path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_bitstream_is_an_error(tmp_path):
    with pytest.raises(BitstreamError, match=r"none.sga: no such file"):
        read(tmp_path / "none.sga")


def test_a_decoder_that_computes_otherwise_says_so(codec, coder, data, monkeypatch):
    """A mean off by the last bit, or another Gaussian: no black blocks."""
    exact = coder.hyper_synthesis

    def off_by_a_bit(z):
        indexes, means = exact(z)
        means[3, 1, 2] += 2**-14
        return indexes, means

    def other_gaussian(z):
        indexes, means = exact(z)
        indexes[0, 0, 0] += 9
        return indexes, means

    for other in (off_by_a_bit, other_gaussian):
        monkeypatch.setattr(coder, "hyper_synthesis", other)
        with pytest.raises(BitstreamError, match=r"not what was encoded, although the file is whole"):
            coder.decode(data)


@FUZZ
@given(content=st.binary(max_size=300), magic=st.booleans())
def test_random_bytes_are_refused(coder, content, magic):
    with pytest.raises(BitstreamError):
        coder.decode(b"SGA+\2" * magic + content)


@FUZZ
@given(choices=st.data())
def test_a_changed_bitstream_is_refused_even_with_the_right_checksum(coder, data, with_chunks, choices):
    """Never a crash, and never another image; 1 change in 2^32 would pass."""
    content = bytearray(choices.draw(st.sampled_from([data, with_chunks])))
    for _ in range(choices.draw(st.integers(1, 4))):
        at = choices.draw(st.integers(0, len(content) - 1))
        cut = choices.draw(st.sampled_from([0, 1, 1, 1, 4, 40]))
        content[at : at + cut] = choices.draw(st.binary(max_size=max(cut, 4)))
    content = bytes(content)
    if choices.draw(st.booleans()) and len(content) > HEADER.size:
        content = repaired(content)
    try:
        pixels, _ = coder.decode(content)
    except BitstreamError:
        return
    assert (pixels == coder.decode(data)[0]).all() or crop_of(pixels, coder.decode(data)[0])


def crop_of(pixels, whole) -> bool:
    """Whether the pictures agree where both are: the size within its padding is the header's alone to say."""
    height, width = (min(sides) for sides in zip(pixels.shape[:2], whole.shape[:2], strict=True))
    return bool((pixels[:height, :width] == whole[:height, :width]).all())


def test_the_documented_format_is_the_code_s():
    text = (REPOSITORY / "docs" / "bitstream.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\S+) \|", text, re.M)
    assert [int(offset) for offset, _, _ in rows] == [sum(int(r[1]) for r in rows[:i]) for i in range(len(rows))]
    assert sum(int(size) for _, size, _ in rows) == HEADER.size
    kinds = {"4s": "bytes", "B": "u8", "I": "u32", "8s": "bytes"}
    assert [kind for _, _, kind in rows] == [kinds[code] for code in re.findall(r"\d*[a-zA-Z]", HEADER.format)]


def test_the_base_model_shows_what_its_bitstream_decodes_to(codec, photograph):
    picture = photograph(96, 80).pixels
    height, width = picture.shape[:2]
    latents = codec.analyse(codec.batch([as_tensor(picture)]).x)
    coder = Coder(codec)
    decoded, _ = coder.decode(coder.encode(Latents(latents.y[0], latents.z[0]), width, height))
    shown = unrefined(codec, picture)
    assert shown.shape == picture.shape
    assert np.array_equal(shown, decoded)
