from __future__ import annotations

import importlib
import io
import struct
import sys
import zlib
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sgaplus.data import formats, pictures
from tests.unit.making import pixels, raw_png, refusal, save

WHITE = (255, 255, 255)

# What the eight EXIF orientations ask of the stored pixels, from the standard's definitions.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


LOSSY = {".jpg", ".jpeg", ".avif", ".heic", ".heif"}


@pytest.mark.parametrize("suffix", sorted(formats.SUFFIXES - LOSSY))
def test_every_lossless_format_is_read_as_it_is(tmp_path, suffix):
    picture = pixels(5, 7)
    options = {"lossless": True} if suffix == ".webp" else {}
    read = pictures.read(save(tmp_path / f"picture{suffix}", picture, **options))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, picture)


def test_grayscale_becomes_three_equal_channels(tmp_path):
    gray = pixels(5, 7)[..., 0]
    np.testing.assert_array_equal(pictures.read(save(tmp_path / "gray.png", gray)), np.stack([gray] * 3, axis=2))


def test_a_palette_is_looked_up(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8), "P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(tmp_path / "palette.png")
    expected = [[(10, 20, 30), (40, 50, 60)], [(70, 80, 90), (40, 50, 60)]]
    np.testing.assert_array_equal(pictures.read(tmp_path / "palette.png"), expected)


def test_a_transparent_palette_colour_becomes_white(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.save(tmp_path / "palette.png", transparency=0)
    np.testing.assert_array_equal(pictures.read(tmp_path / "palette.png"), [[WHITE, (40, 50, 60)]])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grayscale_is_scaled_to_8(tmp_path, suffix):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    read = pictures.read(save(tmp_path / f"deep{suffix}", levels * 257))
    np.testing.assert_array_equal(read, np.stack([levels] * 3, axis=2))


def test_16_bit_grayscale_is_rounded_to_the_nearest(tmp_path):
    between = np.array([[128, 129, 257 * 7 - 128, 257 * 7 + 128]], dtype=np.uint16)
    assert pictures.read(save(tmp_path / "deep.png", between))[0, :, 0].tolist() == [0, 1, 7, 7]


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [10, 20, 30, 51]]], dtype=np.uint8)
    read = pictures.read(save(tmp_path / "clear.png", rgba))
    np.testing.assert_array_equal(read[0, :2], [WHITE, (10, 20, 30)])
    np.testing.assert_allclose(read[0, 2], 0.2 * np.array([10, 20, 30]) + 0.8 * 255, atol=1)


def test_transparent_grayscale_is_laid_over_white(tmp_path):
    gray = np.array([[[10, 0], [10, 255]]], dtype=np.uint8)
    np.testing.assert_array_equal(pictures.read(save(tmp_path / "clear.png", gray)), [[WHITE, (10, 10, 10)]])


def eight_bits(samples: np.ndarray) -> np.ndarray:
    return np.round(samples / 257).astype(np.uint8)


DEEP = np.random.default_rng(0).integers(0, 65536, (6, 50, 4))
DEEP[0, :9, :] = np.array([0, 127, 128, 129, 255, 256, 32768, 65407, 65535])[:, None]


def test_16_bit_colours_are_scaled_to_the_nearest():
    read = pictures.decode(raw_png(DEEP[..., :3], colour=2), "deep.png")
    np.testing.assert_array_equal(read, eight_bits(DEEP[..., :3]))


