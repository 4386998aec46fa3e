from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sgaplus import __version__, metrics
from sgaplus.benchmarks import selftest
from sgaplus.cli import commands
from sgaplus.cli import main as command_line
from sgaplus.cli.compression import bundled, nearest
from sgaplus.codec.frozen import as_tensor
from sgaplus.codec.hyperprior import load_state, save_state
from sgaplus.codec.latents import Latents
from sgaplus.data import pictures
from tests.unit.making import changed, repaired

from .running import names, run

SMALLEST = bundled()[0].path


def test_photographs_become_bitstreams_and_pictures_again(photos, coded, tmp_path, capsys):
    assert names(coded) == ["a.sga", "b.sga"]
    assert run("decompress", coded, "-o", tmp_path / "decoded") == 0
    assert names(tmp_path / "decoded") == ["a.png", "b.png"]
    decoded = pictures.read(tmp_path / "decoded" / "a.png")
    model = nearest(bundled(), 0.01)
    assert (decoded == model.coder.decode((coded / "a.sga").read_bytes())[0]).all()
    (coded / "a.sga").unlink()
    capsys.readouterr()
    assert run("compress", photos / "a.png", "-o", coded, "--steps", 0) == 0
    shown = re.search(r"a\.sga: .* bpp, ([\d.]+) dB \(small_lmbda0.01, not refined\)", capsys.readouterr().out)[1]
    assert float(shown) == pytest.approx(metrics.psnr_of(pictures.read(photos / "a.png"), decoded), abs=0.01)


def test_zero_steps_are_the_plain_codec(photos, coded):
    model = nearest(bundled(), 0.01)
    plain = model.codec.analyse(model.codec.batch([as_tensor(pictures.read(photos / "a.png"))]).x)
    expected = model.coder.round(Latents(plain.y[0], plain.z[0]))
    found = model.coder.decode_latents((coded / "a.sga").read_bytes())
    assert (found.y == expected.y).all()


def test_refinement_lowers_the_loss_and_says_what_it_used(photos, tmp_path, capsys):
    def loss(*arguments: object) -> float:
        command = ["compress", photos / "a.png", "-o", tmp_path / "a.sga", "--lmbda", 0.003, "--force"]
        assert run(*command, *arguments) == 0
        line = capsys.readouterr().out
        assert "small_lmbda0.0025" in line
        bpp, psnr = map(float, re.search(r"([\d.]+) bpp, ([\d.]+) dB", line).groups())
        return bpp + 0.003 * 255**2 / 10 ** (psnr / 10)

    refinement = ("--steps", 40, "--method", "deterministic", "--seed", 1)
    plain, refined = loss("--steps", 0), loss(*refinement)
    assert refined < 0.99 * plain
    data = (tmp_path / "a.sga").read_bytes()
    assert loss(*refinement) == refined
    assert (tmp_path / "a.sga").read_bytes() == data


@pytest.mark.parametrize("steps", [100, 2000])
def test_a_method_of_so_many_steps_cools_as_far_in_those_that_are_asked_for(steps):
    options = command_line.parsed(["compress", "a.png", "-o", "coded", "--steps", str(steps)])
    settings = commands._settings(options)
    assert settings.steps == steps
    assert settings.method.temperature(steps) == pytest.approx(math.exp(-3e-3 * 500))


def test_a_bad_file_is_reported_at_the_end_and_the_others_are_done(photos, tmp_path, capsys):
    (photos / "aa.png").write_bytes(b"not a picture")
    (tmp_path / "empty").mkdir()
    missing, empty = tmp_path / "missing.png", tmp_path / "empty"
    assert run("compress", missing, photos, empty, "-o", tmp_path / "coded", "--steps", 0) == 1
    assert names(tmp_path / "coded") == ["a.sga", "b.sga"]
    report = capsys.readouterr().err.split("3 of 5 failed:")[1]
    assert report.index(f"{missing}: no such file") < report.index(str(photos / "aa.png")) < report.index(str(empty))
    (tmp_path / "coded" / "a.sga").write_bytes(b"SGA+")
    assert run("decompress", tmp_path / "coded", "-o", tmp_path / "decoded") == 1
    assert names(tmp_path / "decoded") == ["b.png"]
    assert "a.sga: truncated" in capsys.readouterr().err
    assert run("info", tmp_path / "coded") == 1
    assert run("evaluate", photos / "a.png", photos / "b.tif", "-b", tmp_path / "coded") == 1


