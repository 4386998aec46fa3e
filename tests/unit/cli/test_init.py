from __future__ import annotations

from sgaplus.cli.init import PARTS
from sgaplus.paths import LIBRARY, shipped

from .running import names, run


def test_the_workflow_is_written_into_a_new_or_empty_folder(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "below" / "new", tmp_path / "empty"):
        assert run("init", folder) == 0
        assert f"The workflow is in {folder}." in capsys.readouterr().out
        assert all((folder / part).exists() for part in PARTS)
        assert (folder / "Snakefile").read_bytes() == shipped("Snakefile").read_bytes()
        assert (folder / "workflow/sgaplus/paths.py").read_bytes() == (LIBRARY / "paths.py").read_bytes()
        assert list(folder.rglob("__pycache__")) == []
        assert names(folder.parent) == sorted({folder.name, *names(folder.parent)} - {".", ".."})


def test_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / "config").write_text("mine")
    for folder in (tmp_path, tmp_path / "config"):
        assert run("init", folder) == 2
        assert "is not empty. Name another folder." in capsys.readouterr().err
    assert names(tmp_path) == ["config"]
    assert (tmp_path / "config").read_text() == "mine"
