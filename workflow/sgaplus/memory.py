"""The memory that this process may take."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

import psutil

GROUPS = Path("/sys/fs/cgroup")
GROUP_OF_PROCESS = Path("/proc/self/cgroup")


def room() -> int:
    """Bytes that can still be taken: those free on the machine, within the limits of this process and its groups.

    Of a group, such as a container or a job of a cluster, the limit counts and not its use: much of that is
    cached files, which give way.
    """
    return min(psutil.virtual_memory().available, _limit_of_process(), *_limits_of_groups())


def _limit_of_process() -> int:
    """What ``ulimit -v`` leaves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    unlimited = limit == resource.RLIM_INFINITY
    return psutil.virtual_memory().total if unlimited else limit - psutil.Process().memory_info().vms


def _limits_of_groups() -> list[int]:
    """The limits of the process's control group and of those around it (Linux, of either version)."""
    limits = []
    with suppress(OSError):
        for line in GROUP_OF_PROCESS.read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers in ("", "memory"):
                group = GROUPS / controllers / place.lstrip("/")
                limits += [limit for folder in (group, *group.parents) if (limit := _limit_of(folder))]
    return limits


def _limit_of(group: Path) -> int | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # another version, or the word max
            return int((group / name).read_text())
    return None
