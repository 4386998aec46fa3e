"""The package that is built installs, runs and unfolds without the checkout."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image

from sgaplus import __version__
from sgaplus.cli.init import PARTS
from sgaplus.paths import CHECKOUT, LIBRARY
from tests.packages import link

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def built(source: Path, target: str, folder: Path) -> Path:
    """The wheel or the source distribution of a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (made,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return built(CHECKOUT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The programs of a virtual environment that has the wheel, the packages that it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install"]
    subprocess.run([*pip, "--quiet", "--no-index", "--no-deps", str(wheel)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    link([Requirement(text).name for text in PROJECT["project"]["dependencies"]], site)
    return folder / "bin"


def run(program: Path, folder: Path, *arguments: str) -> str:
    """What a program prints that knows nothing of the checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(program), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def contents(folder: Path) -> dict[Path, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_the_metadata_says_what_the_package_is(wheel):
    with zipfile.ZipFile(wheel) as files:
        (name,) = [name for name in files.namelist() if name.endswith("/METADATA")]
        metadata = email.message_from_bytes(files.read(name))
        assert any(name.endswith("licenses/LICENSE") for name in files.namelist())
    assert (metadata["Name"], metadata["Version"]) == ("sgaplus", __version__)
    assert (metadata["License-Expression"], metadata["Requires-Python"]) == ("MIT", "<3.13,>=3.11")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().startswith("# sgaplus")
    assert "arxiv.org" in metadata["Project-URL"]
    assert len(metadata.get_all("Classifier")) > 5


def test_what_the_package_needs_is_what_is_locked():
    lock = (CHECKOUT / "envs/requirements.lock").read_text()
    for text in PROJECT["project"]["dependencies"]:
        needed = Requirement(text)
        versions = [line.split()[0] for line in lock.splitlines() if line.startswith(f"{needed.name}==")]
        assert versions, f"{needed.name} is not in the lock"
        for locked in versions:
            assert needed.specifier.contains(locked.split("==")[1]), locked


def test_the_wheel_holds_the_files_of_the_workflow(wheel, tmp_path):
    packed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert packed == {part: f"sgaplus/shipped/{part}" for part in PARTS}
    zipfile.ZipFile(wheel).extractall(tmp_path)
    for part in PARTS:
        source, found = CHECKOUT / part, tmp_path / "sgaplus/shipped" / part
        assert contents(found) == contents(source)
        assert found.is_dir() or found.read_bytes() == source.read_bytes()


def test_the_command_compresses_in_an_empty_environment_and_folder(installed, tmp_path):
    Image.effect_noise((64, 64), 20).convert("RGB").save(tmp_path / "noise.png")
    run(installed / "sgaplus", tmp_path, "compress", "noise.png", "-o", "noise.sga", "--steps", "2")
    run(installed / "sgaplus", tmp_path, "decompress", "noise.sga", "-o", "again.png")
    assert Image.open(tmp_path / "again.png").size == (64, 64)
    assert run(installed / "sgaplus", tmp_path, "--version") == f"sgaplus {__version__}\n"


def test_init_writes_a_workflow_that_plans(installed, tmp_path):
    assert "snakemake -n" in run(installed / "sgaplus", tmp_path, "init", "mine")
    assert contents(tmp_path / "mine/workflow/sgaplus") == contents(LIBRARY)
    plan = run(Path(sys.executable), tmp_path / "mine", "-m", "snakemake", "-n", "--quiet", "rules")
    assert "train_model" in plan


def test_the_source_distribution_makes_the_same_wheel(wheel, tmp_path):
    with tarfile.open(built(CHECKOUT, "sdist", tmp_path / "sdist")) as files:
        files.extractall(tmp_path, filter="data")
    again = built(tmp_path / f"sgaplus-{__version__}", "wheel", tmp_path / "again")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
