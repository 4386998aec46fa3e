"""Starting a model from a narrower one, so that it computes the same function at first.

This is the idea of Net2Net (Chen et al. 2016), without its copies of channels. New channels get random
incoming weights. Their outgoing weights into the old channels are 0, so they change nothing at first and
learn at once. New latents and hyper-latents start near 0, where they cost almost no bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from compressai.entropy_models import EntropyBottleneck
from compressai.layers import GDN
from compressai.models.google import MeanScaleHyperprior
from torch import Tensor, nn

from sgaplus.codec.hyperprior import PEDESTAL

Convolution = nn.Conv2d | nn.ConvTranspose2d

QUIET = 1e-3
"""Factor on the weights of new latents, hyper-latents, scales and means."""

SHARP = 0.05
"""Width of the density of new hyper-latents, narrower than a rounding interval."""


def widen(state: Mapping[str, Tensor], wide: MeanScaleHyperprior) -> None:
    """Give a wider model the function of a narrower one.

    Args:
        state: The narrower model's state dict.
        wide: A fresh model with at least its N and M, changed in place.
    """
    narrow = MeanScaleHyperprior.from_state_dict(dict(state))
    before, quiet = dict(narrow.named_modules()), {"g_a.6", "h_a.4", "h_s.4"}
    with torch.no_grad():
        for name, layer in wide.named_modules():
            if isinstance(layer, Convolution):
                old = cast(Convolution, before[name])
                kept = _kept(name, narrow.M, wide.M, len(cast(Tensor, old.bias)))
                _widen_convolution(layer, old, kept, QUIET if name in quiet else 1)
            elif isinstance(layer, GDN):
                _widen_gdn(layer, cast(GDN, before[name]))
        _widen_density(wide, narrow)


def _widen_density(wide: MeanScaleHyperprior, narrow: MeanScaleHyperprior) -> None:
    sharp = EntropyBottleneck(wide.N, init_scale=SHARP)
    for bias in sharp.biases:
        bias.zero_()  # around 0
    densities = (model.entropy_bottleneck.parameters() for model in (wide, narrow))
    for parameter, old, new in zip(*densities, sharp.parameters(), strict=True):
        parameter.copy_(new)
        parameter[: len(old)] = old


def _kept(name: str, old_m: int, new_m: int, outputs: int) -> Tensor:
    """Output channels of a layer of the wide model that the narrow model had."""
    if name == "h_s.4":  # scales, then means
        return torch.cat([torch.arange(old_m), new_m + torch.arange(old_m)])
    return torch.arange(outputs)


def _widen_convolution(layer: Convolution, old: Convolution, kept: Tensor, factor: float) -> None:
    def by_output(convolution: Convolution) -> Tensor:
        """The kernel as (out, in, height, width), a view."""
        kernel = convolution.weight.data
        return kernel.transpose(0, 1) if isinstance(convolution, nn.ConvTranspose2d) else kernel

    kernel, bias = by_output(layer), cast(Tensor, layer.bias)
    kernel.mul_(factor)
    bias.mul_(factor)
    kernel[kept] = 0
    kernel[kept, : by_output(old).shape[1]] = by_output(old)
    bias[kept] = cast(Tensor, old.bias)


def _widen_gdn(layer: GDN, old: GDN) -> None:
    channels = len(old.beta)
    layer.beta.data[:channels] = old.beta.data
    layer.gamma.data[:channels, channels:] = PEDESTAL**0.5  # stands for 0
    layer.gamma.data[:channels, :channels] = old.gamma.data
