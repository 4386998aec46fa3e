"""An environment with nothing but Snakemake plans the workflow; conda or a container gives jobs the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution
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


def plain(site: Path, folder: Path, *arguments: str, **variables: str) -> str:
    """What Python prints that knows no packages but those of the site."""
    command = [sys.executable, "-S", *arguments]
    environment = os.environ | {"PYTHONPATH": str(site)} | variables
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# Answers what Snakemake asks, and makes an environment whose packages are those of the tests.
CONDA = """#!/bin/sh
case "$*" in
"info --json") echo '{{"platform": "linux-64", "conda_prefix": "{here}", "root_prefix": "{here}"}}' ;;
*--version) echo conda 24.9.1 ;;
*channel_priority*) echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
*create*)
    for prefix; do :; done  # the last argument
    {python} -m venv --without-pip "$prefix"
    echo {packages} > "$prefix/lib/python{version}/site-packages/packages.pth"
    printf '#!/bin/sh\\necho "$@" > {here}/installed\\n' > "$prefix/bin/uv"
    chmod +x "$prefix/bin/uv" ;;
esac
"""


@pytest.fixture
def conda(tmp_path) -> Path:
    """The folder of a stand-in for conda, as Snakemake finds it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = distribution("torch").locate_file("")
    here = tmp_path / "conda"
    (here / "bin").mkdir(parents=True)
    names = {"here": here, "python": sys.executable, "packages": packages, "version": version}
    (here / "bin/conda").write_text(CONDA.format(**names))
    (here / "bin/conda").chmod(0o755)
    (here / "bin/activate").write_text('export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n')
    return here


@pytest.mark.parametrize("module", ["sgaplus", "numpy", "PIL", "torch", "skimage"])
def test_the_environment_has_nothing_but_snakemake(site, tmp_path, module):
    assert plain(site, tmp_path, "-c", f"import importlib.util as u; print(u.find_spec('{module}'))") == "None\n"


@pytest.mark.parametrize("configuration", ["config", "demo"])
def test_plain_snakemake_plans_as_the_whole_environment_does(clone, site, snakemake, configuration):
    options = ("-n", "--quiet", "rules", "--configfile", f"config/{configuration}.yaml")
    jobs = counts(plain(site, clone, "-m", "snakemake", *options))
    assert jobs == counts(snakemake(clone, *options).stdout)
    assert jobs["refine"] > 0


def test_jobs_run_in_the_environment_that_conda_makes(clone, site, conda, tmp_path):
    """A model is checked by torch, which the Snakemake that starts the job does not have."""
    model = "results/demo/models/small_lmbda0.001/model.pth"
    options = ("--configfile", str(clone / "config/demo.yaml"), "--cores", "1", "--sdm", "conda")
    path = f"{conda / 'bin'}:{os.environ['PATH']}"
    plain(site, tmp_path, "-m", "snakemake", "--snakefile", str(clone / "Snakefile"), model, *options, PATH=path)
    assert (tmp_path / model).is_file()
    assert str(clone / "envs/requirements.lock") in (conda / "installed").read_text()
