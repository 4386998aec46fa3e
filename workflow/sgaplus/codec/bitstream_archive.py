"""Bitstreams of many images in one zip file. They are compressed already, so the zip file stores them as they are."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from sgaplus.files import replacing

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Date of every member, the earliest that zip files know, so that equal bitstreams make equal files."""


def name_of(target: float, variant: str, seed: int, image: str) -> str:
    """The name of an image's bitstream in an archive, from the refinement that made it."""
    return f"target{target:g}/{variant}/seed{seed}/{image}.sga"


def write(streams: Mapping[str, bytes], path: str | Path) -> None:
    """Write bitstreams under their names, all or nothing."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in streams.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data)


def find(name: str, paths: Iterable[str | Path]) -> bytes:
    """The bitstream of this name in the first of these archives that has it.

    Raises:
        KeyError: none of the archives has it.
    """
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            if name in archive.namelist():
                return archive.read(name)
    raise KeyError(name)
