"""The command line as tests of it call it."""

from __future__ import annotations

from pathlib import Path

from sgaplus.cli.main import main


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
