from __future__ import annotations

import csv
import math
import re
import shlex
import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sgaplus.cli import compression
from sgaplus.cli import main as command_line
from sgaplus.cli.compression import BitsPerPixel, Compressed, Model, Settings, bundled, nearest, search
from sgaplus.codec.hyperprior import load_state, save_state
from sgaplus.data import pictures
from sgaplus.data.sources import Package
from sgaplus.refinement import memory, rounding
from sgaplus.refinement.method import Method

main = command_line.main
REPOSITORY = Path(__file__).parents[3]
SMALLEST = bundled()[0].path


@pytest.fixture(autouse=True)
def small_trial(monkeypatch):
    """Memory is measured on an image as small as the tests' own."""
    monkeypatch.setattr(memory, "TRIAL_SIDE", 64)


@pytest.fixture
def photos(tmp_path, photograph) -> Path:
    """A folder of two photographs and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, (name, size) in enumerate({"a.png": (70, 90), "b.tif": (64, 64)}.items()):
        Image.fromarray(photograph(*size, seed=i).pixels).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture
def coded(photos, tmp_path) -> Path:
    """The folder of their bitstreams."""
    assert main(["compress", str(photos), "-o", str(tmp_path / "coded"), "--steps", "0"]) == 0
    return tmp_path / "coded"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
    assert float(shown) == pytest.approx(compression.psnr_of(pictures.read(photos / "a.png"), decoded), abs=0.01)


def test_zero_steps_are_the_plain_codec(photos, coded):
    from sgaplus.codec.frozen import as_tensor
    from sgaplus.codec.latents import Latents

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
    options = command_line._parser().parse_args(["compress", "a.png", "-o", "coded", "--steps", str(steps)])
    settings = command_line._settings(options)
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
    Image.new("RGB", (64, 64)).save(photos / "ab.png", format="GIF")
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
    def half(self, path):
        Path(path).write_bytes(b"half")
        raise error

    monkeypatch.setattr(Image.Image, "save", half)
    status = run("decompress", coded / "a.sga", "-o", tmp_path / "decoded" / "a.png")
    assert status == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert names(tmp_path / "decoded") == []
    assert capsys.readouterr().err


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
        status = main(arguments)
    except SystemExit as stop:  # argparse's own
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert names(tmp_path) == []


def test_info_says_what_is_inside_in_a_process_of_its_own(coded):
    other = coded / "b.sga"
    data = other.read_bytes()
    from tests.unit.codec.test_bitstream import changed, repaired

    other.write_bytes(repaired(changed(data, 14, b"another!")))
    command = [sys.executable, "-m", "sgaplus", "info", str(coded)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    size = (coded / "a.sga").stat().st_size
    assert "90x70 pixels" in text
    assert f"{size:,} bytes, {8 * size / 6300:.4f} bits per pixel" in text
    assert "small_lmbda0.01.pth" in text
    assert f"{b'another!'.hex()}: not at hand" in text


def test_help_comes_without_torch():
    code = "import sys; from sgaplus.cli import main; main._parser().format_help(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_evaluation_measures_every_image_and_their_mean(photos, coded, tmp_path, capsys):
    assert run("evaluate", photos, "-b", coded, "--csv", tmp_path / "table.csv") == 0
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["a", "b"]
    assert int(rows[0]["bytes"]) == (coded / "a.sga").stat().st_size
    assert float(rows[0]["bpp"]) == pytest.approx(8 * int(rows[0]["bytes"]) / (70 * 90))
    gap = (float(rows[0]["bpp"]) / float(rows[0]["estimated_bpp"]) - 1.02) * int(rows[0]["bytes"])
    assert gap < 64
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


@pytest.mark.parametrize(("kind", "within"), [("bpp", {"rel": 0.05}), ("psnr", {"abs": 0.5})])
def test_a_target_between_two_models_is_reached(tmp_path, kind, within, capsys):
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
    assert run(*command, wanted * 1000, "--steps", 1) == 1
    assert "is out of reach; the nearest is" in capsys.readouterr().err


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
        SMALLEST.parent.glob("*.pth"), key=lambda path: float(path.stem[11:])
    )
    assert nearest(models, 0.012).lmbda == 0.01
    assert nearest(models, 9).lmbda == 0.08


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
