from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sgaplus.cli import main as command_line

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
    "no such model": (["compress", "a.png", "-o", "o", "--model", "m.pth", "--lmbda", "1"], "m.pth: no such model"),
    "model alone": (["compress", "a.png", "-o", "o", "--model", "m.pth"], "Add --lmbda"),
    "many into one": (["compress", "a.png", "b.png", "-o", "o.sga"], "2 files do not fit into one"),
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


def test_help_comes_without_torch():
    code = "import sys; from sgaplus.cli import main; main._parser().format_help(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_command_of_the_readme_is_one():
    text = (REPOSITORY / "README.md").read_text()
    commands = re.findall(r"^    python -m sgaplus (.+)$", text, re.M)
    assert {command.split()[0] for command in commands} == {"compress", "decompress", "info", "evaluate"}
    for command in commands:
        command_line._parser().parse_args(shlex.split(command))


def test_a_missing_gpu_or_model_is_an_error_with_the_option_that_mends_it(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    command = ("compress", photos, "-o", tmp_path / "coded")
    assert run(*command, "--device", "cuda") == 2
    assert capsys.readouterr().err == (
        "error: --device cuda: torch finds no CUDA device here. Choose --device cpu or --device auto.\n"
    )
    assert run(*command, "--steps", 0, "--model", tmp_path / "absent.pth") == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/absent.pth: no such model file. Correct --model.\n"
