from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sgaplus.cli import outputs
from sgaplus.data import pictures
from sgaplus.errors import SgaplusError

from .running import names, run


@pytest.mark.parametrize("suffix", outputs.FORMATS)
def test_every_format_holds_the_decoded_pixels(suffix, coded, tmp_path):
    assert run("decompress", coded / "a.sga", "-o", tmp_path / "a.png") == 0
    assert run("decompress", coded / "a.sga", "-o", tmp_path / f"b{suffix.upper()}") == 0
    assert (pictures.read(tmp_path / f"b{suffix.upper()}") == pictures.read(tmp_path / "a.png")).all()
    assert run("decompress", coded, "-o", tmp_path / "decoded", "--format", suffix[1:]) == 0
    assert names(tmp_path / "decoded") == [f"a{suffix}", f"b{suffix}"]
    with Image.open(tmp_path / "decoded" / f"a{suffix}") as picture:
        assert picture.format == outputs.FORMATS[suffix][0]


def test_a_picture_too_wide_for_webp_is_refused(tmp_path):
    with pytest.raises(SgaplusError, match="16384x1 pixels are too many for WebP"):
        outputs.write_picture(tmp_path / "a.webp", np.zeros((1, 16384, 3), np.uint8), ".webp")
    assert names(tmp_path) == []


def test_standard_input_and_output_take_the_place_of_files(photos, coded, tmp_path):
    command = [sys.executable, "-m", "sgaplus"]
    compress = [*command, "compress", "-", "-o", "-", "--steps", "0", "--seed", "0"]
    first = subprocess.run(compress, input=(photos / "a.png").read_bytes(), capture_output=True, check=True)
    assert first.stdout == (coded / "a.sga").read_bytes()
    assert b"standard input -> standard output: " in first.stderr
    decompress = [*command, "decompress", "-", "-o", "-", "--format", "ppm", "-q"]
    second = subprocess.run(decompress, input=first.stdout, capture_output=True, check=True)
    assert second.stderr == b""
    assert run("decompress", coded / "a.sga", "-o", tmp_path / "a.png") == 0
    assert (np.asarray(Image.open(io.BytesIO(second.stdout))) == pictures.read(tmp_path / "a.png")).all()
    info = subprocess.run([*command, "info", "-"], input=first.stdout, capture_output=True, check=True)
    assert info.stdout.startswith(b"standard input\n")
    truncated = subprocess.run([*command, "info", "-"], input=first.stdout[:99], capture_output=True)
    assert (truncated.returncode, truncated.stdout) == (1, b"")
    assert b"standard input: truncated after 99" in truncated.stderr


def test_a_terminal_gets_no_binary_data(coded, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run("decompress", coded / "a.sga", "-o", "-") == 2
    assert "a terminal shows no binary data" in capsys.readouterr().err
