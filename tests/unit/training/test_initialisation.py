from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import Hyperprior, save_state
from sgaplus.errors import TrainingError
from sgaplus.training.initialisation import fresh_model
from sgaplus.training.loop import train
from tests.unit.training.tiny import CPU, OPTIONS, TINY


def test_a_fresh_model_reconstructs_a_middle_gray(picture):
    model = fresh_model(replace(TINY, latent_gain=1.0)).eval()
    with torch.no_grad():
        assert (model(picture(64, 64)[None])["x_hat"] - 0.45).abs().max() < 0.1


def test_latent_gain_moves_scale_from_synthesis_to_analysis():
    plain, scaled = fresh_model(replace(TINY, latent_gain=1.0)), fresh_model(TINY)
    torch.testing.assert_close(scaled.g_a[-1].weight, plain.g_a[-1].weight * 10)
    torch.testing.assert_close(scaled.g_s[0].weight, plain.g_s[0].weight / 10)


def test_a_model_starts_from_anothers_weights(tmp_path, photographs, picture):
    first, _ = train(replace(TINY, steps=40), photographs, CPU, OPTIONS)
    save_state(first.state_dict(), tmp_path / "first.pth")
    _, fresh = train(replace(TINY, steps=1), photographs, CPU, OPTIONS)
    second, warm = train(replace(TINY, steps=1), photographs, CPU, OPTIONS, start_from=tmp_path / "first.pth")
    assert warm[0]["loss"] < 0.9 * fresh[0]["loss"]
    codec = Codec(Hyperprior.of(second.state_dict()))
    assert (
        codec.measure(codec.batch([picture(64, 64)]), codec.analyse(picture(64, 64)[None])).distortion.isfinite().all()
    )


def test_a_model_does_not_start_from_a_wider_one(tmp_path, photographs):
    save_state(fresh_model(TINY).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(TrainingError, match=r"wide\.pth: has N = 8, M = 8"):
        train(replace(TINY, N=6), photographs, CPU, OPTIONS, start_from=tmp_path / "wide.pth")