def test_a_picture_that_breaks_its_decoder_does_not_stop_the_others(photos, tmp_path, capsys):
    Image.new("RGB", (64, 64)).save(photos / "aa.webp", exif=b"Exif\0\0II*\0")  # struct.error in Pillow
    Image.new("RGB", (64, 64)).save(photos / "ab.png", format="PCX")
    assert run("compress", photos, "-o", tmp_path / "coded", "--steps", 0) == 1
    assert names(tmp_path / "coded") == ["a.sga", "b.sga"]
    head, *lines = capsys.readouterr().err.split("2 of 4 failed:")[1].splitlines()
    assert not head
    assert [line.split(" (")[0] for line in lines] == [
        f"  {photos / name}: not a readable image" for name in ("aa.webp", "ab.png")
    ]


def test_nothing_is_overwritten_without_force(photos, coded, tmp_path, capsys):
    before = (coded / "a.sga").read_bytes()
    (coded / "b.sga").unlink()
    again = ["compress", photos, "-o", coded, "--lmbda", 0.001, "--steps", 0]
    assert run(*again) == 1
    assert (coded / "a.sga").read_bytes() == before
    assert (coded / "b.sga").exists()
    assert "a.sga: is there already. Choose another output, or add --force." in capsys.readouterr().err
    assert run(*again, "--force") == 0
    assert (coded / "a.sga").read_bytes() != before
    table = tmp_path / "table.csv"
    table.write_text("mine")
    assert run("evaluate", photos, "-b", coded, "--csv", table) == 2
    assert table.read_text() == "mine"


