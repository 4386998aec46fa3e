from __future__ import annotations

import json
import subprocess

import pytest

from sgaplus import provenance, records
from sgaplus.artifacts import run_description

ROW = {"model": "low", "model_lmbda": 0.01, "weights": "abc", "hardware": "a processor", "device": "cpu"}
CONFIG = {"run": "mine", "device": "cpu"}


@pytest.fixture
def files(tmp_path):
    """Records of two versions and of two models."""
    old, new = ROW | {"software": "sgaplus 1"}, ROW | {"software": "sgaplus 2"}
    records.write([old, old, new], tmp_path / "one.parquet")
    records.write([new | {"model": "high", "model_lmbda": 0.05, "weights": "def"}], tmp_path / "two.parquet")
    return [tmp_path / "one.parquet", tmp_path / "two.parquet"]


def test_a_run_says_what_made_it(files):
    told = json.loads(json.dumps(run_description.describe(CONFIG, files)))
    assert told["configuration"] == CONFIG
    assert told["sgaplus"].keys() == {"version", "commit", "clean"}
    assert told["packages"]["torch"].startswith("2.11.0")
    assert told["hardware"]["cores"] >= 1
    assert told["date"].endswith("+00:00")
    assert told["models"] == {"low": {"lmbda": 0.01, "weights": "abc"}, "high": {"lmbda": 0.05, "weights": "def"}}
    made = {row["software"]: row["rows"] for row in told["records"]}
    assert made == {"sgaplus 1": 2, "sgaplus 2": 2}


def test_a_run_without_records_says_so(tmp_path):
    told = run_description.describe(CONFIG, [])
    assert told["records"] == []
    assert told["models"] == {}


def test_the_page_has_versions_machine_and_weights_and_takes_no_text_for_html(files):
    told = run_description.describe(CONFIG, files)
    page = run_description.page(told | {"date": "<b>"})
    for text in ("torch 2.11.0", "2 computed by sgaplus 1 on a processor (cpu)", "Model low", "abc", "&lt;b&gt;"):
        assert text in page


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one commit in the place of the project's."""

    def git(*arguments):
        identity = ("-c", "user.name=A", "-c", "user.email=a@b")
        return subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True, text=True
        )

    monkeypatch.setattr(provenance, "CHECKOUT", tmp_path)
    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    return tmp_path, git("rev-parse", "HEAD").stdout.strip()


def test_the_commit_is_told_and_whether_it_is_what_runs(checkout):
    folder, commit = checkout
    (folder / "untracked").write_text("")
    assert provenance.commit.__wrapped__() == (commit, True)
    (folder / "file").write_text("two")
    assert provenance.commit.__wrapped__() == (commit, False)


def test_without_a_repository_the_commit_is_not_known(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "CHECKOUT", tmp_path)
    assert provenance.commit.__wrapped__() == (None, None)


def test_software_is_a_line(monkeypatch):
    for commit, said in (
        ((None, None), "sgaplus 0.1.0, torch"),
        (("0123456789ab", False), "(012345678, changed), torch"),
    ):
        monkeypatch.setattr(provenance, "commit", lambda commit=commit: commit)
        assert said in provenance.software()
