from __future__ import annotations

import pytest
import torch
from compressai.models.google import MeanScaleHyperprior

from sgaplus.training.losses import rate_distortion
from sgaplus.training.widening import widen


@pytest.fixture
def x(picture):
    return torch.stack([picture(64, 128, seed) for seed in range(2)])


def rates(model, x):
    with torch.no_grad():
        out = model.eval()(x)
    return out["x_hat"], [-torch.log2(likelihoods).sum() for likelihoods in out["likelihoods"].values()]


@pytest.mark.parametrize(("N", "M"), [(8, 12), (12, 12), (8, 20), (24, 16)])
def test_a_wider_model_computes_what_the_narrow_one_did(trained, x, N, M):
    torch.manual_seed(0)
    wide = MeanScaleHyperprior(N, M)
    widen(trained.state_dict(), wide)
    (x_hat, (bits_y, bits_z)), (expected, (old_y, old_z)) = rates(wide, x), rates(trained, x)
    torch.testing.assert_close(x_hat, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(bits_y, old_y, rtol=2e-3, atol=0)
    assert abs(bits_z - old_z) <= 0.05 * (N - 8) * x.shape[0] * 2  # of two hyper-latents per image and channel


def test_new_channels_learn(trained, x):
    torch.manual_seed(0)
    wide = MeanScaleHyperprior(12, 16)
    widen(trained.state_dict(), wide)
    bpp, mse = rate_distortion(wide.train(), x)
    (bpp + 0.05 * mse).backward()
    for name in ("g_a.2", "g_s.2", "g_s.6"):
        layer = wide.get_submodule(name)
        gradient = layer.weight.grad.transpose(0, 1) if name.startswith("g_s") else layer.weight.grad
        assert (gradient[:3, 8:].flatten(1).norm(dim=1) > 0).all(), name  # old outputs, new inputs
