from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from compressai.utils.plot.__main__ import main as plot
from PIL import Image

from sgaplus.cli import codecs
from sgaplus.codec.classical_codecs import CODECS

from .running import names, run


@pytest.fixture
def large(tmp_path, photograph):
    """A folder of two photographs that have a MS-SSIM."""
    folder = tmp_path / "large"
    folder.mkdir()
    for i, name in enumerate("ab"):
        Image.fromarray(photograph(170, 200, seed=i).pixels).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def rates(large, tmp_path):
    """Folders of their bitstreams at two rates."""
    for lmbda in ("0.001", "0.04"):
        assert run("compress", large, "-o", tmp_path / lmbda, "--steps", 0, "--lmbda", lmbda, "-q") == 0
    return tmp_path / "0.001", tmp_path / "0.04"


def both(rates):
    return ["-b", rates[0], "-b", rates[1]]


def test_a_comparison_prints_and_writes_a_table_a_plot_and_compressais_json(large, rates, tmp_path, capsys):
    out = tmp_path / "out"
    capsys.readouterr()
    assert run("evaluate", large, *both(rates), "--codecs", "jpeg,webp", "-o", out) == 0
    printed = capsys.readouterr().out.splitlines()
    lines = [line.split() for line in printed[printed.index(codecs.shown(["ms_ssim", "haarpsi"])) + 1 : -1]]
    assert [line[0] for line in lines] == ["ours", "JPEG", "WebP"] * 2
    assert printed[-1] == codecs.SAID
    assert names(out) == ["codecs.csv", "codecs.png", "jpeg.json", "ours.json", "webp.json"]
    with open(out / "codecs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["codec"] for row in rows].count("webp") == len(list(CODECS["webp"].settings()))
    ours = json.loads((out / "ours.json").read_text())
    assert ours["name"] == "ours"
    sizes = [[8 * (folder / f"{name}.sga").stat().st_size / (170 * 200) for name in "ab"] for folder in rates]
    assert ours["results"]["bpp"] == pytest.approx(np.mean(sizes, axis=1))
    theirs = json.loads((out / "jpeg.json").read_text())
    assert theirs["description"].startswith("libjpeg-turbo ")
    assert theirs["results"].keys() == {"bpp", "psnr-rgb", "ms-ssim-rgb", "encoding_time", "decoding_time"}
    assert (np.diff(theirs["results"]["bpp"]) > 0).all()
    assert (np.diff(theirs["results"]["psnr-rgb"]) > 0).all()


def test_compressais_own_tool_plots_what_is_written(large, rates, tmp_path):
    assert run("evaluate", large, "-b", rates[1], "--codecs", "jpeg", "-o", tmp_path / "out", "-q") == 0
    files = [str(tmp_path / "out" / name) for name in ("ours.json", "jpeg.json")]
    for metric in ("psnr-rgb", "ms-ssim-rgb"):
        plot(["-f", *files, "-m", metric, "-o", str(tmp_path / f"{metric}.png")])
        assert (tmp_path / f"{metric}.png").stat().st_size > 1000


def test_there_is_json_of_every_photograph_on_request(large, rates, tmp_path):
    assert run("evaluate", large, "-b", rates[0], "--codecs", "jpeg", "-o", tmp_path / "out", "--per-image", "-q") == 0
    assert {"a-jpeg.json", "b-jpeg.json", "a-ours.json", "b-ours.json"} < set(names(tmp_path / "out"))
    every = [json.loads((tmp_path / "out" / f"{name}-jpeg.json").read_text()) for name in "ab"]
    assert [one["source"] for one in every] == ["a", "b"]
    means = json.loads((tmp_path / "out/jpeg.json").read_text())["results"]
    for measure, values in means.items():
        assert values == pytest.approx(np.mean([one["results"][measure] for one in every], axis=0)), measure


def test_a_comparison_is_told_to_programs_too(photos, coded, capsys):
    capsys.readouterr()
    assert run("evaluate", photos, "-b", coded, "--codecs", "webp", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    ours, webp = told["codecs"]
    assert [ours["name"], webp["name"]] == ["ours", "WebP"]
    assert ours["bpp"] == webp["bpp"] == pytest.approx(told["mean"]["bpp"])
    assert ours["psnr"] == pytest.approx(told["mean"]["psnr"])
    assert ours["ms_ssim"] is None  # the photographs are too small
    assert 0 < ours["haarpsi"] < 1
    assert webp["encode_seconds_per_megapixel"] > 0


def test_distances_are_measured_on_request(photos, coded, weights, tmp_path, capsys):
    capsys.readouterr()
    command = ["evaluate", photos, "-b", coded, "--codecs", "webp", "--distances", "lpips, dists"]
    assert run(*command, "-o", tmp_path / "out") == 0
    printed = capsys.readouterr().out.splitlines()
    assert codecs.shown(["ms_ssim", "haarpsi", "lpips", "dists"]) in printed
    assert printed[-1].endswith("; LPIPS and DISTS: lower is better")
    with open(tmp_path / "out/codecs.csv", newline="") as file:
        assert {"lpips", "dists"} < next(csv.DictReader(file)).keys()
    assert run(*command, "--json") == 0
    ours, webp = json.loads(capsys.readouterr().out)["codecs"]
    assert ours["lpips"] > 0
    assert webp["dists"] > 0


def test_distances_without_weights_are_refused_before_anything_is_coded(photos, coded, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    capsys.readouterr()
    assert run("evaluate", photos, "-b", coded, "--codecs", "webp", "--distances", "dists") == 2
    told = capsys.readouterr()
    assert f"--distances: dists needs weights that are not in {tmp_path}/hub/checkpoints" in told.err
    assert told.out == ""


def test_photographs_that_lack_a_bitstream_are_left_out(photos, coded, tmp_path, capsys):
    (coded / "a.sga").unlink()
    assert run("evaluate", photos, "-b", coded, "--codecs", "jpeg", "-o", tmp_path / "out", "--per-image") == 1
    assert "a.sga" in capsys.readouterr().err
    assert not [name for name in names(tmp_path / "out") if name.startswith("a-")]
    (coded / "b.sga").unlink()
    assert run("evaluate", photos, "-b", coded, "--codecs", "jpeg", "-o", tmp_path / "none") == 1
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--codecs", "jpeg,wepb"], "--codecs: there is no 'wepb'. Did you mean 'webp'?"),
        (["-o", "out"], "Add --codecs."),
        (["--per-image"], "Add --codecs."),
        (["--distances", "lpips"], "Add --codecs."),
        (["--codecs", "jpeg", "--distances", "lpisp"], "--distances: there is no 'lpisp'. Did you mean 'lpips'?"),
        (["-b", "more"], "Add --codecs."),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(photos, coded, capsys, options, said):
    assert run("evaluate", photos, "-b", coded, *options) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_is_there_is_kept_unless_forced(photos, coded, tmp_path, capsys):
    command = ["evaluate", photos, "-b", coded, "--codecs", "jpeg", "-o", tmp_path]
    assert run(*command) == 2
    assert "is there already" in capsys.readouterr().err
    assert run(*command, "--force") == 0
