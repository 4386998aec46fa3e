from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from sgaplus import __version__
from sgaplus.cli import main as command_line
from sgaplus.config import methods
from tests.unit.making import png

from .running import names, run

REPOSITORY = Path(__file__).parents[3]


WRONG = {
    "nothing": ([], "required"),
    "no such command": (["shrink"], "invalid choice"),
    "no output": (["compress", "a.png"], "-o/--output"),
    "negative steps": (["compress", "a.png", "-o", "o", "--steps", "-1"], "below 0"),
    "lambda of 0": (["compress", "a.png", "-o", "o", "--lmbda", "0"], "not above 0"),
    "two goals": (["compress", "a.png", "-o", "o", "--lmbda", "1", "--target-bpp", "1"], "not allowed with"),
    "target without steps": (["compress", "a.png", "-o", "o", "--target-psnr", "30", "--steps", "0"], "above 0"),
    "no such method": (["compress", "a.png", "-o", "o", "--method", "sgaa"], "Did you mean 'sga'"),
    "no such effort": (["compress", "a.png", "-o", "o", "--effort", "10"], "--effort"),
    "no such model": (["compress", "a.png", "-o", "o", "--model", "m.pth", "--lmbda", "1"], "m.pth: no such model"),
    "model alone": (["compress", "a.png", "-o", "o", "--model", "m.pth"], "Add --lmbda"),
    "many into one": (["compress", "a.png", "b.png", "-o", "o.sga"], "2 files do not fit into one"),
    "no number": (["compress", "a.png", "-o", "o", "--lmbda", "abc"], "--lmbda: 'abc' is no number"),
    "no whole number": (["compress", "a.png", "-o", "o", "--seed", "1.5"], "--seed: '1.5' is no whole number"),
    "no threads": (["info", "a.sga", "--threads", "0"], "--threads: 0 is not above 0"),
    "quiet and verbose": (["info", "a.sga", "-q", "-v"], "not allowed with"),
    "many to standard output": (["compress", "a.png", "b.png", "-o", "-"], "2 files do not fit into one"),
    "two on standard output": (["compress", "a.png", "-o", "-", "--json"], "standard output is one of them"),
    "evaluation of standard input": (["evaluate", "-", "-b", "o"], "Name the photograph"),
    "two formats": (["decompress", "a.sga", "-o", "a.png", "--format", "webp"], "--format webp: --output a.png says"),
    "workflow over files": (["init", "/"], "/: is not empty"),
    "not a png": (["decompress", "a.sga", "-o", "a.jpg"], "name a folder, or a file that ends in .png"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_command_is_told_so(kind, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, message = WRONG[kind]
    try:
        status = run(*arguments)
    except SystemExit as stop:  # argparse's own
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert names(tmp_path) == []


def test_sgaplus_is_the_command():
    (script,) = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"].items()
    assert EntryPoint(*script, group="console_scripts").load() is command_line.main
    assert script[0] == "sgaplus"


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit) as stop:
        run("--version")
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"sgaplus {__version__}\n"


@pytest.mark.parametrize("command", [[], ["compress"], ["decompress"], ["info"], ["evaluate"], ["init"]], ids=str)
def test_help_says_the_exit_statuses(command, capsys):
    with pytest.raises(SystemExit):
        run(*command, "--help")
    assert command_line.STATUSES in capsys.readouterr().out


def test_a_command_whose_reader_is_gone_ends_without_a_word(coded):
    command = [sys.executable, "-m", "sgaplus", "info", str(coded)]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (command_line.NO_READER, "")


def test_threads_are_those_that_are_asked_for(coded):
    before = torch.get_num_threads()
    try:
        assert run("info", coded, "--threads", 3) == 0
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("shell", command_line.SHELLS)
def test_a_shell_completes_commands_options_and_files(shell, capsys):
    with pytest.raises(SystemExit) as stop:
        run("--completion", shell)
    assert stop.value.code == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("sgaplus", "decompress", "target-psnr", "webp"))


def test_bash_completes_a_file_and_a_choice(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("--completion", "bash")
    (tmp_path / "completion").write_text(capsys.readouterr().out)
    (tmp_path / "beach.jpg").write_text("")

    def completed(*words: str) -> list[str]:
        code = 'source ./completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_sgaplus; echo "${COMPREPLY[@]}"'
        command = ["bash", "-c", code, "bash", "sgaplus", *words]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()

    assert completed("comp") == ["compress"]
    assert completed("compress", "bea") == ["beach.jpg"]
    assert completed("compress", "--device", "cu") == ["cuda"]
    assert completed("compress", "--target-p") == ["--target-psnr"]


def test_help_comes_without_torch():
    code = "import sys; from sgaplus.cli import main; main._parser().format_help(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_command_of_the_readme_is_one():
    text = (REPOSITORY / "README.md").read_text()
    commands = re.findall(r"^    sgaplus (.+)$", text, re.M)
    assert {command.split()[0] for command in commands} == {"compress", "decompress", "info", "evaluate"}
    for command in commands:
        command_line._parser().parse_args(shlex.split(re.split("[<>|]", command)[0]))


def test_a_missing_gpu_or_model_is_an_error_with_the_option_that_mends_it(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    command = ("compress", photos, "-o", tmp_path / "coded")
    assert run(*command, "--device", "cuda") == 2
    assert capsys.readouterr().err == (
        "error: --device cuda: torch finds no CUDA device here. Choose --device cpu or --device auto.\n"
    )
    assert run(*command, "--steps", 0, "--model", tmp_path / "absent.pth") == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/absent.pth: no such model file. Correct --model.\n"


def test_a_file_name_that_the_terminal_lacks_stops_nothing(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    for each in (name, "plain.png"):
        (tmp_path / each).write_bytes(png())
    command = [sys.executable, "-m", "sgaplus", "compress", str(tmp_path), "-o", str(tmp_path / "out")]
    command += ["--steps", "1", "--device", "cpu"]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert [line.split(" -> ")[0] for line in done.stdout.splitlines() if " -> " in line] == [
        f"{tmp_path}/caf\\udce9.png",
        f"{tmp_path}/plain.png",
    ]
    assert names(tmp_path / "out") == [os.fsdecode(b"caf\xe9.sga"), "plain.sga"]


def test_an_effort_is_a_method_and_its_steps_unless_they_are_given():
    def found(*arguments):
        options = command_line.parsed(["compress", "a.png", "-o", "o", *arguments])
        return options.method, options.steps

    assert found() == command_line.EFFORTS[command_line.DEFAULT_EFFORT]
    assert found("--effort", "2") == command_line.EFFORTS[2]
    assert found("--effort", "2", "--steps", "0") == (command_line.EFFORTS[2][0], 0)
    assert found("--method", "sga", "--effort", "9") == ("sga", command_line.EFFORTS[9][1])
    assert found("--steps", "100000") == (command_line.EFFORTS[9][0], 100000)
    for method, steps in command_line.EFFORTS.values():
        assert found("--steps", str(steps)) == (method, steps)


def test_more_effort_is_more_steps_of_methods_that_exist():
    assert sorted(command_line.EFFORTS) == list(range(1, 10))
    steps = [steps for _, steps in command_line.EFFORTS.values()]
    assert steps == sorted(set(steps))
    assert {method for method, _ in command_line.EFFORTS.values()} <= methods.read().keys()