def test_16_bit_colours_of_a_tiff_file_are_scaled_too(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    samples = DEEP[..., :3].astype(np.uint16)
    for number, options in enumerate(({}, {"byteorder": ">"}, {"compression": "deflate"}, {"rowsperstrip": 2})):
        tifffile.imwrite(tmp_path / f"{number}.tif", samples, photometric="rgb", **options)
        np.testing.assert_array_equal(pictures.read(tmp_path / f"{number}.tif"), eight_bits(samples))
    tifffile.imwrite(tmp_path / "planes.tif", samples.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    assert "colours of more than 8 bits, each in a plane of its own" in refusal(pictures.read, tmp_path / "planes.tif")


@pytest.mark.parametrize(("colour", "channels"), [(4, 2), (6, 4)])
def test_16_bit_pictures_with_alpha_are_scaled_and_laid_over_white(colour, channels):
    samples = DEEP[..., :channels].copy()
    samples[::2, :, -1], samples[1::2, :, -1] = 65535, 100
    read = pictures.decode(raw_png(samples, colour), "clear.png")
    np.testing.assert_array_equal(read[::2], np.broadcast_to(eight_bits(samples[::2, :, :-1]), read[::2].shape))
    assert (read[1::2] == 255).all()


def test_a_transparent_16_bit_colour_is_told_from_its_neighbours():
    samples = np.array([[[300, 600, 900], [301, 600, 900]]])
    read = pictures.decode(raw_png(samples, colour=2, transparent=(300, 600, 900)), "key.png")
    np.testing.assert_array_equal(read, [[WHITE, eight_bits(samples)[0, 1]]])


def test_transparent_16_bit_gray_is_laid_over_white():
    samples = np.array([[[0], [1024], [1025], [65535]]])
    read = pictures.decode(raw_png(samples, colour=0, transparent=(1024,)), "tbwn0g16.png")
    assert read[0, :, 0].tolist() == [0, 255, 4, 255]


@pytest.mark.parametrize(("depth", "packed"), [(2, [0b00011011]), (4, [0x01, 0x23])])
def test_transparent_gray_of_few_levels_is_laid_over_white(depth, packed):
    data = raw_png(np.array([packed])[..., None], colour=0, depth=depth, transparent=(2,))
    step = 255 // (2**depth - 1)
    assert pictures.decode(data, "few.png")[0, :, 0].tolist() == [0, step, 255, 3 * step]


def test_the_camera_s_orientation_is_applied_to_16_bit_colours():
    stored, exif = DEEP[..., :3], Image.Exif()
    exif[0x0112] = 6
    data = raw_png(stored, colour=2)
    turn = exif.tobytes().removeprefix(b"Exif\0\0")
    turned = data[:33] + struct.pack(">I", len(turn)) + b"eXIf" + turn + struct.pack(">I", zlib.crc32(b"eXIf" + turn))
    read = pictures.decode(turned + data[33:], "turned.png")
    np.testing.assert_array_equal(read, UPRIGHT[6](eight_bits(stored)))


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (40, 200)]
    for suffix in (".gif", ".webp", ".png", ".avif"):
        frames[0].save(tmp_path / f"moving{suffix}", save_all=True, append_images=frames[1:])
        assert np.abs(pictures.read(tmp_path / f"moving{suffix}").astype(int) - 40).max() <= 3


def test_an_avif_is_read_upright(tmp_path):
    stored, exif = np.asarray(Image.fromarray(pixels(2, 3)).resize((48, 32))), Image.Exif()
    exif[0x0112] = 6
    read = pictures.read(save(tmp_path / "phone.avif", stored, exif=exif, quality=95)).astype(int)
    assert np.abs(read - UPRIGHT[6](stored)).mean() < 4


def test_heic_is_read_where_its_plugin_is(tmp_path, monkeypatch):
    """A stand-in for the plugin says that PCX is HEIC."""
    from PIL import PcxImagePlugin

    def register():
        Image.register_open("HEIF", PcxImagePlugin.PcxImageFile, lambda start: start[:1] == b"\n")

    Image.fromarray(pixels(4, 6)).save(tmp_path / "phone.heic", format="PCX")
    refusal(pictures.read, tmp_path / "phone.heic")
    try:
        with monkeypatch.context() as patched:
            plugin = SimpleNamespace(__spec__=ModuleSpec("pillow_heif", None), register_heif_opener=register)
            patched.setitem(sys.modules, "pillow_heif", plugin)
            importlib.reload(formats)
            importlib.reload(pictures)
        assert {".heic", ".heif"} < formats.SUFFIXES
        np.testing.assert_array_equal(pictures.read(tmp_path / "phone.heic"), pixels(4, 6))
    finally:
        Image.OPEN.pop("HEIF", None)
        importlib.reload(formats)
        importlib.reload(pictures)


@pytest.mark.parametrize(
    ("ink", "colour"), [((0, 0, 0, 0), WHITE), ((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))]
)
def test_a_cmyk_jpeg_has_its_colours(tmp_path, ink, colour):
    Image.new("CMYK", (8, 8), ink).save(tmp_path / "print.jpg", quality=95)
    read = pictures.read(tmp_path / "print.jpg").astype(int)
    assert np.abs(read - colour).max() <= 3


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_cameras_orientation_is_applied(tmp_path, orientation):
    stored, exif = pixels(4, 6), Image.Exif()
    exif[0x0112] = orientation
    read = pictures.read(save(tmp_path / "turned.png", stored, exif=exif))
    np.testing.assert_array_equal(read, UPRIGHT[orientation](stored))


def test_a_picture_of_one_pixel_is_read(tmp_path):
    np.testing.assert_array_equal(pictures.read(save(tmp_path / "dot.png", pixels(1, 1))), pixels(1, 1))


def test_a_missing_file_is_named(tmp_path):
    assert str(tmp_path / "none.png") in refusal(pictures.read, tmp_path / "none.png")


def test_floating_point_pixels_are_refused(tmp_path):
    path = save(tmp_path / "float.tif", np.zeros((2, 2), dtype=np.float32))
    message = refusal(pictures.read, path)
    assert str(path) in message
    assert "Convert it to an 8-bit or 16-bit PNG" in message


@pytest.mark.parametrize("value", [-1, 65536])
def test_deep_grayscale_beyond_16_bits_is_refused(tmp_path, value):
    path = save(tmp_path / "deep.tif", np.array([[0, value]], dtype=np.int32))
    message = refusal(pictures.read, path)
    assert str(path) in message
    assert str(value) in message
    assert "Convert it" in message


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_to_the_signature(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:10])


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def spoil_the_checksum(path: Path) -> None:
    """Of the pixels of a PNG file, before its last chunk of 12 bytes."""
    content = bytearray(path.read_bytes())
    content[-13] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("cut.png", cut_in_half),
        ("cut.jpg", cut_in_half),
        ("cut.webp", cut_in_half),
        ("cut.tif", cut_in_half),
        ("start.png", cut_to_the_signature),
        ("start.jpg", cut_to_the_signature),
        ("spoilt.png", spoil),
        ("xcsn0g01.png", spoil_the_checksum),
        ("empty.png", lambda path: path.write_bytes(b"")),
        ("text.png", lambda path: path.write_text("no picture")),
    ],
)
def test_a_broken_file_is_refused(tmp_path, name, damage):
    path = save(tmp_path / name, pixels(64, 64))
    damage(path)
    message = refusal(pictures.read, path)
    assert str(path) in message
    assert "Replace the file or take it out of the data set" in message


