"""Decoding pictures of any common format to 8-bit RGB."""

from __future__ import annotations

import io
import logging
import re
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from sgaplus import memory
from sgaplus.data.formats import FORMATS, HEIF
from sgaplus.errors import ImageError
from sgaplus.files import size_text

logger = logging.getLogger(__name__)

MAX_PIXELS = 400_000_000
"""Largest picture that is read; beyond it a small file can unpack into all the memory there is."""

PIXEL_BYTES = 24
"""Memory that reading a picture takes, in bytes per pixel: 14 for most, 24 for 16-bit colours, 30 for a clear WebP."""

SMALL_PIXELS = 4_000_000
"""Pictures up to here are read without a look at the memory that is left."""

DEEP_COLOUR = re.compile("(RGB|RGBX|RGBA|CMYK|LA);16[BLN]")
"""Pillow's names of samples of 16 bits, of which it keeps 8. The last letter is the order of bytes."""

DEEP_PLANES = {"R", "G", "B"}
"""Its names of samples of a TIFF file with a plane for each colour, which it takes for 8 bits whatever they are."""

BITS_PER_SAMPLE = 258
"""A tag of TIFF."""

LEVELS = {"L;2": 4, "L;4": 16}
"""Its names of grayscale of less than 8 bits, with the number of levels."""

Image.MAX_IMAGE_PIXELS = None  # Pillow's own, lower limit; MAX_PIXELS decides

if HEIF:
    from pillow_heif import register_heif_opener

    register_heif_opener()


def read(path: str | Path) -> np.ndarray:
    """Any picture as 8-bit RGB: uint8, shape (H, W, 3).

    Grayscale and palette pictures become RGB, 16-bit ones are scaled to 8 bits, transparent ones
    are laid over white, and the camera's orientation is applied. Of an animation the first picture is read.

    Raises:
        ImageError: missing, unreadable, truncated, larger than :data:`MAX_PIXELS`, or larger than the memory.
    """
    if not Path(path).is_file():
        raise ImageError(f"{path}: no such file. Restore it, or correct the path.")
    return _decode(path, path)


def size(path: str | Path) -> tuple[int, int]:
    """Width and height in pixels of an upright picture, by its header.

    Raises:
        ImageError: missing or unreadable.
    """
    try:
        with opened(path) as picture:
            # at the end of a PNG file it can't be had without the pixels
            exif = picture.getexif() if picture.format != "PNG" or "exif" in picture.info else {}
            turned = exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            return (picture.height, picture.width) if turned else picture.size
    except Exception as error:  # as for pixels
        raise ImageError(f"{path}: not a readable image ({_reason(error)}).") from error


def decode(content: bytes, label: str | Path) -> np.ndarray:
    """As :func:`read`, of an image file's bytes; ``label`` is its name in errors."""
    return _decode(io.BytesIO(content), label)


def _decode(file: str | Path | BinaryIO, label: str | Path) -> np.ndarray:
    try:
        with opened(file) as picture:
            _check_size(picture, label)
            _verify_png(file)
            samples = _samples(picture)
            if DEEP_COLOUR.fullmatch(samples):
                return _to_rgb(_scaled_colour(picture, file, samples), label)
            ImageOps.exif_transpose(picture, in_place=True)
            return _to_rgb(_scaled_gray(picture, samples, label), label)
    except ImageError:
        raise
    except Exception as error:  # wrong bytes make decoders raise anything
        raise unreadable(label, error) from error


def opened(file: str | Path | BinaryIO) -> Image.Image:
    """A picture in one of the formats that are read, its pixels not yet decoded; raises whatever Pillow raises."""
    return Image.open(file, formats=tuple(FORMATS))  # Pillow's others run Ghostscript, for one


def unreadable(label: str | Path, error: Exception) -> ImageError:
    """The refusal of a file whose decoder raised ``error``; ``label`` is its name."""
    reason = re.sub(r" <_io\.BytesIO object at \w+>", "", _reason(error))  # Pillow names an object in memory
    return ImageError(
        f"{label}: not a readable image ({reason}). Replace the file or take it out of the data set; "
        f"{', '.join(FORMATS)} are read."
    )


def _verify_png(file: str | Path | BinaryIO) -> None:
    """Compare the checksums of a PNG file, which Pillow passes over where the pixels are."""
    with opened(file) as picture:
        if picture.format == "PNG":
            picture.verify()


def _reason(error: Exception) -> str:
    """An error's text in one line; after the type of the error, if its text alone says too little."""
    text = " ".join(str(error).split())
    if text and isinstance(error, OSError | SyntaxError | ValueError):
        return text
    return f"{type(error).__name__}: {text}".removesuffix(": ")


