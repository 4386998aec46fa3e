from __future__ import annotations

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sgaplus.data import photographs
from sgaplus.data.photographs import Photograph, profile_name, read, to_srgb
from sgaplus.errors import ImageError
from tests.unit.making import SRGB, SWAPPED, XMP, XMP_UPRIGHT, exif, pixels


def profile(kind: bytes, space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2."""
    white = struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    tags = {b"wtpt": b"XYZ \0\0\0\0" + white, **tags}
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", offset + len(body), b"test", 0x02400000, kind, space, pcs)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white + bytes(48)
    return head + table + body


LINEAR_GRAY = profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": b"curv" + bytes(8)})


def ink() -> bytes:
    """A CMYK profile in which every ink is as dark as black."""
    ramp = bytes(range(256))
    grid = b"".join(bytes([0 if any(inks) else 255, 128, 128]) for inks in itertools.product((0, 1), repeat=4))
    matrix = struct.pack(">9i", *(0x10000 * (i % 4 == 0) for i in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + 4 * ramp + grid + 3 * ramp
    return profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def saved(tmp_path, picture: Image.Image, name: str, **options: object) -> Photograph:
    picture.save(tmp_path / name, **options)
    return read(tmp_path / name)


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(pixels(40, 60))


def xmp_as(name: str, xmp: bytes) -> dict[str, object]:
    if name.endswith("png"):
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        return {"pnginfo": info}
    return {"xmp": xmp}


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_profile_and_metadata_come_with_the_picture_and_their_orientation_is_applied(picture, tmp_path, name):
    options = {"icc_profile": SWAPPED, "exif": exif(x0112=6), **xmp_as(name, XMP)}
    found = saved(tmp_path, picture, name, **options)
    assert found.pixels.shape == (60, 40, 3)
    assert found.metadata["icc"] == SWAPPED
    assert found.metadata["xmp"] == XMP_UPRIGHT
    kept = Image.Exif()
    kept.load(found.metadata["exif"])
    assert kept.get_ifd(0x8769) == {0x9003: "2020:01:01 00:00:00"}
    assert (kept[0x010F], 0x0112 in kept) == ("Maker", False)
    assert found.changes == ()


def test_upright_metadata_stays_as_it_is_byte_by_byte(picture, tmp_path):
    found = saved(tmp_path, picture, "a.jpg", exif=exif(), xmp=XMP_UPRIGHT)
    assert found.metadata == {"exif": exif()[6:], "xmp": XMP_UPRIGHT}


def test_of_a_tiff_file_the_words_are_kept_and_its_layout_is_not(picture, tmp_path):
    made = Image.Exif()
    made.load(exif())
    picture.save(tmp_path / "a.tif", exif=made, icc_profile=SWAPPED)
    found = read(tmp_path / "a.tif")
    kept = Image.Exif()
    kept.load(found.metadata["exif"])
    assert set(kept) == {0x010F, 0x8769}
    assert kept.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
    assert saved(tmp_path, picture, "b.tif").metadata == {}


def test_a_kept_profile_leaves_the_pixels_and_strip_turns_them_to_srgb(picture, tmp_path):
    found = saved(tmp_path, picture, "a.png", icc_profile=SWAPPED, exif=exif())
    assert (found.pixels == np.asarray(picture)).all()
    stripped = read(tmp_path / "a.png", strip=True)
    assert stripped.metadata == {}
    assert stripped.changes == ("colours turned from sRGB built-in to sRGB",)
    assert abs(stripped.pixels.astype(int) - np.asarray(picture)[..., [1, 0, 2]]).max() <= 2
    assert (stripped.pixels == to_srgb(found.pixels, SWAPPED)).all()
    assert (photographs.decode((tmp_path / "a.png").read_bytes(), "a", strip=True).pixels == stripped.pixels).all()


def test_a_profile_of_srgb_is_no_profile(picture, tmp_path):
    found = saved(tmp_path, picture, "a.png", icc_profile=SRGB)
    assert (found.metadata, found.changes) == ({}, ())


def test_gray_of_another_kind_is_turned_to_that_of_srgb(picture, tmp_path):
    found = saved(tmp_path, picture.convert("L"), "a.png", icc_profile=LINEAR_GRAY)
    gray = np.asarray(picture.convert("L")) / 255
    expected = np.where(gray <= 0.0031308, 12.92 * gray, 1.055 * gray ** (1 / 2.4) - 0.055)
    assert abs(found.pixels / 255 - expected[..., None]).max() < 0.03
    assert (found.metadata, found.changes) == ({}, ("grey turned to that of sRGB",))


def test_cmyk_is_turned_to_rgb_by_its_profile(tmp_path):
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:8, :, 3] = 255
    picture = Image.fromarray(inks, "CMYK")
    found = saved(tmp_path, picture, "a.tif", icc_profile=ink())
    assert found.changes == ("CMYK turned to sRGB",)
    assert found.pixels[:8].max() < 5
    assert found.pixels[8:].min() > 250
    assert saved(tmp_path, picture, "b.tif").changes == ("CMYK without a profile, turned to RGB as it is",)


BROKEN = {"nothing": b"\0", "cut": SWAPPED[:200], "no colours": SWAPPED.replace(b"rTRC", b"xxxx"), "ink": ink()}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_profile_that_tells_no_colours_is_left_out(picture, tmp_path, kind):
    found = saved(tmp_path, picture, "a.png", icc_profile=BROKEN[kind])
    assert (found.pixels == np.asarray(picture)).all()
    assert found.metadata == {}
    assert found.changes == (f"colour profile {'of CMYK' if kind == 'ink' else 'broken'}, left out",)
    with pytest.raises(ImageError, match="colour profile is broken"):
        to_srgb(found.pixels, BROKEN[kind])


def animated() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "PNG", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")])
    return file.getvalue()


def deep(**options: int) -> bytes:
    """A PNG of 16-bit grey."""
    file = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000).save(file, "PNG", **options)
    return file.getvalue()


def alpha(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", (9, 9), (1, 2, 3, value)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        (animated(), ("first of 2 frames",)),
        (deep(), ("16 bits coded in 8",)),
        (deep(transparency=5000), ("16 bits coded in 8", "transparent, laid over white")),
        (deep(transparency=5001), ("16 bits coded in 8",)),
        (alpha(254), ("transparent, laid over white",)),
        (alpha(255), ()),
    ],
    ids=["animation", "16 bits", "16 bits and a clear grey", "16 bits without it", "alpha", "opaque"],
)
def test_what_8_bit_rgb_does_not_hold_is_said(content, changes):
    assert photographs.decode(content, "a").changes == changes


def test_broken_or_endless_metadata_is_left_out(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "LARGEST_METADATA", 20)
    found = saved(tmp_path, picture, "a.jpg", exif=exif(), xmp=b"short")
    assert found.metadata == {"xmp": b"short"}
    assert found.changes == ("exif of more than 20 bytes left out",)

    def fail(self):
        raise ZeroDivisionError

    monkeypatch.setattr(photographs, "_read_words", fail)
    assert read(tmp_path / "a.jpg").changes == ("broken EXIF or XMP, left out",)


def test_a_picture_that_breaks_its_decoder_after_its_pixels_is_refused_by_name(picture, tmp_path, monkeypatch):
    picture.save(tmp_path / "a.png")

    def fail(picture):
        raise EOFError("no more frames")

    monkeypatch.setattr(photographs, "_changes", fail)
    with pytest.raises(ImageError, match=r"a\.png: not a readable image \(EOFError: no more frames\)"):
        read(tmp_path / "a.png")


def test_a_profile_has_a_name():
    assert profile_name(SRGB) == "sRGB built-in"
    assert profile_name(b"") == "a profile without a name"
