"""The synthesis transforms made fast for refinement: forward, and backward to the latents alone.

They compute ``Hyperprior.g_s`` and ``h_s`` in other arithmetic. Measuring and decoding use ``g_s`` and ``h_s``
themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle

from sgaplus.codec.frozen_convolution import FrozenConvolution, frozen

Transform = Callable[[Tensor], Tensor]

LAST_STRIDE = 2
"""Pixels per input of the last layer along each side."""


class FastSynthesis:
    """The synthesis transform of a frozen model, differentiable in the latents once.

    Given a reference, which are latents near the present ones, it returns the difference from the last layer's output
    at the reference. The last layer is linear, and the difference is a small number, which a low precision hardly
    rounds.

    Args:
        g_s: The model's transform.
        low_precision: Precision of the inner layers and of all gradients; None keeps the model's. Forward values
            of the first layer, and of the last unless a reference is given, stay in full precision: bfloat16
            would round a latent of 100 by up to a quarter, and a pixel by up to half a level.
    """

    def __init__(self, g_s: nn.Sequential, low_precision: torch.dtype | None = None) -> None:
        layers: list[Any] = list(g_s)
        first, *others = layers
        dtype = self.dtype = low_precision or first.weight.dtype
        self.norms = [_InverseGDN.of(norm, dtype) for norm in others[::2]]
        self.first = _Convolution.of(first, first.weight.dtype, dtype)
        self.inner = [_Convolution.of(layer, dtype, dtype) for layer in others[1:-1:2]]
        last = _subpixel(others[-1])
        self.last = _Convolution.of(last, last.weight.dtype, dtype)
        self.last_of_difference = _Convolution.of(last, dtype, dtype, bias=False)

    def __call__(self, y: Tensor, reference: Tensor | None = None) -> Tensor:
        """Reconstruction (B, 3, H, W), not clamped, in the latents' precision.

        Args:
            y: Latents (B, M, H/16, W/16).
            reference: Result of :meth:`reference`, to return the difference from it, in the low precision; None to
                return the whole reconstruction.
        """
        return pixel_shuffle(self.pixel_unshuffled(y, reference), LAST_STRIDE)

    def pixel_unshuffled(self, y: Tensor, reference: Tensor | None = None) -> Tensor:
        """The reconstruction in the order of :func:`pixel_unshuffled`, (B, 12, H/2, W/2), which saves a sort."""
        x = self._before_last(y, reference)
        return self.last(x) if reference is None else self.last_of_difference(x)

    def reference(self, y: Tensor) -> Tensor:
        """Inputs of the last layer at latents (B, M, H/16, W/16), negated, (B, N, H/2, W/2)."""
        return -self._before_last(y, None)

    def _before_last(self, y: Tensor, reference: Tensor | None) -> Tensor:
        x = self.first(y).to(self.dtype)
        for norm, layer in zip(self.norms, self.inner, strict=False):
            x = layer(norm(x, None))
        return self.norms[-1](x, reference)


class FastHyperSynthesis:
    """The hyper-synthesis transform of a frozen model: values in its own precision, its gradient in a low one.

    Args:
        h_s: The model's transform.
        low_precision: Precision of the gradient; None for the model's.
    """

    def __init__(self, h_s: nn.Sequential, low_precision: torch.dtype | None = None) -> None:
        layers: list[Any] = list(h_s)
        own = layers[0].weight.dtype
        self.layers = [
            layer if isinstance(layer, nn.LeakyReLU) else _Convolution.of(layer, own, low_precision or own)
            for layer in layers
        ]

    def __call__(self, z: Tensor) -> Tensor:
        """Scales and means (B, 2 M, 4 h, 4 w) of hyper-latents (B, N, h, w)."""
        for layer in self.layers:
            z = layer(z)
        return z


def pixel_unshuffled(x: Tensor) -> Tensor:
    """Images (B, C, H, W) as (B, 4 C, H/2, W/2): a channel for each parity of row and column."""
    return pixel_unshuffle(x, LAST_STRIDE).contiguous(memory_format=torch.channels_last)


def _subpixel(layer: nn.ConvTranspose2d) -> nn.Conv2d:
    """A transposed convolution as a convolution whose output is then shuffled into pixels.

    Pixel 2 i + p of the output is the sum over k = 0, 1, 2 of input i + 1 - k times tap 2 k + p; the kernel has
    taps 0 to 4, and tap 5 counts as 0. For few output channels this is several times faster.

    Args:
        layer: Kernel 5, stride 2, padding 2, output padding 1; C channels out.

    Returns:
        Kernel 3, stride 1, padding 1; 4 C channels out.
    """
    into, out = layer.weight.shape[:2]
    taps = pad(layer.weight, (0, 1, 0, 1)).view(into, out, 3, 2, 3, 2).flip(2, 4)
    same = nn.Conv2d(into, 4 * out, 3, padding=1, device=layer.weight.device).requires_grad_(False)
    kernel = taps.permute(1, 3, 5, 0, 2, 4).reshape(4 * out, into, 3, 3)
    same.weight.data = kernel.detach()
    assert layer.bias is not None
    assert same.bias is not None
    same.bias.data = layer.bias.detach().repeat_interleave(4)
    return same


class _InverseGDN(torch.autograd.Function):
    """x sqrt(beta + gamma x^2), plus a constant or None, in few passes over the elements."""

    @staticmethod
    def of(norm: Any, dtype: torch.dtype) -> Callable[[Tensor, Tensor | None], Tensor]:
        """A model's layer in a precision."""
        gamma = norm.gamma.detach().to(dtype)
        scale, back = FrozenConvolution(gamma, norm.beta), FrozenConvolution(gamma.transpose(0, 1))
        return lambda x, constant: _InverseGDN.apply(x, constant, scale, back)

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, constant: Tensor | None, squared_scale: FrozenConvolution, back: FrozenConvolution
    ) -> Tensor:
        scale = squared_scale(x.square()).sqrt_()
        ctx.save_for_backward(x, scale)
        ctx.back = back
        return x * scale if constant is None else torch.addcmul(constant, x, scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        x, scale = ctx.saved_tensors
        through = ctx.back((gradient * x).div_(scale)).mul_(x)
        return through.addcmul_(gradient, scale), None, None, None


class _Convolution(torch.autograd.Function):
    """A convolution, or a transposed one: its value in one precision, its gradient in another."""

    @staticmethod
    def of(
        layer: nn.Conv2d | nn.ConvTranspose2d, dtype: torch.dtype, gradient_dtype: torch.dtype, bias: bool = True
    ) -> Transform:
        """A model's layer, with or without its bias."""
        value, back = frozen(layer, dtype, gradient_dtype, bias)
        return lambda x: _Convolution.apply(x, value, back)

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: FrozenConvolution, back: FrozenConvolution) -> Tensor:
        ctx.back, ctx.dtype = back, x.dtype
        return value(x.to(value.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.back(gradient.to(ctx.back.dtype)).to(ctx.dtype), None, None
