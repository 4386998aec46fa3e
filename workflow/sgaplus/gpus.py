"""GPUs of this machine, each for one job at a time.

Snakemake counts the jobs that may use a GPU at once and does not say which takes which. Here a job takes GPUs that are
free and keeps them until its process ends, in whatever way: the lock of an open file ends with the process.
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
"""Time between two looks for a free GPU."""

_held: dict[str, IO[bytes]] = {}
"""The locks of this process by the names of their GPUs; they stay open as long as it lives."""


def claim(names: Sequence[str], number: int, folder: Path | None = None) -> list[int]:
    """Take free GPUs; wait until there are enough.

    Args:
        names: A name of each GPU that this process sees, the same in every process of the machine.
        number: How many to take, at most ``len(names)``.
        folder: Place of the lock files; if None, one that all jobs of a user on a machine share.

    Returns:
        Their indices in ``names``, in order. A process that has GPUs already keeps those.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"sgaplus-gpus-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    with _turn(folder):
        said = False
        while len(mine := _mine(names, number, folder)) < number:
            if not said:
                logger.info("waiting for a GPU: other jobs have %d of %d", len(names) - len(mine), len(names))
                said = True
            time.sleep(POLL_SECONDS)
    return mine


def _mine(names: Sequence[str], number: int, folder: Path) -> list[int]:
    """The GPUs of this process after taking free ones, up to a number."""
    for name in names:
        if sum(name in _held for name in names) < number and name not in _held:
            _take(name, folder)
    return [index for index, name in enumerate(names) if name in _held][:number]


def _take(name: str, folder: Path) -> None:
    """Take a GPU if no other process has it."""
    lock = (folder / name).open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
    else:
        _held[name] = lock


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One process chooses at a time, so that two that need several GPUs don't wait for each other's."""
    with (folder / "turn").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