def test_the_picture_that_a_phone_takes_with_its_preview_is_read(tmp_path):
    """MPO, a JPEG and another one behind it."""
    first, second = (Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (40, 200))
    first.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[second])
    assert Image.open(tmp_path / "phone.jpg").format == "MPO"
    assert np.abs(pictures.read(tmp_path / "phone.jpg").astype(int) - 40).max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_content_decides_how_a_file_is_read(tmp_path, suffix):
    picture = pixels(5, 7)
    Image.fromarray(picture).save(tmp_path / f"picture{suffix}", format="PPM")
    np.testing.assert_array_equal(pictures.read(tmp_path / f"picture{suffix}"), picture)


@pytest.mark.parametrize("format", ["EPS", "DDS", "ICO", "TGA", "PDF", "PCX", "ICNS", "SGI"])
def test_a_format_that_is_not_promised_is_refused_whatever_its_suffix(tmp_path, format):
    Image.fromarray(pixels(8, 8)).save(tmp_path / "picture.png", format=format)
    message = refusal(pictures.read, tmp_path / "picture.png")
    heif = "HEIF" in formats.FORMATS
    assert message.startswith(f"{tmp_path / 'picture.png'}: not a readable image (cannot identify image file")
    assert message.endswith(f"PNG, JPEG, WEBP, TIFF, BMP, PPM, GIF, AVIF{', HEIF' * heif} are read.")


