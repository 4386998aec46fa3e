"""A stored convolution is torch's, in every precision, at every size, and so is its gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sgaplus.codec.frozen_convolution import frozen

LAYERS = {
    "convolution": lambda: nn.Conv2d(6, 8, 3, padding=1),
    "halving": lambda: nn.Conv2d(6, 8, 5, 2, padding=2),
    "transposed": lambda: nn.ConvTranspose2d(6, 8, 3, padding=1),
    "doubling": lambda: nn.ConvTranspose2d(6, 8, 5, 2, padding=2, output_padding=1),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    torch.manual_seed(0)
    return LAYERS[request.param]().requires_grad_(False)


def inputs(dtype):
    """Inputs of changing size, as images of one job have."""
    generator = torch.Generator().manual_seed(1)
    for shape in [(1, 6, 8, 8), (1, 6, 8, 8), (2, 6, 4, 10), (1, 6, 8, 8)]:
        yield torch.randn(shape, generator=generator).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_value_and_gradient_are_the_layers_own(layer, dtype):
    layer = layer.to(dtype)
    value, back = frozen(layer, dtype, dtype)
    for x in inputs(dtype):
        expected = layer(x.requires_grad_())
        gradient = torch.sin(expected.detach())
        expected.backward(gradient)
        torch.testing.assert_close(value(x.detach()), expected.detach())
        torch.testing.assert_close(back(gradient), x.grad)


def test_precisions_of_value_and_gradient_are_chosen_apart(layer):
    value, back = frozen(layer, torch.float32, torch.bfloat16)
    assert (value.dtype, back.dtype) == (torch.float32, torch.bfloat16)


def test_without_its_bias(layer):
    value, _ = frozen(layer, torch.float32, torch.float32, bias=False)
    x = next(inputs(torch.float32))
    torch.testing.assert_close(value(x), layer(x) - layer.bias[:, None, None])
