"""The origin of a result: the project's version and commit, the packages, the date."""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version

from sgaplus import __version__
from sgaplus.paths import CHECKOUT

PACKAGES = (
    *("torch", "torchvision", "compressai", "numpy", "scipy", "pandas", "pyarrow", "pillow", "matplotlib"),
    *("bjontegaard", "snakemake"),
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


@cache
def commit() -> tuple[str | None, bool | None]:
    """The commit of the checkout, and whether its files are unchanged since; None if git does not tell."""
    if not (CHECKOUT / ".git").exists():
        return None, None
    with suppress(OSError, subprocess.CalledProcessError):
        return _git("rev-parse", "HEAD"), not _git("status", "--porcelain", "--untracked-files=no")
    return None, None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(CHECKOUT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def software() -> str:
    """Versions of the project and of torch in a line, for a record: ``sgaplus 0.1.0 (5780917aa), torch 2.11.0``."""
    name, clean = commit()
    state = "" if name is None else f" ({name[:9]}{'' if clean else ', changed'})"
    return f"sgaplus {__version__}{state}, torch {version('torch')}"


def now() -> str:
    """Date and time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