def test_ghostscript_is_never_started(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments: started.append(arguments))
    Image.fromarray(pixels(8, 8)).save(tmp_path / "picture.png", format="EPS")
    refusal(pictures.read, tmp_path / "picture.png")
    assert not started


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("cut\nshort"), "cut short"),
        (ValueError(), "ValueError"),
        (TypeError("an integer\nis required"), "TypeError: an integer is required"),
        (struct.error("4 bytes"), "error: 4 bytes"),
        (MemoryError(), "MemoryError"),
        (NotImplementedError("no such pixels"), "NotImplementedError: no such pixels"),
        (RuntimeError("failed"), "RuntimeError: failed"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (KeyError(274), "KeyError: 274"),
        (IndexError("out of range"), "IndexError: out of range"),
        (OverflowError("too large"), "OverflowError: too large"),
        (AssertionError(), "AssertionError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("where", ["load", "getexif"])
def test_whatever_a_decoder_raises_is_an_error_of_its_file(tmp_path, monkeypatch, where, error, reason):
    def fail(*_):
        raise error

    path = save(tmp_path / "odd.png")
    monkeypatch.setattr(f"PIL.PngImagePlugin.PngImageFile.{where}", fail)
    assert refusal(pictures.read, path).startswith(f"{path}: not a readable image ({reason}). Replace the file")


def test_an_interrupt_is_not_taken_for_a_broken_file(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    path = save(tmp_path / "picture.png")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", interrupt)
    with pytest.raises(KeyboardInterrupt):
        pictures.read(path)


def webp_with_half_a_directory(path: Path) -> Path:
    """Its EXIF data end where the camera's orientation should come."""
    return save(path, pixels(8, 8), exif=b"Exif\0\0II*\0")


def tiff_with_words_for_numbers(path: Path) -> Path:
    """The type of its StripOffsets, which say where the pixels are, is text."""
    content = save(path, pixels(8, 8)).read_bytes()
    assert content.count(struct.pack("<HH", 273, 4)) == 1
    path.write_bytes(content.replace(struct.pack("<HH", 273, 4), struct.pack("<HH", 273, 2)))
    return path


@pytest.mark.parametrize(
    ("make", "name", "error"),
    [
        (webp_with_half_a_directory, "odd.webp", "error: unpack"),  # struct.error
        (tiff_with_words_for_numbers, "odd.tif", "TypeError: "),
    ],
)
def test_a_crafted_file_is_refused(tmp_path, make, name, error):
    path = make(tmp_path / name)
    assert refusal(pictures.read, path).startswith(f"{path}: not a readable image ({error}")


def test_a_picture_above_the_largest_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 24)
    path = save(tmp_path / "large.png", pixels(5, 5))
    message = refusal(pictures.read, path)
    assert str(path) in message
    assert "5x5" in message
    assert "24" in message
    assert "Crop it first" in message


def test_a_picture_of_the_largest_size_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 24)
    assert pictures.read(save(tmp_path / "large.png", pixels(4, 6))).shape == (4, 6, 3)


def header_only(path: Path, side: int) -> Path:
    """A PNG that says it is a square of this side, and ends before its pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 1) + b"IDAT")
    return path


def test_the_largest_size_is_ours_and_not_pillows(tmp_path):
    with Image.open(header_only(tmp_path / "large.png", 20_000)) as picture:  # above Pillow's own limit
        assert picture.width * picture.height == pictures.MAX_PIXELS


def test_a_small_file_that_unpacks_into_a_huge_picture_is_refused_by_its_size(tmp_path):
    path = header_only(tmp_path / "bomb.png", 50_000)
    message = refusal(pictures.read, path)
    assert message == f"{path}: 50000x50000 pixels; at most 400,000,000 are read. Crop it first."


def test_a_picture_larger_than_the_memory_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("sgaplus.memory.room", lambda: 1_000_000_000)
    path = header_only(tmp_path / "large.png", 10_000)
    message = f"{path}: 10000x10000 pixels can take 2.4 GB of memory, and 1 GB are left. Crop it first, or free memory."
    assert refusal(pictures.read, path) == message
    monkeypatch.setattr("sgaplus.memory.room", lambda: 3_000_000_000)
    assert "not a readable image" in refusal(pictures.read, path)


def test_a_small_picture_is_read_whatever_memory_is_left(monkeypatch):
    monkeypatch.setattr("sgaplus.memory.room", lambda: 0)
    content = io.BytesIO()
    Image.fromarray(pixels(30, 20)).save(content, "PNG")
    assert pictures.decode(content.getvalue(), "small.png").shape == (30, 20, 3)
