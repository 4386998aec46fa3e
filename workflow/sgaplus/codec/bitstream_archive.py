"""Bitstreams of many images in one zip file. They are compressed already, so the zip file stores them as they are."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from sgaplus.files import replacing

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Date of every member, the earliest that zip files know: the same bitstreams give the same file."""


def name_of(target: float, variant: str, seed: int, image: str) -> str:
    """Where an archive has the bitstream of an image, by the refinement that it came from."""
    return f"target{target:g}/{variant}/seed{seed}/{image}.sga"


def write(streams: Mapping[str, bytes], path: str | Path) -> None:
    """Write bitstreams under their names, all or nothing."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in streams.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data)


def find(name: str, paths: Iterable[str | Path]) -> bytes:
    """A bitstream by its name, in whichever of these files it is.

    Raises:
        KeyError: it is in none of them.
    """
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            if name in archive.namelist():
                return archive.read(name)
    raise KeyError(name)
