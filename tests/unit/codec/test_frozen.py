from __future__ import annotations

import math

import pytest
import torch

from sgaplus.codec.bitstream import Coder
from sgaplus.codec.distortion import MeanSquaredError
from sgaplus.codec.frozen import Codec, pad, padded_size
from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.codec.latents import Latents, hard_rounding, no_rounding

SIZES = [(1, 1), (15, 17), (16, 16), (48, 80), (65, 64), (80, 80), (100, 150)]
"""Heights and widths. Five latents a side, like 75 of an image of 1200 pixels, are no multiple of four."""


@pytest.mark.parametrize(("size", "padded"), [((1, 1), (16, 16)), ((64, 128), (64, 128)), ((65, 127), (80, 128))])
def test_padding_reaches_the_next_multiples_of_16(size, padded, picture):
    image = picture(*size)
    assert padded_size(*size, 16) == padded
    assert pad(image, 16).shape == (3, *padded)


def test_padding_repeats_the_last_row_and_column(picture):
    image = picture(70, 90)
    padded = pad(image, 16)
    assert padded.shape == (3, 80, 96)
    torch.testing.assert_close(padded[:, :70, :90], image, atol=0, rtol=0)
    assert (padded[:, 70:, :90] == image[:, -1:, :]).all()
    assert (padded[:, :70, 90:] == image[:, :, -1:]).all()


@pytest.mark.parametrize("size", SIZES)
def test_an_image_has_a_latent_for_every_16_pixels_and_a_hyper_latent_for_every_64(size, codec, picture):
    """Both transforms see the image's own latents, and no padding to multiples of 64."""
    height, width = size
    latents = codec.latents_of(picture(height, width))
    assert latents.y.shape == (12, math.ceil(height / 16), math.ceil(width / 16))
    assert latents.z.shape == (8, math.ceil(height / 64), math.ceil(width / 64))
    y = codec.model.g_a(pad(picture(height, width), 16)[None])
    torch.testing.assert_close(latents.y, y[0])
    torch.testing.assert_close(latents.z, codec.model.h_a(y)[0])


@pytest.mark.parametrize("size", SIZES)
def test_scales_and_means_are_cropped_to_the_latents(size, codec, trained, picture):
    """The rate is the one that CompressAI's densities give with the hyper-synthesis cropped."""
    batch = codec.batch([picture(*size)])
    latents = codec.analyse(batch.x)
    height, width = latents.y.shape[2:]
    measured, rounded = codec.measure(batch, latents), codec.round(latents)
    with torch.no_grad():
        scales, means = trained.h_s(rounded.z)[:, :, :height, :width].chunk(2, dim=1)
        _, of_y = trained.gaussian_conditional(latents.y, scales, means=means)
        _, of_z = trained.entropy_bottleneck(latents.z)
    for ours, theirs in ((measured.bpp_y, of_y), (measured.bpp_z, of_z)):
        torch.testing.assert_close(ours[0], -torch.log2(theirs).sum() / (size[0] * size[1]))


def test_rate_and_distortion_equal_those_of_compressai_in_evaluation(codec, trained, picture):
    """With rounding as in a bitstream, ours is CompressAI's own forward pass."""
    image = picture(128, 192)
    batch = codec.batch([image])
    measured = codec.measure(batch, codec.analyse(batch.x))
    with torch.no_grad():
        out = trained(image[None])
    pixels = 128 * 192
    for ours, name in ((measured.bpp_y, "y"), (measured.bpp_z, "z")):
        torch.testing.assert_close(ours[0], -torch.log2(out["likelihoods"][name]).sum() / pixels)
    mse = 255**2 * (out["x_hat"].clamp(0, 1) - image).square().mean()
    torch.testing.assert_close(measured.distortion[0], mse)


def test_what_is_measured_is_what_compressai_codes_and_decodes(codec, trained, picture):
    """The rounded latents are those of CompressAI's bitstream, and its length is about the estimate."""
    image = picture(192, 256)
    batch = codec.batch([image])
    rounded = codec.round(codec.analyse(batch.x))
    coded = trained.compress(image[None])
    z_hat = trained.entropy_bottleneck.decompress(coded["strings"][1], coded["shape"])
    torch.testing.assert_close(rounded.z, z_hat)
    with torch.no_grad():
        decoded = trained.decompress(coded["strings"], coded["shape"])["x_hat"]
        torch.testing.assert_close(codec.synthesise(rounded.y).clamp(0, 1), decoded)


