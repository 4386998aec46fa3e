"""An environment with nothing but Snakemake plans the workflow; conda or a container gives jobs the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from .conftest import checkout
from .test_plan import counts


def needed(name: str, found: set[str]) -> set[str]:
    """A package and all packages that it needs, added to those that were found."""
    if name not in found:
        found.add(name)
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed(requirement.name.lower(), found)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder of links to Snakemake and the packages that it needs."""
    folder = tmp_path_factory.mktemp("site")
    for name in needed("snakemake", set()):
        package = distribution(name)
        for top in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(package.locate_file(top))
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    return checkout(tmp_path_factory.mktemp("plain"))


def plain(site: Path, folder: Path, *arguments: str) -> str:
    """What Python prints that knows no packages but those of the site."""
    command = [sys.executable, "-S", *arguments]
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("module", ["sgaplus", "numpy", "PIL", "torch", "skimage"])
def test_the_environment_has_nothing_but_snakemake(site, tmp_path, module):
    assert plain(site, tmp_path, "-c", f"import importlib.util as u; print(u.find_spec('{module}'))") == "None\n"


@pytest.mark.parametrize("configuration", ["config", "demo"])
def test_plain_snakemake_plans_as_the_whole_environment_does(clone, site, snakemake, configuration):
    options = ("-n", "--quiet", "rules", "--configfile", f"config/{configuration}.yaml")
    jobs = counts(plain(site, clone, "-m", "snakemake", *options))
    assert jobs == counts(snakemake(clone, *options).stdout)
    assert jobs["refine"] > 0
