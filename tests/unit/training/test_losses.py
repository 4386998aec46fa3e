from __future__ import annotations

import torch
from compressai.models.google import MeanScaleHyperprior

from sgaplus.training.initialisation import fresh_model
from sgaplus.training.losses import rate_distortion
from tests.unit.training.tiny import TINY


def test_the_loss_is_the_papers(picture):
    model = fresh_model(TINY).eval()
    x = torch.stack([picture(64, 64, seed) for seed in range(3)])
    with torch.no_grad():
        bpp, mse = rate_distortion(model, x)
        out = model(x)
    bits = sum(-torch.log2(likelihood).sum() for likelihood in out["likelihoods"].values())
    torch.testing.assert_close(bpp, bits / (3 * 64 * 64))
    torch.testing.assert_close(mse, ((out["x_hat"] - x) * 255).square().mean())


def test_rates_are_computed_in_float32_whatever_the_precision(trained, picture):
    x = torch.stack([picture(64, 64, seed) for seed in range(3)])
    model = MeanScaleHyperprior.from_state_dict(trained.state_dict()).eval()
    with torch.no_grad():
        exact, _ = rate_distortion(model, x)
        bpp, mse = rate_distortion(model, x, "bfloat16")
        # bfloat16 everywhere, as plain autocast does it
        with torch.autocast("cpu", torch.bfloat16):
            latents = model.g_a(x)
    assert latents.dtype == torch.bfloat16
    assert bpp.dtype == mse.dtype == torch.float32
    torch.testing.assert_close(bpp, exact, rtol=0.02, atol=0)
