"""The distortion: its value, its gradient, its strips, its names."""

from __future__ import annotations

import pytest
import torch

from sgaplus.artifacts.figures.over_steps import PANELS
from sgaplus.codec.distortion import MeanSquaredError
from sgaplus.records import FIELDS

MSE = MeanSquaredError()


@pytest.fixture
def images():
    """Reconstructions, originals, and a mask of their last four columns."""
    generator = torch.Generator().manual_seed(0)
    x_hat, x = torch.rand(2, 2, 3, 8, 12, generator=generator, dtype=torch.float64)
    mask = torch.ones(2, 1, 8, 12, dtype=torch.float64)
    mask[1, :, :, 8:] = 0
    return x_hat.requires_grad_(), x, mask


def test_its_value_is_the_mean_over_original_pixels_on_the_8_bit_scale(images):
    x_hat, x, mask = images
    value = MSE.value(MSE.total(x_hat, x, mask), torch.tensor([96, 64]))
    torch.testing.assert_close(value[0], 255**2 * (x_hat[0] - x[0]).square().mean())
    torch.testing.assert_close(value[1], 255**2 * (x_hat[1] - x[1])[:, :, :8].square().mean())
    torch.testing.assert_close(MSE.total(x_hat, x, None), (x_hat - x).square().sum(dim=(1, 2, 3)))


def test_its_gradient_is_numerically_right(images):
    x_hat, x, mask = images
    assert torch.autograd.gradcheck(lambda x_hat: MSE.total(x_hat, x, mask), (x_hat,))


def test_the_totals_of_strips_add_up(images):
    x_hat, x, mask = images
    assert MSE.adds_up
    parts = [MSE.total(x_hat[:, :, rows], x[:, :, rows], mask[:, :, rows]) for rows in (slice(0, 3), slice(3, 8))]
    torch.testing.assert_close(sum(parts), MSE.total(x_hat, x, mask))


def test_the_records_and_axes_have_its_names():
    fields = MSE.fields(torch.tensor([65.025]), torch.tensor([70.0]))
    assert list(fields) == [MSE.name, f"{MSE.name}_unclamped", MSE.quality] == ["mse", "mse_unclamped", "psnr"]
    assert fields["mse_unclamped"].item() == 70
    assert fields["psnr"].item() == pytest.approx(30)
    assert set(fields) <= set(FIELDS)
    assert PANELS[MSE.quality] == MSE.label
