from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sgaplus.cli.main import main
from sgaplus.refinement import memory


@pytest.fixture(autouse=True)
def small_trial(monkeypatch):
    """Memory is measured on an image as small as the tests' own."""
    monkeypatch.setattr(memory, "TRIAL_SIDE", 64)


@pytest.fixture
def photos(tmp_path, photograph) -> Path:
    """A folder of two photographs and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, (name, size) in enumerate({"a.png": (70, 90), "b.tif": (64, 64)}.items()):
        Image.fromarray(photograph(*size, seed=i).pixels).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture
def coded(photos, tmp_path) -> Path:
    """The folder of their bitstreams."""
    assert main(["compress", str(photos), "-o", str(tmp_path / "coded"), "--steps", "0"]) == 0
    return tmp_path / "coded"
