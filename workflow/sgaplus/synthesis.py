"""The synthesis transform as refinement repeats it: forward, and backward to the latents alone.

It is ``Hyperprior.g_s`` in other arithmetic. What is measured or decoded uses ``g_s`` itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.functional import conv2d, conv_transpose2d, pad, pixel_shuffle, pixel_unshuffle

PHASES = 2
"""Even and odd rows, and columns, of an image: what the last layer makes of each input."""


class Synthesis:
    """The synthesis transform of a frozen model, differentiable in the latents once.

    Args:
        g_s: The model's transform.
        narrow: Precision of the layers that bear a narrower one than the model's; None for none. The first
            layer does not, because bfloat16 would round a latent of 100 by up to a quarter, nor does
            the value of the last, because it would round a pixel by up to half a level.
    """

    def __init__(self, g_s: nn.Sequential, narrow: torch.dtype | None = None) -> None:
        layers: list[Any] = list(g_s)
        self.first, *others = layers
        wide = others[-1].weight.dtype
        dtype = self.dtype = narrow or wide
        self.norms = [
            (_stored(norm.gamma, dtype), _stored(norm.gamma.transpose(0, 1), dtype), _stored(norm.beta, dtype))
            for norm in others[::2]
        ]
        self.kernels = [(_stored(layer.weight, dtype), _stored(layer.bias, dtype)) for layer in others[1:-1:2]]
        kernel, bias = _subpixel(others[-1].weight), others[-1].bias.repeat_interleave(4)
        self.last = _stored(kernel, wide), _stored(bias, wide), _stored(kernel, dtype)

    def __call__(self, y: Tensor) -> Tensor:
        """Reconstruction (B, 3, H, W), not clamped, of latents (B, M, H/16, W/16), in the latents' precision."""
        return pixel_shuffle(self.phases(y), PHASES)

    def phases(self, y: Tensor) -> Tensor:
        """The same as (B, 12, H/2, W/2), as :func:`phases` gives it of images, which saves sorting the pixels."""
        x = self.first(y).to(self.dtype)
        for norm, (kernel, bias) in zip(self.norms, self.kernels, strict=False):
            x = conv_transpose2d(_InverseGDN.apply(x, *norm), kernel, bias, 2, 2, 1)
        x = _InverseGDN.apply(x, *self.norms[-1])
        return _Last.apply(x, *self.last)


def phases(x: Tensor) -> Tensor:
    """Images (B, C, H, W) as (B, 4 C, H/2, W/2): a channel for each parity of row and column."""
    return pixel_unshuffle(x, PHASES).contiguous(memory_format=torch.channels_last)


def _stored(weight: Tensor, dtype: torch.dtype) -> Tensor:
    layout = torch.channels_last if weight.dim() == 4 else torch.contiguous_format
    return weight.detach().to(dtype).contiguous(memory_format=layout)


def _subpixel(kernel: Tensor) -> Tensor:
    """A transposed convolution as a convolution whose output is then shuffled into pixels.

    Pixel 2 i + p of the output is made of the inputs i + 1 - k by the taps 2 k + p, k = 0, 1, 2, of which
    the sixth is none. For few output channels this is several times faster.

    Args:
        kernel: (into, out, 5, 5), of stride 2, padding 2 and output padding 1.

    Returns:
        (4 out, into, 3, 3), of stride 1 and padding 1.
    """
    into, out = kernel.shape[:2]
    taps = pad(kernel, (0, 1, 0, 1)).view(into, out, 3, 2, 3, 2).flip(2, 4)
    return taps.permute(1, 3, 5, 0, 2, 4).reshape(4 * out, into, 3, 3)


class _InverseGDN(torch.autograd.Function):
    """x sqrt(beta + gamma x^2) in few passes over memory, which is what bounds it."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, gamma: Tensor, gamma_t: Tensor, beta: Tensor) -> Tensor:
        scale = conv2d(x.square(), gamma, beta).sqrt_()
        ctx.save_for_backward(x, scale, gamma_t)
        return x * scale

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        x, scale, gamma_t = ctx.saved_tensors  # type: ignore[attr-defined]
        through = conv2d((gradient * x).div_(scale), gamma_t).mul_(x)
        return through.addcmul_(gradient, scale), None, None, None


class _Last(torch.autograd.Function):
    """A convolution whose value is computed in the precision of ``kernel``, and its gradient in that of its input."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, kernel: Tensor, bias: Tensor, narrow: Tensor) -> Tensor:
        ctx.save_for_backward(narrow)
        return conv2d(x.to(kernel.dtype), kernel, bias, padding=1)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (narrow,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return conv_transpose2d(gradient.to(narrow.dtype), narrow, padding=1), None, None, None
