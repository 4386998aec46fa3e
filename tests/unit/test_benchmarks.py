from __future__ import annotations

import csv

import pytest
import torch
from compressai.entropy_models import EntropyModel

from sgaplus import benchmarks
from sgaplus.training import Recipe, Trainer, fresh_model


def test_the_benchmark_writes_both_loops_and_their_ratio(tmp_path, capsys):
    output = tmp_path / "bench/training.csv"
    options = "--widths 8 --batch 2 --crop 64 --seconds 0.1 --device cpu --output"
    benchmarks.main([*options.split(), str(output)])
    with open(output) as file:
        plain, ours = csv.DictReader(file)
    assert (plain["loop"], ours["loop"]) == ("plain", "ours")
    assert float(plain["ratio"]) == 1
    ratio = float(ours["steps_per_second"]) / float(plain["steps_per_second"])
    assert float(ours["ratio"]) == pytest.approx(ratio, rel=0.01)
    assert float(ours["batches_per_second"]) > 0
    assert "N = M = 8, 2 crops of 64" in capsys.readouterr().out


def test_both_loops_follow_the_same_gradient():
    """The ratio compares like with like: the same weights and crops give the same gradient."""
    recipe = Recipe(0.01, 8, 8, steps=100, batch_size=2, crop=64, warmup_steps=0, precision="float32")
    crops = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    models = []

    def fresh(_recipe):
        models.append(fresh_model(recipe))
        return models[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmarks, "fresh_model", fresh)
        # the same noise is not to be had: it is drawn in the order of memory, which differs
        patch.setattr(EntropyModel, "quantize", lambda _self, inputs, *_args, **_kwargs: inputs)
        plain = benchmarks.plain_training(recipe, torch.device("cpu"))
        ours = benchmarks.our_training(recipe, torch.device("cpu"))
        plain(0, crops)
        ours(0, crops)
    assert isinstance(ours.__self__, Trainer)
    for (name, one), other in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert (one.grad - other.grad).norm() <= 1e-3 * one.grad.norm(), name