@pytest.mark.parametrize(
    ("size", "y", "z"),
    [
        ((1, 1), (1, 1), (1, 1)),
        ((16, 64), (1, 4), (1, 1)),
        ((65, 64), (5, 4), (2, 1)),
        ((48, 80), (3, 5), (1, 2)),
        ((1200, 17), (75, 2), (19, 1)),
    ],
)
def test_an_image_has_a_latent_for_every_16_pixels_begun_and_no_more(codec, picture, size, y, z):
    latents = codec.latents_of(picture(*size))
    assert (latents.y.shape[1:], latents.z.shape[1:]) == (y, z)
    relaxed = codec.relaxed(Latents(latents.y[None], latents.z[None]), hard_rounding)
    assert relaxed.latents.y.shape[1:] == latents.y.shape


def test_the_means_of_latents_at_an_edge_are_the_hyper_synthesis_cropped(codec):
    latents = Latents(torch.randn(1, 12, 5, 7) * 4, torch.randn(1, 8, 2, 2) * 4)
    rounded = codec.round(latents)
    _, means = codec.model.h_s(rounded.z)[..., :5, :7].chunk(2, dim=1)
    torch.testing.assert_close(rounded.y, torch.round(latents.y - means) + means)


def test_padding_counts_as_rate_but_not_as_pixels_or_distortion(codec, picture):
    image = picture(100, 150)
    batch = codec.batch([image])
    latents = codec.analyse(batch.x)
    measured = codec.measure(batch, latents)
    rounded = codec.round(latents)
    x_hat = codec.synthesise(rounded.y).clamp(0, 1)[0, :, :100, :150]
    torch.testing.assert_close(measured.distortion[0], 255**2 * (x_hat - image).square().mean())
    scales, means = codec.model.h_s(rounded.z)[..., :7, :10].chunk(2, dim=1)
    torch.testing.assert_close(measured.bpp_y[0], codec.model.bits_y(rounded.y, scales, means)[0] / (100 * 150))


def test_images_of_one_padded_size_share_a_batch_without_touching_each_other(codec, picture):
    images = [picture(100, 150, 1), picture(112, 160, 2), picture(97, 145, 3)]
    together = codec.batch(images)
    measured = codec.measure(together, codec.analyse(together.x))
    for i, image in enumerate(images):
        alone = codec.batch([image])
        single = codec.measure(alone, codec.analyse(alone.x))
        torch.testing.assert_close(measured.bpp[i], single.bpp[0], rtol=1e-4, atol=0)
        torch.testing.assert_close(measured.distortion[i], single.distortion[0], rtol=1e-4, atol=0)


@pytest.mark.parametrize("strip", [1, 3, 8, 100])
def test_strips_change_nothing_but_the_order_of_sums(codec, picture, strip):
    batch = codec.batch([picture(306, 115), picture(310, 128, 1)])
    whole = codec.analyse(batch.x)
    cut = codec.analyse(batch.x, strip)
    torch.testing.assert_close(cut.y, whole.y, rtol=1e-4, atol=1e-5)
    gradients = []
    for rows in (None, strip):
        y = whole.y.detach().clone().requires_grad_()
        distortion = codec.distortion(batch, y, rows)
        distortion.sum().backward()
        gradients.append((distortion.detach(), y.grad))
    torch.testing.assert_close(gradients[1][0], gradients[0][0], rtol=1e-5, atol=0)
    torch.testing.assert_close(gradients[1][1], gradients[0][1], rtol=1e-3, atol=1e-4 * gradients[0][1].abs().max())


def test_one_row_less_of_halo_would_not_do(codec, picture, monkeypatch):
    batch = codec.batch([picture(192, 64)])
    y = codec.analyse(batch.x).y
    exact = codec.distortion(batch, y)
    monkeypatch.setattr(Hyperprior, "halo", 0)
    assert not torch.allclose(codec.distortion(batch, y, 2), exact, rtol=1e-5)


