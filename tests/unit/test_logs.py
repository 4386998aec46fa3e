"""What a rule's script says of an error."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from sgaplus import devices
from sgaplus.codec.hyperprior import load_state
from sgaplus.errors import ConfigError
from sgaplus.logs import logged


def said(work, tmp_path) -> str:
    with pytest.raises(SystemExit), logged(tmp_path / "rule.log"):
        work()
    return (tmp_path / "rule.log").read_text()


def test_an_error_that_a_user_can_mend_is_one_sentence(tmp_path):
    def work():
        raise ConfigError("seeds: {0} is no list.")

    assert said(work, tmp_path) == "error: seeds: {0} is no list.\n"


def test_the_configurations_remedy_is_added_to_errors_about_values(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert said(lambda: devices.resolve("cuda"), tmp_path) == (
        "error: device: cuda, but torch finds no CUDA device here. Set `device: cpu` or `device: auto`.\n"
    )
    assert said(lambda: load_state(tmp_path / "absent.pth"), tmp_path) == (
        f"error: {tmp_path}/absent.pth: no such model file. "
        "Train it, or correct the model's entry in the configuration.\n"
    )


@pytest.mark.parametrize("encoding", ["ascii", "utf-8:strict"])
def test_a_name_that_the_terminal_lacks_stops_nothing(tmp_path, encoding):
    code = """
import sys
from sgaplus.logs import logged, logger
with logged(sys.argv[1]):
    logger.info("photo caf\\udce9")
    print("photo \\u65e5\\udce9")
"""
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("photo ")
    assert done.stderr == "photo caf\\udce9\n"
    assert (tmp_path / "log").read_text() == "photo caf\\udce9\n"
