"""An installed package carries the files that ship with it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from sgaplus.paths import shipped

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The files of the wheel, far from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site-packages")
    return folder / "site-packages"


def run(site: Path, folder: Path, *arguments: str) -> str:
    """What Python prints that imports the library from the unpacked wheel."""
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", ["config", "workflow/models", "workflow/schemas"])
def test_the_wheel_holds_the_shipped_files_of_the_checkout(unpacked, name):
    found = Path(run(unpacked, unpacked, "-c", f"from sgaplus.paths import shipped; print(shipped({name!r}))").strip())
    assert found.is_relative_to(unpacked)
    files = {path.name: path.read_bytes() for path in shipped(name).iterdir()}
    assert {path.name: path.read_bytes() for path in found.iterdir()} == files


def test_the_package_compresses_without_the_checkout(unpacked, tmp_path):
    Image.effect_noise((64, 64), 20).convert("RGB").save(tmp_path / "noise.png")
    run(unpacked, tmp_path, "-m", "sgaplus", "compress", "noise.png", "-o", "noise.sga", "--steps", "2")
    run(unpacked, tmp_path, "-m", "sgaplus", "decompress", "noise.sga", "-o", "again.png")
    assert Image.open(tmp_path / "again.png").size == (64, 64)
