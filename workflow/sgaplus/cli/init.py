"""The command ``sgaplus init``: the files of the workflow, for a folder of one's own."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from sgaplus.errors import ConfigError
from sgaplus.paths import LIBRARY, PACKED, shipped

PARTS = (
    *("Snakefile", "config", "envs", "profiles", "workflow/Snakefile", "workflow/models"),
    *("workflow/report", "workflow/rules", "workflow/schemas", "workflow/scripts"),
)
"""The files and folders of the workflow beside the library; pyproject.toml packs them."""

LEFT_OUT = shutil.ignore_patterns("__pycache__", PACKED.name)

NEXT = """The workflow is in {folder}. There:

    snakemake -n                                                               the plan of the paper
    snakemake report --sdm conda --cores all --configfile config/demo.yaml     the demo

Without --sdm conda, jobs run in the environment of Snakemake, which must have what envs/requirements.lock says.
"""


def run(options: argparse.Namespace) -> int:
    """Write the workflow, all or nothing, and return the exit status.

    Raises:
        ConfigError: there is something in the way.
    """
    folder = options.folder
    if folder.exists() and not (folder.is_dir() and next(folder.iterdir(), None) is None):
        raise ConfigError(f"{folder}: is not empty. Name another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        unfinished = Path(temporary) / "workflow"
        for part in PARTS:
            _copy(shipped(part), unfinished / part)
        _copy(LIBRARY, unfinished / "workflow" / LIBRARY.name)
        unfinished.replace(folder)
    print(NEXT.format(folder=folder), end="")
    return 0


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=LEFT_OUT)
    else:
        shutil.copy2(source, target)