def test_rounding_keeps_the_offsets_of_the_bitstream(codec):
    latents = Latents(torch.randn(1, 12, 8, 8) * 4, torch.randn(1, 8, 2, 2) * 4)
    rounded = codec.round(latents)
    steps = rounded.z - codec.model.entropy_bottleneck.medians
    torch.testing.assert_close(steps, steps.round(), atol=1e-5, rtol=0)
    _, means = codec.model.h_s(rounded.z).chunk(2, dim=1)
    steps = rounded.y - means
    torch.testing.assert_close(steps, steps.round(), atol=1e-5, rtol=0)


def test_no_gradient_reaches_the_weights(codec, picture):
    batch = codec.batch([picture(64, 64)])
    y = codec.analyse(batch.x).y.requires_grad_()
    codec.distortion(batch, y).sum().backward()
    assert y.grad is not None
    assert all(weight.grad is None for weight in codec.model.parameters())


def test_estimated_bits_are_those_of_the_closed_form(codec):
    """A Gaussian of known scale, integrated over the unit interval around its mean."""
    zero = torch.zeros(1, 12, 4, 4)
    scale = 2.0
    bits = codec.model.bits_y(zero, torch.full_like(zero, scale), zero)
    probability = math.erf(0.5 / scale / math.sqrt(2))
    assert bits.item() == pytest.approx(-math.log2(probability) * zero.numel(), rel=1e-5)


def test_relaxed_with_hard_rounding_are_the_latents_that_the_decoder_gets(codec, picture):
    """But for latents midway between two integers, which the decoder's exact arithmetic can turn."""
    latents = codec.latents_of(picture(100, 150))
    coder = Coder(codec)
    decoded = coder.decode_latents(coder.encode(latents, 150, 100))
    relaxed = codec.relaxed(Latents(latents.y[None], latents.z[None]), hard_rounding)
    torch.testing.assert_close(relaxed.latents.z[0], decoded.z)
    assert ((relaxed.latents.y[0] - decoded.y).abs() < 2e-3).float().mean() > 0.99
    kept = codec.relaxed(Latents(decoded.y[None], decoded.z[None]), no_rounding)
    torch.testing.assert_close(kept.bits, relaxed.bits, rtol=1e-2, atol=0)


def test_rounding_and_measuring_are_one_sequence(codec, picture):
    batch = codec.batch([picture(100, 150)])
    latents = codec.analyse(batch.x)
    relaxed, measured = codec.relaxed(latents, hard_rounding), codec.measure(batch, latents)
    assert codec.round(latents).y.equal(relaxed.latents.y)
    assert measured.bpp_y.equal(relaxed.bits_y / batch.pixels)
    assert measured.bpp_z.equal(relaxed.bits_z / batch.pixels)
    assert measured.true_loss(0.01).equal(relaxed.bits / batch.pixels + 0.01 * measured.distortion_unclamped)
    assert measured.sent_loss(0.01).equal(relaxed.bits / batch.pixels + 0.01 * measured.distortion)


def test_a_model_without_a_halo_is_not_cut_into_strips(codec, picture, monkeypatch):
    batch = codec.batch([picture(192, 64)])
    whole = codec.analyse(batch.x)
    monkeypatch.setattr(Hyperprior, "halo", None)
    assert not codec.takes_strips
    assert codec.analyse(batch.x, 2).y.equal(whole.y)
    assert codec.distortion(batch, whole.y, 2).equal(codec.distortion(batch, whole.y))
    coder = Coder(codec)
    rounded = coder.round(codec.latents_of(picture(192, 64)))
    assert coder.reconstruct(rounded, 64, 192).shape == (192, 64, 3)


class LargestError(MeanSquaredError):
    """A distortion that is no sum over pixels."""

    adds_up = False

    def total(self, x_hat, x, mask):
        assert x_hat.shape == x.shape == (1, 3, 192, 64), "whole images, in their own order"
        return (x_hat - x).abs().amax(dim=(1, 2, 3))


def test_a_distortion_that_does_not_add_up_sees_whole_images(codec, picture, monkeypatch):
    batch = codec.batch([picture(192, 64)])
    y = codec.analyse(batch.x).y
    monkeypatch.setattr(Codec, "distortion_measure", LargestError())
    expected = (codec.synthesise(y) - batch.x).abs().max() * 255**2 / (3 * 192 * 64)
    torch.testing.assert_close(codec.distortion(batch, y, 2)[0], expected)
