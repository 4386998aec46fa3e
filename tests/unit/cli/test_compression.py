from __future__ import annotations

import csv
import math
import re
from itertools import count
from pathlib import Path

import pytest
import torch
from PIL import Image

from sgaplus.cli import compression
from sgaplus.cli.compression import BitsPerPixel, Compressed, Model, Settings, bundled, nearest, search
from sgaplus.data import pictures
from sgaplus.data.sources import Package
from sgaplus.refinement import rounding
from sgaplus.refinement.method import Method

from .running import run


@pytest.mark.parametrize("slope", [0.1, 0.3, 0.9])
@pytest.mark.parametrize("wanted", [0.3, 0.7])
def test_the_search_lands_and_is_short(slope, wanted):
    """A rate that grows as a power of lambda and wavers a little."""
    tries = count(1)

    def attempt(log_lmbda: float) -> Compressed:
        log_bpp = math.log(0.45) + slope * (log_lmbda - math.log(0.01)) + 0.01 * math.sin(99 * log_lmbda)
        next(tries)
        return Compressed(b"", Model(Path("m")), math.exp(log_lmbda), math.exp(log_bpp), 30)

    target = BitsPerPixel(wanted)
    if abs(math.log(wanted / 0.45)) > slope * math.log(100):
        pytest.skip("out of reach")
    found = search(attempt, target, math.log(0.01), math.log(0.5))
    assert found.bpp == pytest.approx(wanted, rel=0.021)
    assert next(tries) <= 7


def test_what_is_out_of_reach_ends_the_search_at_a_bound():
    def attempt(log_lmbda: float) -> Compressed:
        return Compressed(b"", Model(Path("m")), math.exp(log_lmbda), 0.5, 30)

    found = search(attempt, BitsPerPixel(5.0), math.log(0.01), math.log(0.5))
    assert found.bpp == 0.5


def test_the_bundled_models_are_all_there_and_the_nearest_is_taken():
    models = bundled()
    assert [model.path for model in models] == sorted(
        compression.BUNDLED.glob("*.pth"), key=lambda path: float(path.stem[11:])
    )
    assert nearest(models, 0.012).lmbda == 0.01
    assert nearest(models, 9).lmbda == 0.08


@pytest.mark.parametrize(("kind", "within"), [("bpp", {"rel": 0.05}), ("psnr", {"abs": 0.5})])
def test_a_target_between_two_models_is_reached(tmp_path, kind, within, capsys, caplog):
    (path,) = Package("skimage.data", ("chelsea.png",)).files()
    pixels = pictures.read(path)[60:188, 100:228]
    Image.fromarray(pixels).save(tmp_path / "cat.png")
    settings = Settings(Method(rounding.make("ste")), 0, 0, torch.device("cpu"))
    low, high = (compression.compress("cat", pixels, model, 1.0, settings) for model in bundled()[2:4])
    wanted = (getattr(low, kind) + getattr(high, kind)) / 2
    command = ["compress", tmp_path / "cat.png", "-o", tmp_path / "cat.sga", "--force", f"--target-{kind}"]
    assert run(*command, wanted, "--steps", 100) == 0
    picked = re.search(r"\(small_lmbda0\.\d+, lambda [\d.e-]+\)", capsys.readouterr().out)
    assert picked
    assert run("evaluate", tmp_path / "cat.png", "-b", tmp_path, "--csv", tmp_path / "cat.csv") == 0
    with open(tmp_path / "cat.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row[kind]) == pytest.approx(wanted, **within)
    assert run(*command, wanted, "--steps", 1, "-v") in (0, 1)
    assert re.search(r"cat: [\d.]+ bpp, [\d.]+ dB \(small_lmbda0\.\d+, lambda [\d.e-]+\)", caplog.text)
    assert run(*command, wanted * 1000, "--steps", 1) == 1
    assert "is out of reach; the nearest is" in capsys.readouterr().err
