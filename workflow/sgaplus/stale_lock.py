"""The lock that Snakemake leaves in this folder when it is killed hard: `make demo` removes it.

What might be the lock of a run that still works stays, and Snakemake then refuses by itself.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

LOCKS = Path(".snakemake/locks")
HOSTS = Path(".snakemake/hosts")
"""A file for each host on which a run of this folder was started, as old as the last such run."""

CLUSTER = "a cluster"
"""Host of a run whose jobs a cluster has: they live on without Snakemake, where this machine can't see them."""


def record_host(local: bool) -> None:
    """Note where a run works that has just taken its lock; ``local`` unless a cluster has its jobs."""
    HOSTS.mkdir(exist_ok=True)
    (HOSTS / (platform.node() if local else CLUSTER)).touch()


def main() -> None:
    """Remove the lock of this folder if its owner is gone, or say why it stays."""
    locks = _found()
    if not locks:
        return
    if owner := _owner_elsewhere(locks) or _owner_here():
        print(f"The lock of this folder stays: it may be that of {owner}", file=sys.stderr)
    else:
        shutil.rmtree(LOCKS)  # as `snakemake --unlock` does, which takes seconds
        print("Removed the lock of a run that was killed", file=sys.stderr)


def _found() -> list[os.stat_result]:
    """What the file system knows of each lock."""
    locks = []
    for file in LOCKS.glob("*.lock"):
        with suppress(FileNotFoundError):  # its run has just ended
            locks.append(file.stat())
    return locks


def _owner_elsewhere(locks: Sequence[os.stat_result]) -> str:
    """Who may have the locks that this machine or user can't see at work, and what to do; empty if nobody.

    A run notes its host when it has its lock. So what is older than all locks is of a run that has none.
    """
    taken = min(lock.st_mtime for lock in locks)
    started = [file.name for file in sorted(HOSTS.glob("*")) if file.stat().st_mtime >= taken]
    owners = [f"a run on {host}" for host in started if host != platform.node()]
    owners += ["another user's run"] * any(lock.st_uid != os.getuid() for lock in locks)
    return f"{' or '.join(owners)}. If none is left: snakemake --unlock" if owners else ""


def _owner_here() -> str:
    """The process of a run that works in this folder; empty if there is none.

    What can't be read is another user's process, which has none of this user's locks.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            command = process.cmdline()
            if _is_of_a_run(command) and Path(process.cwd()).samefile("."):
                return f"process {process.pid}: {shlex.join(command)}"
    return ""


def _is_of_a_run(command: Sequence[str]) -> bool:
    """Whether Python runs Snakemake, or the script of a job, which lives on when Snakemake is killed."""
    program, *arguments = command or [""]
    return "python" in Path(program).name.lower() and any(
        Path(argument).name == "snakemake" or "/.snakemake/scripts/" in argument for argument in arguments
    )


if __name__ == "__main__":
    main()
