"""Decoding pictures of any common format to 8-bit RGB."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from sgaplus.errors import ImageError

logger = logging.getLogger(__name__)

FORMATS = {
    "PNG": {".png"},
    "JPEG": {".jpg", ".jpeg"},  # and MPO, in which phones keep two
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
    "BMP": {".bmp"},
    "PPM": {".ppm"},
}
"""Formats that are read, by Pillow's names, and suffixes of their files. Content decides, not the suffix."""

SUFFIXES = set().union(*FORMATS.values())

MAX_PIXELS = 400_000_000
"""Largest picture that is read; beyond it a small file can unpack into all the memory there is."""

Image.MAX_IMAGE_PIXELS = None  # Pillow's own, lower limit; MAX_PIXELS decides


def read(path: str | Path) -> np.ndarray:
    """Any picture as 8-bit RGB: uint8, shape (H, W, 3).

    Grayscale and palette pictures become RGB, 16-bit ones are scaled to 8 bits, transparent ones
    are laid over white, and the camera's orientation is applied.

    Raises:
        ImageError: missing, unreadable, truncated, or larger than :data:`MAX_PIXELS`.
    """
    if not Path(path).is_file():
        raise ImageError(f"{path}: no such file. Restore it, or correct the path.")
    return _decode(path, path)


def size(path: str | Path) -> tuple[int, int]:
    """Width and height of a picture by its header, before the camera's orientation is applied.

    Raises:
        ImageError: missing or unreadable.
    """
    try:
        with Image.open(path, formats=tuple(FORMATS)) as picture:
            return picture.size
    except Exception as error:  # as for pixels
        raise ImageError(f"{path}: not a readable image ({_reason(error)}).") from error


def decode(content: bytes, label: str | Path) -> np.ndarray:
    """As :func:`read`, of an image file's bytes; ``label`` is its name in errors."""
    return _decode(io.BytesIO(content), label)


def _decode(file: str | Path | BinaryIO, label: str | Path) -> np.ndarray:
    try:
        with Image.open(file, formats=tuple(FORMATS)) as picture:  # Pillow's others run Ghostscript, for one
            return _to_rgb(_upright(picture, label), label)
    except ImageError:
        raise
    except Exception as error:  # wrong bytes make decoders raise anything
        reason = _reason(error).replace(f" {file!r}", "")  # Pillow names an object in memory
        raise ImageError(
            f"{label}: not a readable image ({reason}). Replace the file or take it out of the data set; "
            f"{', '.join(FORMATS)} are read."
        ) from error


def _reason(error: Exception) -> str:
    """An error's text in one line; after the type of the error, if its text alone says too little."""
    text = " ".join(str(error).split())
    if text and isinstance(error, OSError | SyntaxError | ValueError):
        return text
    return f"{type(error).__name__}: {text}".removesuffix(": ")


def _upright(picture: Image.Image, path: str | Path) -> Image.Image:
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageError(
            f"{path}: {picture.width}x{picture.height} pixels; at most {MAX_PIXELS:,} are read. Crop it first."
        )
    return ImageOps.exif_transpose(picture)


def _to_rgb(picture: Image.Image, path: str | Path) -> np.ndarray:
    if picture.mode == "F":
        raise ImageError(f"{path}: floating-point pixels have no fixed range. Convert it to an 8-bit or 16-bit PNG.")
    if picture.mode.startswith("I"):  # 16-bit or deeper grayscale
        return _deep_to_rgb(np.asarray(picture).astype(np.float64), path)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        logger.info("%s: transparent; laid over white", path)
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(picture.convert("RGB"))


def _deep_to_rgb(gray: np.ndarray, path: str | Path) -> np.ndarray:
    if gray.min() < 0 or gray.max() > 65535:
        raise ImageError(
            f"{path}: values from {gray.min():g} to {gray.max():g}; grayscale deeper than 8 bits must lie "
            "in 0 to 65535. Convert it to an 8-bit or 16-bit PNG."
        )
    return np.repeat(np.round(gray / 257).astype(np.uint8)[..., None], 3, axis=2)
