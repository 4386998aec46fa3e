from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import pixel_shuffle

from sgaplus.codec.fast_synthesis import FastHyperSynthesis, FastSynthesis, _subpixel
from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import Hyperprior


@pytest.fixture(scope="module")
def model():
    """Synthesis transforms with weights away from their initial values, in float64."""
    model = Hyperprior(8, 12)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (*model.g_s.parameters(), *model.h_s.parameters()):
            weight.copy_(0.1 * torch.rand(weight.shape, generator=generator) + 0.01)
        for layer in (*model.g_s[::2], *model.h_s[::2]):
            layer.weight.sub_(0.06)
        for layer in model.g_s[1::2]:
            layer.gamma.data = layer.gamma.data[:, :, None, None]
    return model.double().requires_grad_(False)


@pytest.fixture
def g_s(model):
    return copy.deepcopy(model.g_s)


@pytest.fixture
def h_s(model):
    return copy.deepcopy(model.h_s)


@pytest.fixture
def z():
    return 5 * torch.randn(2, 8, 2, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def values_and_gradient(transform, y):
    y = y.clone().requires_grad_()
    x_hat = transform(y)
    (x_hat - 0.5).square().sum().backward()
    return x_hat.detach(), y.grad


@pytest.fixture
def y():
    return 5 * torch.randn(2, 12, 4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_it_and_its_gradient_are_those_of_the_models_own_transform(g_s, y):
    torch.testing.assert_close(values_and_gradient(FastSynthesis(g_s), y), values_and_gradient(g_s, y))


def test_from_a_reference_it_gives_the_difference_from_there(g_s, y):
    near = y + torch.rand(y.shape, generator=torch.Generator().manual_seed(4), dtype=y.dtype)
    synthesis = FastSynthesis(g_s)
    reference = synthesis.reference(y)
    exact, exact_gradient = values_and_gradient(g_s, near)
    missing = g_s(y) - synthesis(y, reference)
    found, gradient = values_and_gradient(lambda near: synthesis(near, reference) + missing, near)
    torch.testing.assert_close(found, exact)
    torch.testing.assert_close(gradient, exact_gradient)


def test_the_hyper_synthesis_and_its_gradient_are_the_models_own(h_s, z):
    torch.testing.assert_close(values_and_gradient(FastHyperSynthesis(h_s), z), values_and_gradient(h_s, z))


def test_in_bfloat16_the_hyper_synthesis_keeps_its_values_and_its_gradient_is_close(h_s, z):
    single = h_s.float()
    exact, exact_gradient = values_and_gradient(single, z.float())
    value, gradient = values_and_gradient(FastHyperSynthesis(single, torch.bfloat16), z.float())
    torch.testing.assert_close(value, exact)
    assert 0 < (gradient - exact_gradient).norm() < 0.02 * exact_gradient.norm()


def test_the_subpixel_convolution_is_the_transposed_one():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 5, 6, 7, generator=generator, dtype=torch.float64)
    layer = nn.ConvTranspose2d(5, 3, 5, 2, padding=2, output_padding=1).double()
    torch.testing.assert_close(pixel_shuffle(_subpixel(layer)(x), 2), layer(x))


def test_in_bfloat16_it_is_close_and_its_outputs_keep_the_precision_of_the_latents(g_s, y):
    single = g_s.float()
    exact, exact_gradient = values_and_gradient(single, y.float())
    x_hat, gradient = values_and_gradient(FastSynthesis(single, torch.bfloat16), y.float())
    assert x_hat.dtype == gradient.dtype == torch.float32
    assert 0 < (x_hat - exact).norm() < 0.02 * exact.norm()
    assert (gradient - exact_gradient).norm() < 0.02 * exact_gradient.norm()


def test_in_bfloat16_a_reference_nearby_makes_it_more_precise(g_s, y):
    single, y = g_s.float(), y.float()
    low = FastSynthesis(single, torch.bfloat16)
    near = y + 0.1 * torch.randn(y.shape, generator=torch.Generator().manual_seed(4))
    reference = low.reference(y)
    missing = single(y) - low(y, reference)
    exact = single(near)
    assert (low(near, reference) + missing - exact).norm() < 0.8 * (low(near) - exact).norm()


def test_a_codec_in_bfloat16_measures_and_codes_in_float32(codec, picture):
    low = Codec(codec.model, precision="bfloat16")
    batch = codec.batch([picture(64, 128)])
    latents = codec.analyse(batch.x)
    assert low.measure(batch, low.analyse(batch.x)) == codec.measure(batch, latents)
    assert low.distortion(batch, latents.y) != codec.distortion(batch, latents.y)
    assert low.distortion(batch, latents.y).item() == pytest.approx(codec.distortion(batch, latents.y).item(), rel=0.02)
    assert all(weight.dtype == torch.float32 for weight in low.model.parameters())


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 5e-3)])
def test_strips_of_latents_give_the_gradient_of_the_whole(codec, picture, precision, tolerance):
    same = Codec(codec.model, precision=precision)
    batch = codec.batch([picture(300, 100)])
    y = codec.analyse(batch.x).y
    gradients = []
    for strip in (None, 3):
        whole = y.clone().requires_grad_()
        same.distortion(batch, whole, strip).sum().backward()
        gradients.append(whole.grad)
    assert (gradients[1] - gradients[0]).norm() < tolerance * gradients[0].norm()
