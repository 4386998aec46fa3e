from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from sgaplus.codec import Batch, Codec
from sgaplus.errors import TrainingError
from sgaplus.hyperprior import Hyperprior, save_state
from sgaplus.training import METRICS, Crops, Recipe, fresh_model, rate_distortion, train, write_metrics

CPU = torch.device("cpu")
TINY = {
    "N": 8,
    "M": 8,
    "batch_size": 4,
    "crop": 64,
    "lr": 2e-3,
    "warmup_steps": 5,
    "latent_gain": 10.0,
    "log_every": 10,
}


@pytest.fixture(scope="module")
def photographs(picture):
    return [(picture(80, 100, seed) * 255).byte().permute(1, 2, 0).numpy() for seed in range(4)]


def test_training_lowers_the_loss_and_the_model_codes(photographs, picture):
    model, rows = train(Recipe(0.05, steps=60, **TINY), photographs, CPU)
    assert [row["step"] for row in rows] == [0, 10, 20, 30, 40, 50, 59]
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    x = picture(64, 64)[None]
    coded = model.compress(x)
    assert model.decompress(coded["strings"], coded["shape"])["x_hat"].shape == x.shape


def test_the_same_seed_trains_the_same_model(photographs):
    def weights(seed):
        model, _ = train(Recipe(0.05, steps=3, seed=seed, **TINY), photographs, CPU)
        return torch.cat([weight.detach().flatten() for weight in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_the_loss_is_the_papers(photographs):
    model = fresh_model(Recipe(0.05, steps=1, **TINY)).eval()
    x = Crops(photographs, 64, 0).batch(3)
    with torch.no_grad():
        bpp, mse = rate_distortion(model, x)
        out = model(x)
    bits = sum(-torch.log2(likelihood).sum() for likelihood in out["likelihoods"].values())
    torch.testing.assert_close(bpp, bits / (3 * 64 * 64))
    torch.testing.assert_close(mse, ((out["x_hat"] - x) * 255).square().mean())


def test_a_model_starts_from_anothers_weights(tmp_path, photographs, picture):
    first, _ = train(Recipe(0.05, steps=40, **TINY), photographs, CPU)
    save_state(first.state_dict(), tmp_path / "first.pth")
    _, fresh = train(Recipe(0.05, steps=1, **TINY), photographs, CPU)
    second, warm = train(Recipe(0.05, steps=1, **TINY), photographs, CPU, tmp_path / "first.pth")
    assert warm[0]["loss"] < fresh[0]["loss"] / 2
    codec = Codec(Hyperprior.of(second.state_dict()))
    assert codec.measure(Batch.of([picture(64, 64)]), codec.analyse(picture(64, 64)[None])).mse.isfinite().all()


def test_widths_must_match_those_it_starts_from(tmp_path):
    save_state(fresh_model(Recipe(0.05, steps=1, **TINY)).state_dict(), tmp_path / "narrow.pth")
    with pytest.raises(TrainingError, match=r"narrow\.pth: has N = 8, M = 8"):
        train(Recipe(0.05, steps=1, **(TINY | {"N": 16})), [], CPU, tmp_path / "narrow.pth")


def test_latent_gain_moves_scale_from_synthesis_to_analysis():
    plain = fresh_model(Recipe(0.05, steps=1, **(TINY | {"latent_gain": 1.0})))
    scaled = fresh_model(Recipe(0.05, steps=1, **TINY))
    torch.testing.assert_close(scaled.g_a[-1].weight, plain.g_a[-1].weight * 10)
    torch.testing.assert_close(scaled.g_s[0].weight, plain.g_s[0].weight / 10)


def test_crops_are_parts_of_the_images_and_small_images_are_left_out():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)
    small = np.zeros((63, 200, 3), dtype=np.uint8)
    batch = Crops([small, image], 64, seed=1).batch(20)
    assert batch.shape == (20, 3, 64, 64)
    windows = {
        image[top : top + 64, left : left + 64].tobytes() for top in range(70 - 64 + 1) for left in range(90 - 64 + 1)
    }
    flipped = 0
    for crop in (batch * 255).round().byte().permute(0, 2, 3, 1).numpy():
        plain, mirrored = crop.tobytes() in windows, np.ascontiguousarray(crop[:, ::-1]).tobytes() in windows
        assert plain or mirrored
        flipped += mirrored
    assert 0 < flipped < 20


def test_no_image_as_large_as_a_crop_is_an_error():
    with pytest.raises(TrainingError, match="64 pixels high and wide"):
        Crops([np.zeros((63, 200, 3), dtype=np.uint8)], 64, 0)


def test_a_loss_that_is_not_finite_stops_with_the_step(photographs):
    recipe = Recipe(float("nan"), steps=5, **(TINY | {"log_every": 1}))
    with pytest.raises(TrainingError, match="at step 0"):
        train(recipe, photographs, CPU)


def test_the_learning_rate_warms_up_then_holds_or_falls():
    constant = Recipe(0.01, 8, 8, steps=100, lr=1.0, warmup_steps=10)
    assert constant.learning_rate(0) == pytest.approx(0.1)
    assert constant.learning_rate(9) == constant.learning_rate(99) == 1.0
    cosine = Recipe(0.01, 8, 8, steps=100, lr=1.0, warmup_steps=0, lr_schedule="cosine")
    assert cosine.learning_rate(0) == 1.0
    assert cosine.learning_rate(50) == pytest.approx(0.5)


def test_gradients_are_clamped_and_scaled(photographs):
    """With clamping at almost nothing, a step of SGD-like size leaves Adam's direction but not its magnitude."""
    from sgaplus.training import _clip

    weight = torch.nn.Parameter(torch.zeros(4))
    weight.grad = torch.tensor([3.0, -3.0, 0.5, 0.0])
    _clip([weight], Recipe(0.01, 8, 8, steps=1, clip=1.0))
    assert weight.grad.tolist() == [1.0, -1.0, 0.5, 0.0]
    _clip([weight], Recipe(0.01, 8, 8, steps=1, clip=1.0, clip_norm=0.15))
    assert weight.grad.norm().item() == pytest.approx(0.15, rel=1e-4)


def test_metrics_are_written_as_csv(tmp_path):
    rows = [dict.fromkeys(METRICS, 1.5)]
    write_metrics(rows, tmp_path / "training.csv")
    with open(tmp_path / "training.csv") as file:
        assert [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)] == rows
