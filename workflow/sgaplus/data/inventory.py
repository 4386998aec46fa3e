"""The table of `snakemake datasets`: size of each data set, or the reason why it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sgaplus.data.datasets import Sources, unobtained
from sgaplus.data.index import IndexedImage, read_index
from sgaplus.errors import SgaplusError
from sgaplus.files import size_text, write_csv

STATES = ("name", "images", "pixels", "bytes", "state")
"""Columns of the table of data sets: pixels and bytes are sums over all images."""


def state(name: str, datasets: Sources, index_file: str | Path | None, folder: Path) -> dict[str, Any]:
    """One row of :data:`STATES`: the size of a data set, or the reason why it is missing.

    Args:
        name: The data set.
        datasets: All data sets.
        index_file: Its index, there or not; None if this configuration does not use it.
        folder: The data folder.
    """
    found = read_index(index_file) if index_file and Path(index_file).is_file() else []
    lost = next((path for path in sorted({image.path for image in found}) if not Path(path).is_file()), None)
    if found and not lost:
        pixels = sum(image.width * image.height for image in found)
        return dict(zip(STATES, (name, len(found), pixels, _bytes(found), "ready"), strict=True))
    lack = f"{lost}: no such file. Restore it." if lost else _lack(name, datasets, folder)
    wanted = "unused" if index_file is None else "missing"
    return dict(zip(STATES, (name, None, None, None, f"{wanted}: {lack}"), strict=True))


def _bytes(found: Sequence[IndexedImage]) -> int:
    """Bytes of all images' files."""
    return sum(image.length or Path(image.path).stat().st_size for image in found)


def _lack(name: str, datasets: Sources, folder: Path) -> str:
    """The reason why a data set is not ready, as a sentence."""
    source = datasets[name]
    if source.needs:
        return f"needs all of {', '.join(source.needs)}."
    try:
        absent = [path for path in source.inputs(folder) if not path.exists()]
    except SgaplusError as error:
        return str(error)
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        return unobtained(datasets, name, folder) or f"{absent[0]}{more} could not be had; the log says why."
    return "not indexed; the log of index_dataset says why."


def write_states(states: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write the table of data sets as CSV, all or nothing."""
    write_csv(states, STATES, path)


def table(states: Iterable[Mapping[str, Any]]) -> str:
    """The table of data sets for the terminal; below it, the full reason for each missing data set."""
    states = list(states)
    cells = [("data set", "images", "Mpx", "bytes", "state"), *map(_cells, states)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(row[c].rjust(widths[c]) for c in (1, 2, 3)), row[4]]).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    missing = [f"{one['name']} is {one['state']}" for one in states if one["images"] is None]
    return "\n".join([*lines, *([""] if missing else []), *missing, ""])


def _cells(one: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    if one["images"] is None:
        return one["name"], "", "", "", one["state"].split(":")[0]
    return (
        one["name"],
        f"{one['images']:,}",
        f"{one['pixels'] / 1e6:,.1f}",
        size_text(one["bytes"]),
        one["state"],
    )
