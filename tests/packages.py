"""Installed packages, with all that they need and nothing else."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(names: list[str]) -> set[str]:
    """The packages and all packages that they need."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = canonicalize_name(pending.pop())
        if name not in found:
            found.add(name)
            requirements = map(Requirement, distribution(name).requires or [])
            pending += [each.name for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})]
    return found


def link(names: list[str], folder: Path) -> None:
    """Make a folder of links to packages and all that they need, for the path of a Python."""
    for name in needed(names):
        package = distribution(name)
        for top in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(package.locate_file(top))
