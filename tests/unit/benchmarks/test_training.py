from __future__ import annotations

import copy
import csv

import pytest
import torch
from compressai.entropy_models import EntropyModel

from sgaplus.benchmarks import refinement, training
from sgaplus.benchmarks.plain_loops import LeanRefinement, PlainRefinement
from sgaplus.benchmarks.refinement import synthesis_operations
from sgaplus.training.initialisation import fresh_model
from sgaplus.training.recipe import Recipe
from sgaplus.training.trainer import Trainer


def test_the_benchmark_writes_both_loops_and_their_ratio(tmp_path, capsys):
    output = tmp_path / "bench"
    options = "training --widths 8 --batch 2 --crop 64 --seconds 0.1 --device cpu --output"
    training.main([*options.split(), str(output)])
    with open(output / "training.csv") as file:
        plain, ours = csv.DictReader(file)
    assert (plain["loop"], ours["loop"]) == ("plain", "ours")
    assert float(plain["ratio"]) == 1
    ratio = float(ours["steps_per_second"]) / float(plain["steps_per_second"])
    assert float(ours["ratio"]) == pytest.approx(ratio, rel=0.01)
    assert float(ours["batches_per_second"]) > 0
    assert "N = M = 8, 2 crops of 64" in capsys.readouterr().out


def test_the_refinement_benchmark_writes_all_loops_and_the_start(tmp_path, capsys):
    options = "refinement --refined 64 --seconds 0.1 --device cpu --output"
    training.main([*options.split(), str(tmp_path)])
    with open(tmp_path / "refinement.csv") as file:
        plain, lean, engine = csv.DictReader(file)
    assert (plain["loop"], lean["loop"], engine["loop"]) == ("plain", "lean", "engine")
    assert {key: plain[key] for key in ("n", "height", "width", "batch")} == {
        "n": "64",
        "height": "256",
        "width": "256",
        "batch": "1",
    }
    assert float(engine["limit_share"]) > float(plain["limit_share"]) > 0
    for row in (lean, engine):
        assert float(row["true_loss"]) == pytest.approx(float(plain["true_loss"]), rel=0.02)
    with open(tmp_path / "startup.csv") as file:
        (row,) = csv.DictReader(file)
    assert float(row["own_seconds"]) > 0
    assert "N = 64, M = 96, 1 of 256x256" in capsys.readouterr().out


def test_the_time_to_a_loss_is_that_of_each_methods_own_steps_beside_the_plain_loops(tmp_path, monkeypatch):
    monkeypatch.setattr(refinement, "RACE", (("ssl", 4), ("ssl_fast", 2)))
    taken = []

    def take_turns(loops, _budget, _codec):
        for loop in loops:
            loop(0, 1)
        taken.append(len(loops))
        return 1, [([8.0, 2.0, 1.0], 1.0)]

    monkeypatch.setattr(refinement, "_take_turns", take_turns)
    options = "time_to_loss --refined 64 --device cpu --output"
    training.main([*options.split(), str(tmp_path)])
    with open(tmp_path / "time_to_loss.csv") as file:
        paper, fast = csv.DictReader(file)
    assert taken == [3]
    assert tuple(paper) == refinement.TIME_TO_LOSS
    assert [(row["n"], row["height"], row["width"]) for row in (paper, fast)] == [("64", "256", "256")] * 2
    assert [(row["method"], row["steps"]) for row in (paper, fast)] == [("ssl", "4"), ("ssl_fast", "2")]
    assert [float(row["plain_seconds"]) for row in (paper, fast)] == [32, 32]
    assert [float(row["seconds"]) for row in (paper, fast)] == [8, 2]
    assert [float(row["ratio"]) for row in (paper, fast)] == [4, 16]
    assert float(paper["true_loss"]) != float(fast["true_loss"])


def test_the_precisions_are_compared_at_every_lambda(tmp_path):
    options = "precision --steps 1 --images 1 --device cpu --output"
    training.main([*options.split(), str(tmp_path)])
    with open(tmp_path / "precision.csv") as file:
        rows = list(csv.DictReader(file))
    assert sorted({float(row["lmbda"]) for row in rows}) == [0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08]
    assert {row["seed"] for row in rows} == {"0", "1", "2"}
    for row in rows:
        assert float(row["float32"]) == pytest.approx(float(row["plain"]), rel=0.05)  # whose random numbers are others
        assert float(row["bfloat16"]) == pytest.approx(float(row["float32"]), rel=0.01)
        assert float(row["bfloat16_difference"]) == pytest.approx(float(row["bfloat16"]) / float(row["plain"]) - 1)


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        training.main(["trainig"])
    assert "trainig" in capsys.readouterr().err


def test_a_missing_gpu_is_an_error_of_the_option(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        training.main(["--device", "cuda"])
    assert "--device cuda: torch finds no CUDA device here." in capsys.readouterr().err


def test_the_plain_loop_and_the_engine_lose_the_same(trained, codec, picture):
    image = picture(64, 128)
    model = copy.deepcopy(trained)
    loop = PlainRefinement(model, image[None], 0.01)
    batch = codec.batch([image])
    measured = codec.measure(batch, codec.analyse(batch.x))
    method_loss, true_loss = loop.step(0)
    assert true_loss == pytest.approx((measured.bpp + 0.01 * measured.distortion_unclamped).item(), rel=1e-4)
    assert method_loss == pytest.approx(true_loss, rel=0.2)
    assert all(weight.grad is not None for weight in model.g_s.parameters())


def test_the_lean_loop_takes_the_plain_loops_steps_and_leaves_the_weights_alone(trained, picture):
    loops = [kind(copy.deepcopy(trained), picture(64, 64)[None], 0.01) for kind in (PlainRefinement, LeanRefinement)]
    losses = []
    for loop in loops:
        torch.manual_seed(0)
        losses.append([loop.step(number)[0] for number in range(3)])
    plain, lean = loops
    assert losses[0] == losses[1]
    assert torch.equal(plain.y, lean.y)
    assert torch.equal(plain.z, lean.z)
    assert all(weight.grad is None for weight in lean.model.parameters())


def test_the_operations_of_the_synthesis_are_those_of_its_layers():
    """Counted by hand at N = M = 192 on 256 x 256 pixels: 6 billion multiply-adds forward."""
    assert synthesis_operations(192, 192, 256 * 256) / 4 == pytest.approx(5.98e9, rel=0.01)


def test_both_loops_follow_the_same_gradient():
    """The ratio compares like with like: the same weights and crops give the same gradient."""
    recipe = Recipe(0.01, 8, 8, steps=100, batch_size=2, crop=64, warmup_steps=0, precision="float32")
    crops = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    models = []

    def fresh(_recipe):
        models.append(fresh_model(recipe))
        return models[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "fresh_model", fresh)
        # the same noise is not to be had: it is drawn in the order of memory, which differs
        patch.setattr(EntropyModel, "quantize", lambda _self, inputs, *_args, **_kwargs: inputs)
        plain = training.plain_training(recipe, torch.device("cpu"))
        ours = training.our_training(recipe, torch.device("cpu"))
        plain(0, crops)
        ours(0, crops)
    assert isinstance(ours.__self__, Trainer)
    for (name, one), other in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert (one.grad - other.grad).norm() <= 1e-3 * one.grad.norm(), name