def test_two_photographs_of_one_name_do_not_overwrite_each_other(photos, tmp_path, capsys):
    Image.fromarray(pictures.read(photos / "b.tif")).save(photos / "a.bmp")
    assert run("compress", photos, "-o", tmp_path / "coded", "--steps", 0, "--force") == 1
    assert names(tmp_path / "coded") == ["a.sga", "b.sga"]
    assert f"a.png: {tmp_path / 'coded' / 'a.sga'} is already made of" in capsys.readouterr().err


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["disk", "stopped"])
def test_no_partial_file_is_left(coded, tmp_path, monkeypatch, error, capsys):
    def half(self, data):
        with open(self, "wb") as file:
            file.write(data[: len(data) // 2])
        raise error

    monkeypatch.setattr(Path, "write_bytes", half)
    status = run("decompress", coded / "a.sga", "-o", tmp_path / "decoded" / "a.png")
    assert status == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert names(tmp_path / "decoded") == []
    assert capsys.readouterr().err


def test_info_says_what_is_inside_in_a_process_of_its_own(coded):
    other = coded / "b.sga"
    data = other.read_bytes()
    other.write_bytes(repaired(changed(data, 14, b"another!")))
    command = [sys.executable, "-m", "sgaplus", "info", str(coded)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    size = (coded / "a.sga").stat().st_size
    assert "90x70 pixels" in text
    assert f"{size:,} bytes, {8 * size / 6300:.4f} bits per pixel" in text
    assert "small_lmbda0.01.pth" in text
    assert f"{b'another!'.hex()}: not at hand" in text


def test_info_says_how_a_bitstream_was_made(photos, coded, tmp_path, capsys):
    command = ["compress", photos / "a.png", "-o", tmp_path / "a.sga", "--steps", 2, "--method", "sga"]
    assert run(*command, "--lmbda", 0.02, "--seed", 7) == 0
    capsys.readouterr()
    assert run("info", tmp_path / "a.sga", coded / "a.sga") == 0
    text = capsys.readouterr().out
    assert f"  made by  sgaplus {__version__}, 2 steps of sga toward lambda 0.02, seed 7\n" in text
    assert f"  made by  sgaplus {__version__}, not refined\n" in text
    assert "  metadata none\n  format   version 2\n" in text
    assert run(*command, "--strip", "--force") == 0
    stripped = (tmp_path / "a.sga").stat().st_size
    assert run(*command, "--force") == 0
    assert 0 < (tmp_path / "a.sga").stat().st_size - stripped < 30
    capsys.readouterr()
    assert run("info", tmp_path / "a.sga", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["files"]
    assert row["encoding"] == {"version": __version__, "lmbda": 0.01, "steps": 2, "seed": 0, "method": "sga"}


def test_a_picture_that_is_changed_is_noted_once_and_refused_by_strict(photos, tmp_path, capsys):
    Image.new("RGBA", (64, 64), (9, 9, 9, 9)).save(photos / "logo.png")
    command = ["compress", photos, "-o", tmp_path / "coded", "--steps", 0]
    assert run(*command, "--strict") == 1
    said = capsys.readouterr().err
    assert f"1 of 3 failed:\n  {photos / 'logo.png'}: transparent, laid over white. --strict refuses that.\n" in said
    assert names(tmp_path / "coded") == ["a.sga", "b.sga"]
    assert run(*command, "--force", "--target-bpp", 1, "--steps", 1) == 1
    assert capsys.readouterr().err.count("logo.png: transparent, laid over white\n") == 1


def test_evaluation_measures_every_image_and_their_mean(photos, coded, tmp_path, capsys):
    assert run("evaluate", photos, "-b", coded, "--csv", tmp_path / "table.csv") == 0
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["a", "b"]
    assert int(rows[0]["bytes"]) == (coded / "a.sga").stat().st_size
    assert float(rows[0]["bpp"]) == pytest.approx(8 * int(rows[0]["bytes"]) / (70 * 90))
    estimated = float(rows[0]["estimated_bpp"]) * 70 * 90 / 8
    assert int(rows[0]["bytes"]) < 1.02 * estimated + 64 + 40  # the last for how it was made
    mean = capsys.readouterr().out.splitlines()[-1].split()
    assert mean[:3] == ["mean", "of", "2"]
    assert float(mean[-1]) == pytest.approx(np.mean([float(row["psnr"]) for row in rows]), abs=0.01)
    Image.fromarray(pictures.read(photos / "b.tif")).save(photos / "a.png")
    assert run("evaluate", photos / "a.png", "-b", coded) == 1
    assert "is 90x70 pixels, and" in capsys.readouterr().err


def test_a_model_of_ones_own_is_named(photos, tmp_path, capsys):
    state = load_state(SMALLEST)
    state["g_s.6.bias"] += 0.01
    save_state(state, tmp_path / "mine.pth")
    own = ["--model", tmp_path / "mine.pth"]
    assert run("compress", photos / "a.png", "-o", tmp_path / "a.sga", "--steps", 0, *own) == 0
    assert "(mine, not refined)" in capsys.readouterr().out
    assert run("decompress", tmp_path / "a.sga", "-o", tmp_path / "a.png") == 1
    assert "Name its file with --model" in capsys.readouterr().err
    assert run("decompress", tmp_path / "a.sga", "-o", tmp_path / "a.png", *own) == 0
    assert run("info", tmp_path / "a.sga", *own) == 0
    assert "mine.pth" in capsys.readouterr().out


def test_a_model_that_is_broken_is_refused_before_anything_is_written(photos, tmp_path, capsys):
    state = load_state(SMALLEST)
    state["g_s.0.weight"][0, 0, 0, 0] = float("nan")
    save_state(state, tmp_path / "mine.pth")
    own = ["--model", tmp_path / "mine.pth"]
    assert run("compress", photos, "-o", tmp_path / "coded", "--steps", 0, *own) == 2
    message = f"{tmp_path / 'mine.pth'}: g_s.0.weight holds values that are not finite in float32. Name a model"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "coded").exists()


def test_the_selftest_compares_a_device_with_the_cpu(capsys, monkeypatch):
    monkeypatch.setattr(selftest, "SIDE", 64)
    assert run("selftest", "--device", "cpu") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["agrees"] * 4
    monkeypatch.setattr(selftest, "LOSS", -1)
    assert run("selftest", "--device", "cpu") == 1
    assert capsys.readouterr().out.startswith("DIFFERS  true loss before refinement: 0 apart")


def test_the_selftest_without_a_gpu_says_so(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run("selftest") == 2
    assert "torch finds no CUDA device here" in capsys.readouterr().err