def _check_size(picture: Image.Image, path: str | Path) -> None:
    """Refuse a picture that is too large, before its pixels are read."""
    size, pixels = f"{picture.width}x{picture.height} pixels", picture.width * picture.height
    if pixels > MAX_PIXELS:
        raise ImageError(f"{path}: {size}; at most {MAX_PIXELS:,} are read. Crop it first.")
    if pixels > SMALL_PIXELS and pixels * PIXEL_BYTES > (room := memory.room()):
        raise ImageError(
            f"{path}: {size} can take {size_text(pixels * PIXEL_BYTES)} of memory, and {size_text(room)} are left. "
            "Crop it first, or free memory."
        )


def _samples(picture: Image.Image) -> str:
    """Pillow's name of how the samples are stored, known before they are read; empty if it has none."""
    tile = next(iter(getattr(picture, "tile", [])), None)
    arguments = tile.args if tile else ""
    samples = arguments[0] if isinstance(arguments, tuple) else arguments
    if samples in DEEP_PLANES and max(picture.tag_v2[BITS_PER_SAMPLE]) > 8:  # type: ignore[attr-defined]
        raise ValueError("colours of more than 8 bits, each in a plane of its own")
    return samples if isinstance(samples, str) else ""


def _scaled_colour(picture: Image.Image, file: str | Path | BinaryIO, samples: str) -> Image.Image:
    """A picture of 16-bit colours, upright, in 8 bits.

    Pillow keeps the high bytes. The low ones are the high ones of the other order of bytes.
    """
    ImageOps.exif_transpose(picture, in_place=True)
    high = np.asarray(picture)
    with opened(file) as again:
        again.tile = [_of_the_other_order(tile, samples) for tile in again.tile]  # type: ignore[attr-defined]
        ImageOps.exif_transpose(again, in_place=True)
        low = np.asarray(again)
    if samples == "LA;16B":
        low = low[..., [1, 1, 1, 3]]
    scaled = Image.fromarray(_to_nearest(high, low), picture.mode)
    if samples.startswith("RGB;") and "transparency" in picture.info:
        key = np.array(picture.info["transparency"])
        opaque = ((high != key >> 8) | (low != key & 255)).any(axis=2)
        scaled.putalpha(Image.fromarray(opaque * np.uint8(255)))
    return scaled


def _to_nearest(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """(256 high + low) / 257, to the nearest; all uint8 (H, W, channels)."""
    scaled = high.copy()
    for channel in range(high.shape[2]):  # one after another takes less memory
        more = low[..., channel].astype(np.int16) - high[..., channel]
        scaled[..., channel] += more > 128
        scaled[..., channel] -= more < -128
    return scaled


def _of_the_other_order(tile: ImageFile._Tile, samples: str) -> ImageFile._Tile:
    """A tile whose samples are read in the other order of bytes."""
    if samples == "LA;16B":
        other = "RGBA"  # all four bytes; Pillow has no name for the other order
    else:
        big = samples.endswith("B") or (samples.endswith("N") and sys.byteorder == "big")
        other = f"{samples[:-1]}{'L' if big else 'B'}"
    return tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other)


def _scaled_gray(picture: Image.Image, samples: str, path: str | Path) -> Image.Image:
    """A picture whose grayscale of more than 8 bits is in 8 bits, and whose transparent value is too; others as is."""
    if picture.mode == "F":
        raise ImageError(f"{path}: floating-point pixels have no fixed range. Convert it to an 8-bit or 16-bit PNG.")
    key = picture.info.get("transparency")
    if samples in LEVELS and key is not None:
        picture.info["transparency"] = key * 255 // (LEVELS[samples] - 1)
    if not picture.mode.startswith("I"):
        return picture
    gray = np.asarray(picture)
    if gray.min() < 0 or gray.max() > 65535:
        raise ImageError(
            f"{path}: values from {gray.min():g} to {gray.max():g}; grayscale deeper than 8 bits must lie "
            "in 0 to 65535. Convert it to an 8-bit or 16-bit PNG."
        )
    scaled = Image.fromarray(((gray.astype(np.uint32) + 128) // 257).astype(np.uint8))
    if key is not None:
        scaled.putalpha(Image.fromarray((gray != key) * np.uint8(255)))
    return scaled


def _to_rgb(picture: Image.Image, path: str | Path) -> np.ndarray:
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        logger.info("%s: transparent; laid over white", path)
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(picture.convert("RGB"))
