"""Photographs with their colour profile and metadata, and a word about everything that 8-bit RGB can't hold."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps

from sgaplus.data import pictures
from sgaplus.errors import ImageError

EXIF_PREFIX = b"Exif\0\0"
"""Stands before EXIF in JPEG files, and in what Pillow makes."""

LARGEST_METADATA = 2**24
"""Most bytes of a profile or of metadata that are kept; more are left out."""

UNSEEN = 2
"""A profile whose colours differ by no more steps of 8 bits from sRGB is sRGB."""

GRAY_CHANGE = "grey turned to that of sRGB"

TIFF_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""EXIF's words in the first directory: description, make, model, software, date, artist, copyright. In a TIFF file the
layout of its pixels stands beside them."""

TIFF_DIRECTORIES = (0x8769, 0x8825)
"""EXIF's own directory and that of the place."""


@dataclass(frozen=True)
class Photograph:
    """A photograph.

    Attributes:
        pixels: uint8 (height, width, 3), upright; in the colours of the profile, in sRGB without one.
        metadata: ``icc``, ``exif`` and ``xmp``, as far as there are any; the orientation is taken out of them.
        changes: What was done to the picture, in a few words each.
    """

    pixels: np.ndarray
    metadata: Mapping[str, bytes]
    changes: tuple[str, ...]


def read(path: str | Path, strip: bool = False) -> Photograph:
    """A photograph from a file.

    Args:
        path: The file.
        strip: Whether metadata is left out. Colours are converted to sRGB then, if a profile says that they are others.

    Raises:
        ImageError: as ``pictures.read``.
    """
    return _photograph(pictures.read(path), path, path, strip)


def decode(content: bytes, label: str, strip: bool = False) -> Photograph:
    """As :func:`read`, of an image file's bytes; ``label`` is its name in errors."""
    return _photograph(pictures.decode(content, label), io.BytesIO(content), label, strip)


def to_srgb(pixels: np.ndarray, profile: bytes) -> np.ndarray:
    """Pixels, uint8 (height, width, 3), from the colours of an RGB profile to sRGB.

    Raises:
        ImageError: the profile is broken, or not one of RGB.
    """
    return np.asarray(_converted(Image.fromarray(pixels), profile))


def profile_name(profile: bytes) -> str:
    """The name that a profile gives itself, in a line; without one, a word for it."""
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        name = ""
    return " ".join(name.split()) or "a profile without a name"


def _photograph(pixels: np.ndarray, file: str | Path | BinaryIO, label: str | Path, strip: bool) -> Photograph:
    try:
        with pictures.opened(file) as picture:
            changes = _changes(picture)
            pixels, icc, converted = _coloured(pixels, picture, strip)
            words, broken = ({}, []) if strip else _words(picture)
    except Exception as error:  # wrong bytes make decoders raise anything, also after the pixels are read
        raise pictures.unreadable(label, error) from error
    metadata = {"icc": icc} | words
    large = [name for name, content in metadata.items() if len(content) > LARGEST_METADATA]
    changes += converted + broken + [f"{name} of more than {LARGEST_METADATA} bytes left out" for name in large]
    kept = {name: content for name, content in metadata.items() if content and name not in large}
    return Photograph(pixels, kept, tuple(changes))


def _changes(picture: Image.Image) -> list[str]:
    """What reading a picture as 8-bit RGB changes, before its colours are looked at."""
    changes = []
    frames: int = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # a phone's second picture is a helper of the first
        changes.append(f"first of {frames} frames")
    if _is_deep(picture):
        changes.append("16 bits coded in 8")
    if picture.has_transparency_data and _is_transparent(picture):
        changes.append("transparent, laid over white")
    return changes


def _is_transparent(picture: Image.Image) -> bool:
    """Whether a picture that can be transparent is so anywhere."""
    if picture.mode.startswith("I"):  # grey of 16 bits, which Pillow gives no alpha
        return bool((np.asarray(picture) == picture.info["transparency"]).any())
    return picture.convert("RGBA").getchannel("A").getextrema() != (255, 255)


