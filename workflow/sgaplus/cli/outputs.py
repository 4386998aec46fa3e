"""The files that a command writes: one file, files in a folder, or standard output."""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sgaplus.cli.inputs import STANDARD, Input
from sgaplus.data import pictures
from sgaplus.errors import ConfigError, SgaplusError
from sgaplus.files import replacing

BITSTREAM = ".sga"

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".ppm": ("PPM", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
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
        is_other = output.is_file() or output.suffix.lower() in (BITSTREAM, *FORMATS, *pictures.SUFFIXES)
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


def write_picture(path: Path, pixels: np.ndarray, suffix: str) -> None:
    """Write a picture, uint8 (height, width, 3), as :func:`write` does, in the format of a suffix.

    Raises:
        SgaplusError: the format holds no picture of this size.
    """
    height, width, _ = pixels.shape
    if suffix == ".webp" and max(height, width) > LARGEST_WEBP:
        raise SgaplusError(f"{width}x{height} pixels are too many for WebP, whose sides end at {LARGEST_WEBP}.")
    name, options = FORMATS[suffix]
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, format=name, **options)
    write(path, packed.getvalue())


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
