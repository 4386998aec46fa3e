from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from sgaplus.cli import work as module
from sgaplus.cli.inputs import Input, Inputs
from sgaplus.cli.work import Result, Work, duration_text
from sgaplus.errors import SgaplusError
from sgaplus.progress import tqdm

from .running import names, run


def work_of(count: int, parts: float = 1, **options: bool) -> Work:
    given = argparse.Namespace(**{"quiet": False, "verbose": False, "json": False} | options)
    files = [Input(Path(f"{i}.png")) for i in range(count)]
    return Work(given, Inputs(files), [1.0] * count, parts, " on the CPU")


def test_ctrl_c_leaves_what_is_done(capsys):
    def do(file: Input) -> Result:
        if file.name == "2":
            raise KeyboardInterrupt
        return Result(f"{file} is done", {})

    work = work_of(4)
    work.each(do)
    assert work.end() == 130
    said = capsys.readouterr()
    assert said.out == "0.png is done\n1.png is done\n"
    assert said.err.splitlines()[-1] == "stopped: 2 of 4 files are done"


def test_a_long_work_says_in_its_first_seconds_how_long_it_takes(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def do(file: Input) -> Result:
        with tqdm(total=10) as bar:
            for _ in range(10):
                now[0] += 60
                bar.update()
        return Result(f"{file}", {})

    work_of(3, parts=2).each(do)  # the first step tells nothing, and then 1/60 of the work takes a minute
    assert capsys.readouterr().err.count("this takes about 58 min on the CPU\n") == 1
    work_of(3, quiet=True).each(do)
    assert capsys.readouterr().err == ""


def test_short_work_is_not_announced(capsys):
    work_of(3).each(lambda file: Result(f"{file}", {}))
    assert capsys.readouterr().err == ""


def test_json_holds_results_failures_and_what_was_skipped(capsys):
    def do(file: Input) -> Result:
        if file.name == "1":
            raise SgaplusError("is broken")
        return Result("a line", {"file": str(file)})

    work = work_of(2, json=True)
    work.inputs.skipped[".txt"] += 1
    work.each(do)
    assert work.end(mean={"bpp": 1.0}) == 1
    said = capsys.readouterr()
    answer = json.loads(said.out)
    (row,) = answer.pop("files")
    assert row.pop("seconds") >= 0
    assert row == {"file": "0.png"}
    assert answer == {
        "mean": {"bpp": 1.0},
        "failed": [{"file": "1.png", "error": "1.png: is broken"}],
        "skipped": {".txt": 1},
        "folders_skipped": 0,
    }
    assert "1 of 2 failed:\n  1.png: is broken\n" in said.err


def test_the_commands_answer_programs(photos, tmp_path, capsys):
    def answer(*arguments: object) -> dict:
        capsys.readouterr()
        assert run(*arguments, "--json") == 0
        return json.loads(capsys.readouterr().out)

    compressed = answer("compress", photos, "-o", tmp_path / "coded", "--steps", 1)["files"]
    assert [row["bitstream"] for row in compressed] == [str(tmp_path / "coded" / name) for name in ("a.sga", "b.sga")]
    assert {row["method"] for row in compressed} == {"ssl_faster"}
    shown = answer("info", tmp_path / "coded")["files"]
    assert [row["bytes"] for row in shown] == [row["bytes"] for row in compressed]
    assert Path(shown[0]["model_file"]).stem == compressed[0]["model"]
    measured = answer("evaluate", photos, "-b", tmp_path / "coded")
    assert [row["psnr"] for row in measured["files"]] == pytest.approx([row["psnr"] for row in compressed])
    assert measured["mean"]["bytes"] == sum(row["bytes"] for row in compressed) / 2


def test_quiet_commands_say_what_was_asked_for_and_no_more(photos, coded, tmp_path, capsys):
    capsys.readouterr()
    assert run("decompress", coded, "-o", tmp_path / "decoded", "-q") == 0
    assert names(tmp_path / "decoded") == ["a.png", "b.png"]
    said = capsys.readouterr()
    assert said.out == said.err == ""
    assert run("evaluate", photos, "-b", coded, "-q") == 0
    said = capsys.readouterr()
    assert "mean of 2" in said.out
    assert said.err == ""


def test_verbose_commands_say_how_long_a_file_took(coded, tmp_path, capsys):
    capsys.readouterr()
    assert run("decompress", coded / "a.sga", "-o", tmp_path / "a.png", "-v") == 0
    assert capsys.readouterr().out.rstrip().endswith(" s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0123, "0.0123 s"),
        (41.23, "41.2 s"),
        (59.97, "60 s"),
        (250, "4 min 10 s"),
        (2400, "40 min"),
        (18120, "5 h 2 min"),
    ],
)
def test_durations_are_for_reading(seconds, text):
    assert duration_text(seconds) == text
