"""The formats of image files that are read. Without Pillow, because Snakemake's own environment has none."""

from __future__ import annotations

from importlib.util import find_spec

FORMATS = {
    "PNG": {".png"},
    "JPEG": {".jpg", ".jpeg"},  # and MPO, in which phones keep two
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
    "BMP": {".bmp"},
    "PPM": {".ppm"},
    "GIF": {".gif"},
    "AVIF": {".avif"},
}
"""Formats that are read, by Pillow's names, and suffixes of their files. Content decides, not the suffix."""

HEIF = find_spec("pillow_heif") is not None
"""Whether the optional package is installed that reads a further format."""

if HEIF:
    FORMATS["HEIF"] = {".heic", ".heif"}

SUFFIXES = set().union(*FORMATS.values())
