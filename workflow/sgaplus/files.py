"""Writing results so that a reader never meets half a file."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sgaplus.errors import DiskError

ANY_NAME: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}
"""Arguments of ``open`` for text with names of files, which need not be UTF-8."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name in ``path``'s folder, renamed to ``path`` if the block ends well, removed if not.

    The name ends like ``path``, because writers choose their format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes private files; results are for everybody
        os.replace(name, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def write_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], path: str | Path) -> None:
    """Write rows as CSV, all or nothing; the cell of a key that a row lacks stays empty."""
    with replacing(path) as temporary, open(temporary, "w", newline="", **ANY_NAME) as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def write_json(content: Mapping[str, Any], path: str | Path) -> None:
    """Write JSON, all or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def write_tensors(content: Mapping[str, Any], path: str | Path) -> None:
    """Write tensors with ``torch.save``, all or nothing.

    The file is first built in memory: torch would write its temporary name into it, and on a full disk raise an
    error about something else.

    Raises:
        DiskError: the disk is full.
    """
    import torch  # here, because the start of the workflow does without it and it takes seconds

    packed = io.BytesIO()
    torch.save(content, packed)
    with room_for(path), replacing(path) as temporary:
        # no view of it: one that an error's traceback keeps crashes Python 3.12.0 and 3.12.1 (its issue 111049)
        temporary.write_bytes(packed.getvalue())


def is_text(path: str | Path) -> bool:
    """Whether a path is Unicode; names of files may be any bytes, of which Python makes half a surrogate pair each."""
    return not any("\ud800" <= sign <= "\udfff" for sign in str(path))


def sha256(path: str | Path) -> str:
    """The hex SHA-256 of a file's bytes."""
    return digest(path, "sha256")


def digest(path: str | Path, kind: str) -> str:
    """The hash of a file's bytes in hex; ``kind`` is an algorithm of hashlib."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


@contextmanager
def room_for(path: str | Path) -> Iterator[None]:
    """Tell a full disk from other errors of the block, which writes to ``path``.

    Raises:
        DiskError: the disk or the user's share of it is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskError(
            f"{path}: no room left on this disk. Free some, or use a larger one: for data sets, `data_folder` "
            "in the configuration."
        ) from error


def size_text(size: int | float) -> str:
    """A number of bytes for reading: 736 kB, 4.04 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, {"bytes": "kB", "kB": "MB", "MB": "GB", "GB": "TB"}[unit]
    return f"{size:.3g} {unit}"


def shorten(text: str, length: int = 200) -> str:
    """A text for an error's sentence; the middle of a long one is left out."""
    half = length // 2 - 2
    return text if len(text) <= length else f"{text[:half]}...{text[-half:]}"
