"""The files that a command works on: files by their names, files of folders, and standard input."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sgaplus.codec import bitstream
from sgaplus.data import photographs
from sgaplus.data.photographs import Photograph
from sgaplus.errors import SgaplusError

STANDARD = Path("-")
"""Stands for standard input or standard output."""

REMEDIES = dict.fromkeys((".heic", ".heif"), "pip install pillow-heif")
"""What makes files of a suffix readable."""


@dataclass(frozen=True)
class Input:
    """A file to work on.

    Attributes:
        path: The file, or :data:`STANDARD`.
        folder: Its folder below the folder that was named; the result goes to the same place.
        problem: Why there is nothing to work on; empty if there is.
    """

    path: Path
    folder: Path = Path()
    problem: str = ""

    @property
    def name(self) -> str:
        """Its name without a suffix, which is its result's too."""
        return "stdin" if self.path == STANDARD else self.path.stem

    def __str__(self) -> str:
        return "standard input" if self.path == STANDARD else str(self.path)

    def check(self) -> None:
        """Refuse an input with a problem.

        Raises:
            SgaplusError: it has one.
        """
        if self.problem:
            raise SgaplusError(f"{self}: {self.problem}")

    def photograph(self, strip: bool) -> Photograph:
        """The photograph that the file is, as by ``photographs.read``."""
        self.check()
        if self.path == STANDARD:
            return photographs.decode(sys.stdin.buffer.read(), str(self), strip)
        return photographs.read(self.path, strip)

    def bitstream(self) -> bytes:
        """The bitstream that the file is, as by ``bitstream.read``."""
        self.check()
        if self.path != STANDARD:
            return bitstream.read(self.path)
        data = sys.stdin.buffer.read()
        bitstream.read_header(data, str(self))
        return data


@dataclass
class Inputs:
    """The files of a command, and the other files of their folders.

    Attributes:
        files: The files in the order in which they were named; files of a folder by name.
        skipped: Files of other suffixes, counted by suffix.
        folders: Number of folders inside folders that were not entered.
    """

    files: list[Input] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    folders: int = 0

    def skipped_text(self) -> str:
        """A line about skipped files, or nothing: ``3 files skipped: 2 .heic (pip install pillow-heif), 1 .txt``."""
        parts = []
        if self.skipped:
            parts.append(f"{_counted(self.skipped.total(), 'file')} skipped: {_by_suffix(self.skipped)}")
        if self.folders:
            parts.append(f"{_counted(self.folders, 'folder')} inside skipped (-r enters)")
        return "; ".join(parts)


def find(paths: Iterable[Path], suffixes: Collection[str], recursive: bool) -> Inputs:
    """The files, with every folder replaced by its files of these suffixes.

    Args:
        paths: Files, folders, and :data:`STANDARD`.
        suffixes: Suffixes in lower case that are taken from folders. Hidden files are neither taken nor counted.
        recursive: Whether folders inside folders are entered.
    """
    found = Inputs()
    for path in paths:
        if path != STANDARD and path.is_dir():
            _enter(path, suffixes, recursive, found)
        else:
            found.files.append(Input(path))
    return found


def _enter(top: Path, suffixes: Collection[str], recursive: bool, found: Inputs) -> None:
    taken, skipped = [], Counter[str]()
    for folder, inside, names in os.walk(top):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        if not recursive:
            found.folders += len(inside)
            inside.clear()
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix.lower() in suffixes:
                taken.append(Input(path, Path(folder).relative_to(top)))
            elif not name.startswith("."):
                skipped[path.suffix.lower()] += 1
    found.skipped += skipped
    found.files += taken or [Input(top, problem=_nothing_in_it(suffixes, skipped, found.folders))]


def _nothing_in_it(suffixes: Collection[str], skipped: Counter[str], folders: int) -> str:
    kinds = ", ".join(sorted(suffixes))
    inside = [_by_suffix(skipped)] if skipped else []
    inside += [f"{_counted(folders, 'folder')} (-r enters)"] if folders else []
    return f"holds no file that is read ({kinds}), but {' and '.join(inside) or 'nothing at all'}."


def _by_suffix(counts: Counter[str]) -> str:
    """Counted suffixes, the most frequent first: ``2 .heic (pip install pillow-heif), 1 .txt``."""
    texts = []
    for suffix, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        remedy = f" ({REMEDIES[suffix]})" if suffix in REMEDIES else ""
        texts.append(f"{count} {suffix or 'without a suffix'}{remedy}")
    return ", ".join(texts)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
