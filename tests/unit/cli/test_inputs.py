from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sgaplus.cli.inputs import STANDARD, find
from sgaplus.errors import SgaplusError

from .running import names, run


@pytest.fixture
def tree(tmp_path) -> Path:
    """A folder of two pictures, one of them below, with other files beside them."""
    top = tmp_path / "tree"
    (top / "day" / ".cache").mkdir(parents=True)
    for path in (top / "b.PNG", top / "day" / "a.png", top / "day" / ".cache" / "c.png"):
        Image.new("RGB", (8, 8)).save(path)
    for name in ("x.heic", "y.HEIC", "notes.txt", "README", ".DS_Store"):
        (top / name).write_text("")
    return top


def test_a_folder_stands_for_its_files_and_says_what_it_skipped(tree):
    found = find([tree], {".png"}, recursive=False)
    assert [(file.path, file.folder) for file in found.files] == [(tree / "b.PNG", Path())]
    assert found.skipped_text() == (
        "4 files skipped: 2 .heic (pip install pillow-heif), 1 without a suffix, 1 .txt; 1 folder inside skipped "
        "(-r enters)"
    )


def test_folders_inside_folders_are_entered_if_asked_but_no_hidden_ones(tree):
    found = find([tree, STANDARD], {".png"}, recursive=True)
    assert [(file.path, file.folder) for file in found.files] == [
        (tree / "b.PNG", Path()),
        (tree / "day" / "a.png", Path("day")),
        (STANDARD, Path()),
    ]
    assert not found.folders


def test_a_folder_with_nothing_to_read_says_what_it_holds(tree):
    (file,) = find([tree], {".webp"}, recursive=False).files
    with pytest.raises(SgaplusError) as refusal:
        file.check()
    assert str(refusal.value) == (
        f"{tree}: holds no file that is read (.webp), but 2 .heic (pip install pillow-heif), 1 without a suffix, "
        "1 .png, 1 .txt and 1 folder (-r enters)."
    )
    (tree / "empty").mkdir()
    assert "nothing at all" in find([tree / "empty"], {".png"}, recursive=True).files[0].problem


def test_results_lie_as_their_sources_do(tree, tmp_path, capsys):
    assert run("compress", tree, "-r", "-o", tmp_path / "coded", "--steps", 0) == 0
    assert "skipped: 2 .heic" in capsys.readouterr().err
    assert names(tmp_path / "coded") == ["b.sga", "day"]
    assert run("decompress", tmp_path / "coded", "-r", "-o", tmp_path / "decoded", "--format", "webp") == 0
    assert names(tmp_path / "decoded" / "day") == ["a.webp"]
    assert run("evaluate", tree, "-r", "-b", tmp_path / "coded") == 0
    assert "mean of 2" in capsys.readouterr().out
