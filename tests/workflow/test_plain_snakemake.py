"""An environment with nothing but Snakemake plans the workflow; conda or a container gives jobs the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packages import link

from .conftest import checkout
from .test_plan import counts


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder of links to Snakemake and the packages that it needs."""
    folder = tmp_path_factory.mktemp("site")
    link(["snakemake"], folder)
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
