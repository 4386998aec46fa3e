"""The data sets of a configuration by name: their sources, their numbers of images, and advice on missing archives.

Published files and the images unpacked from them lie in the data folder, ``<data folder>/<data set>/``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sgaplus.data.manifest import Row
from sgaplus.data.sources import Published, Source, make
from sgaplus.errors import ImageError, UnknownImagesError

Sources = Mapping[str, Source]


def sources(entries: Mapping[str, Mapping[str, Any]], rows: Iterable[Row]) -> dict[str, Source]:
    """The sources of all data sets of a checked configuration.

    Args:
        entries: Its ``datasets``.
        rows: All rows of the manifest.
    """
    rows = list(rows)
    return {name: make(entry, rows) for name, entry in entries.items()}


def count(datasets: Sources, name: str) -> int:
    """The number of images of a data set, known before they are there.

    Raises:
        UnknownImagesError: it is known neither from the configuration nor from the manifest nor from the disk.
    """
    known = datasets[name].known_count(partial(count, datasets))
    if known is None:
        raise UnknownImagesError(
            f"datasets.{name}: how many images there are is known only when all are read. "
            "Set its `count`, so that the refinement can be planned."
        )
    return known


def archive_of(datasets: Sources, row: Row, default: str | Path) -> Path:
    """The user's own copy of a file that has no address: an entry's ``archive``, or at ``default``.

    Raises:
        ImageError: it is not there; the message says how to get it.
    """
    owners = {
        name: source
        for name, source in datasets.items()
        if isinstance(source, Published) and source.dataset == row.dataset
    }
    given = [source.archive for source in owners.values() if source.archive is not None]
    path = Path(os.path.expanduser(given[0])) if given else Path(default)
    if not path.is_file():
        raise ImageError(
            f"{path}: no such file. {row.file} is given only to those who register: do so at {row.page}, download it, "
            f"and set datasets.{next(iter(owners), row.dataset)}.archive to its path. To go without it, take it "
            "out of the `parts` that name it."
        )
    return path


def unobtained(datasets: Sources, name: str, folder: Path) -> str:
    """Advice on the first file that only registered users get and that is missing; empty if none is.

    Args:
        datasets: All data sets.
        name: The data set that needs the files, itself or in its parts.
        folder: The data folder.
    """
    for row in datasets[name].unregistered(folder):
        try:
            archive_of(datasets, row, folder / row.key)
        except ImageError as error:
            return str(error)
    return next(filter(None, (unobtained(datasets, part, folder) for part in datasets[name].needs)), "")
