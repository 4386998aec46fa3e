from __future__ import annotations

import json

import pytest
import torch
import yaml

from sgaplus.benchmarks import gpu
from sgaplus.config import hours
from sgaplus.config.references import validated
from sgaplus.data import manifest
from sgaplus.data.datasets import sources

CONFIG = yaml.safe_load("""
run: small
datasets:
  photos: {path: photos, crop: [64, 64], count: 2}
training: {batch_size: 2, crop: 64}
models:
  narrow: {lmbda: 0.01, N: 64, M: 64, steps: 100, dataset: photos}
methods:
  ssl: {label: SSL, rounding: ssl, steps: 20}
experiments:
  curve: {title: Curve, figure: loss_curves, dataset: photos, models: [narrow], methods: [ssl], steps: [20]}
""")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The files of a benchmark on the CPU, at tiny sizes."""
    folder = tmp_path_factory.mktemp("bench")

    def calling_again(warm_up, step):
        warm_up()
        return step

    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    options = "--device cpu --seconds 0.1 --images 1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "SIZES", ((64, 128), (64, 64)))
        patch.setitem(gpu.CAPTURE, "cpu", calling_again)
        files = ["--config", str(folder / "config.yaml"), "--output", str(folder / "gpu.json")]
        gpu.main([*options.split(), *files])
    return folder


def test_it_measures_both_parts_at_every_size(written):
    results = json.loads((written / "gpu.json").read_text())
    refined = [(row["n"], row["height"], row["width"], row["images"]) for row in results["refinement"]]
    assert refined == [(64, 64, 128, 1), (64, 64, 64, 1)]
    assert [(row["n"], row["height"], row["width"], row["images"]) for row in results["training"]] == [(64, 64, 64, 2)]
    assert all(row["steps_per_second_with_graphs"] > 0 for row in results["refinement"])
    for row in results["refinement"] + results["training"]:
        assert 0 < row["limit_share"] < 2
        assert row["steps_per_second"] > 0
    assert results["matrix_tflops"].keys() == {"float32", "bfloat16"}
    assert results["crops_per_second_and_process"] > 1


def test_the_hours_are_those_of_the_configuration_at_the_measured_speeds(written):
    results = json.loads((written / "gpu.json").read_text())
    steps, refined = results["training"][0]["steps_per_second"], results["refinement"][1]["steps_per_second"]
    assert results["hours"]["training"] == pytest.approx(100 / steps / 3600)
    assert results["hours"]["refinement"] == pytest.approx(2 * 20 / refined / 3600)
    config = validated(CONFIG)
    (note,) = hours.notes(config, sources(config["datasets"], manifest.read()), written / "gpu.json")
    assert note.startswith(f"On one {results['device']}, as ")


def test_the_table_has_a_row_for_each_measurement(written):
    text = (written / "gpu.md").read_text()
    assert "| refinement | 64 | 1 of 128 x 64 | " in text
    assert "| training | 64 | 2 of 64 x 64 | " in text
    assert "Run `small`: 0.0 hours of training and" in text


def test_without_a_gpu_nothing_is_measured_unless_it_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main(["--device", "auto"])
    assert capsys.readouterr().out == "No GPU here: what the paper costs on one is not measured.\n"
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "--device cuda: torch finds no CUDA device here." in capsys.readouterr().err