def _is_deep(picture: Image.Image) -> bool:
    """Whether a picture's samples have 16 bits, by its mode or by that of its data in the file."""
    return picture.mode.startswith("I") or any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ()))


def _coloured(pixels: np.ndarray, picture: Image.Image, strip: bool) -> tuple[np.ndarray, bytes, list[str]]:
    """The pixels, their profile (empty for sRGB), and what was done to the colours."""
    icc = picture.info.get("icc_profile") or b""
    space = _space(icc) if icc else ""
    try:
        if picture.mode == "CMYK" and space == "CMYK":
            made = _converted(ImageOps.exif_transpose(picture), icc)
            return np.asarray(made), b"", ["CMYK turned to sRGB"]
        if picture.mode == "CMYK":
            return pixels, b"", ["CMYK without a profile, turned to RGB as it is"]
        if space == "GRAY" and (pixels == pixels[..., :1]).all():
            gray = Image.fromarray(pixels[..., 0])
            return (pixels, b"", []) if _is_srgb(icc, "L") else (np.asarray(_converted(gray, icc)), b"", [GRAY_CHANGE])
        if space == "RGB" and not _is_srgb(icc, "RGB"):
            turned = f"colours turned from {profile_name(icc)} to sRGB"
            return (to_srgb(pixels, icc), b"", [turned]) if strip else (pixels, icc, [])
    except ImageError:
        space = ""
    wrong = [] if space == "RGB" or not icc else [f"colour profile {f'of {space}' if space else 'broken'}, left out"]
    return pixels, b"", wrong


def _space(profile: bytes) -> str:
    """The colour space that a profile is of: ``RGB``, ``GRAY``, ``CMYK``, or another; empty if it is broken."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError):
        return ""


def _converted(picture: Image.Image, profile: bytes) -> Image.Image:
    """A picture in sRGB, RGB."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        made = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise ImageError(f"its colour profile is broken ({error}).") from error
    assert made is not None  # it is, where a picture is changed in place
    return made


@cache
def _is_srgb(profile: bytes, mode: str) -> bool:
    """Whether a profile's colours are, to the eye, those of sRGB."""
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    chart = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(17, -1, 3) if mode == "RGB" else steps[None]
    made = np.asarray(_converted(Image.fromarray(chart), profile)).astype(int)
    return bool(abs(made - (chart if mode == "RGB" else chart[..., None])).max() <= UNSEEN)


def _words(picture: Image.Image) -> tuple[dict[str, bytes], list[str]]:
    """EXIF and XMP of a picture, without its orientation, or that they are broken."""
    try:
        return _read_words(picture), []
    except Exception:  # cameras and programs write anything there, and Pillow raises anything
        return {}, ["broken EXIF or XMP, left out"]


def _read_words(picture: Image.Image) -> dict[str, bytes]:
    if picture.getexif().get(0x0112, 1) != 1:
        picture = ImageOps.exif_transpose(picture)  # which takes it out of them
    xmp = picture.info.get("xmp") or b""
    return {"exif": _exif(picture), "xmp": xmp.encode() if isinstance(xmp, str) else bytes(xmp)}


def _exif(picture: Image.Image) -> bytes:
    if picture.format == "TIFF" or "exif" not in picture.info:
        return described(picture.getexif())
    return bytes(picture.info["exif"]).removeprefix(EXIF_PREFIX)


def described(exif: Image.Exif) -> bytes:
    """EXIF of the tags that describe a photograph, without those that lay out a file; nothing if there are none."""
    kept = Image.Exif()
    for tag in TIFF_TAGS:
        if tag in exif:
            kept[tag] = exif[tag]
    for tag in TIFF_DIRECTORIES:
        if inside := exif.get_ifd(tag):
            kept[tag] = dict(inside)
    return kept.tobytes().removeprefix(EXIF_PREFIX) if len(kept) else b""
