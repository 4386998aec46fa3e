"""The files that a command writes: one file, files in a folder, or standard output."""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sgaplus.cli.inputs import STANDARD, Input
from sgaplus.data import formats, photographs
from sgaplus.errors import ConfigError, SgaplusError
from sgaplus.files import replacing

BITSTREAM = ".sga"

XMP_TAG = 700
"""Tag of XMP in TIFF files."""

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".ppm": ("PPM", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".tif": ("TIFF", {}),  # compressed, Pillow writes no EXIF
    ".tiff": ("TIFF", {}),
}
"""Formats of decoded pictures by the suffix of their file: Pillow's name, and its options. All are lossless."""

LARGEST_WEBP = 16383
"""Longest side of a WebP picture."""


class Output:
    """The places of results. Results in a folder are named after their sources, in folders like those of the sources.

    Args:
        output: A file for one result, :data:`STANDARD`, or a folder.
        suffixes: Suffixes that a file may have.
        suffix: Suffix of results in a folder.
        force: Whether files are overwritten.
        count: Number of results.

    Raises:
        ConfigError: the results do not fit there.
    """

    def __init__(self, output: Path, suffixes: Collection[str], suffix: str, force: bool, count: int) -> None:
        self.output, self.force = output, force
        self.is_standard = output == STANDARD
        self.is_file = output.suffix.lower() in suffixes and not output.is_dir()
        self.suffix = output.suffix.lower() if self.is_file else suffix
        self.taken: dict[Path, Input] = {}
        if (self.is_file or self.is_standard) and count > 1:
            raise ConfigError(f"--output {output}: {count} files do not fit into one. Name a folder.")
        if self.is_standard and sys.stdout.isatty():
            raise ConfigError("--output -: a terminal shows no binary data. Send it on by > or |, or name a file.")
        is_other = output.is_file() or output.suffix.lower() in (BITSTREAM, *FORMATS, *formats.SUFFIXES)
        if is_other and not self.is_file:
            raise ConfigError(f"--output {output}: name a folder, or a file that ends in {_either(suffixes)}.")

    def path(self, source: Input) -> Path:
        """The path of the result that is made of ``source``, or :data:`STANDARD`.

        Raises:
            SgaplusError: the path exists already, or is the result of another file of this command.
        """
        if self.is_standard:
            return STANDARD
        path = self.output if self.is_file else self.output / source.folder / f"{source.name}{self.suffix}"
        other = self.taken.setdefault(path, source)
        if other != source:
            raise SgaplusError(f"{source}: {path} is already made of {other}. Rename one, or use another folder.")
        if path.exists() and not self.force:
            raise SgaplusError(f"{path}: is there already. Choose another output, or add --force.")
        return path


def named(path: Path) -> str:
    """A path's name for the user."""
    return "standard output" if path == STANDARD else str(path)


def write(path: Path, data: bytes) -> None:
    """Write a result to a path, all or nothing, or to standard output."""
    if path == STANDARD:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_picture(path: Path, pixels: np.ndarray, metadata: Mapping[str, bytes], suffix: str) -> list[str]:
    """Write a picture as :func:`write` does, in the format of a suffix.

    Args:
        path: The file, or :data:`STANDARD`.
        pixels: uint8 (height, width, 3).
        metadata: ``icc``, ``exif`` and ``xmp``, as far as there are any.
        suffix: A key of :data:`FORMATS`.

    Returns:
        What the format could not hold, in a few words each.

    Raises:
        SgaplusError: the format holds no picture of this size, or the colour profile is broken.
    """
    height, width, _ = pixels.shape
    if suffix == ".webp" and max(height, width) > LARGEST_WEBP:
        raise SgaplusError(f"{width}x{height} pixels are too many for WebP, whose sides end at {LARGEST_WEBP}.")
    name, options = FORMATS[suffix]
    left_out = []
    if name == "PPM" and metadata:
        left_out = [f"{', '.join(metadata)} left out, which no PPM file holds"]
        if "icc" in metadata:
            pixels, left_out = photographs.to_srgb(pixels, metadata["icc"]), ["colours turned to sRGB", *left_out]
    try:
        content = _packed(pixels, name, options | _in_file(metadata, name))
    except Exception:  # a bitstream may hold anything as metadata, and Pillow raises anything
        content = _packed(pixels, name, options)
        left_out = [f"{', '.join(metadata)} left out, which {name} can't hold as they are"]
    write(path, content)
    return left_out


def _packed(pixels: np.ndarray, name: str, options: Mapping[str, Any]) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, format=name, **options)
    return packed.getvalue()


def _in_file(metadata: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """Metadata as Pillow's options for a format."""
    icc, exif, xmp = (metadata.get(kind) for kind in ("icc", "exif", "xmp"))
    found: dict[str, Any] = {"icc_profile": icc} if icc else {}
    if name == "TIFF":
        return found | {"exif": _tiff_directory(exif or b"", xmp)}
    found |= {"exif": exif} if exif else {}
    if xmp and name == "PNG":
        found["pnginfo"] = PngInfo()
        found["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
    elif xmp:
        found["xmp"] = xmp
    return found


def _tiff_directory(exif: bytes, xmp: bytes | None) -> Image.Exif:
    """The tags of a TIFF file that describe the photograph."""
    made = Image.Exif()
    if exif:
        found = Image.Exif()
        found.load(exif)
        made.load(photographs.described(found))  # from bytes, because Pillow copies no directories otherwise
    if xmp:
        made[XMP_TAG] = xmp
    return made


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
