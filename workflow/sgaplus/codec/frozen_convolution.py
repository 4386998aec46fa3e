"""Convolutions whose kernels never change, without a gradient of their own.

On a CPU torch rearranges a kernel in every call, for the library that computes with it (oneDNN). For a small image that
takes longer than the convolution. Here the kernel is rearranged once per size of input; the sums are the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d


class FrozenConvolution:
    """A convolution with a stored kernel.

    Args:
        weight: Kernel (out, in, k, k).
        bias: (out,), or None.
        stride: Of the output.
        padding: Zeros around the input.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> None:
        self.weight, self.bias = _stored(weight), None if bias is None else bias.detach().to(weight.dtype)
        self.stride, self.padding = stride, padding
        self.geometry = self._geometry()
        self.packs = _packs(self.weight)
        self.packed: tuple[torch.Size, Tensor] | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the input and of the output."""
        return self.weight.dtype

    def __call__(self, x: Tensor) -> Tensor:
        """The output (B, out, h, w) for an input (B, in, H, W)."""
        if not self.packs:
            return self._plain(x)
        if self.packed is None or self.packed[0] != x.shape:
            self.packed = x.shape, self._pack(x.shape)
        return self._apply(x, self.packed[1])

    def _plain(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def _geometry(self) -> tuple[list[int] | int, ...]:
        """Padding, stride, dilation and groups, as oneDNN's functions take them."""
        return [self.padding] * 2, [self.stride] * 2, [1, 1], 1

    def _pack(self, shape: torch.Size) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_weight(self.weight, *self.geometry, shape)

    def _apply(self, x: Tensor, packed: Tensor) -> Tensor:
        return torch.ops.mkldnn._convolution_pointwise(x, packed, self.bias, *self.geometry, "none", [], "")


class FrozenTransposedConvolution(FrozenConvolution):
    """A transposed convolution with a stored kernel.

    Args:
        weight: Kernel (in, out, k, k).
        bias: (out,), or None.
        stride: Of the input; the output is so many times as large.
        padding: Rows and columns left out at each edge of the output.
    """

    def _plain(self, x: Tensor) -> Tensor:
        return conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding, self.stride - 1)

    def _geometry(self) -> tuple[list[int] | int, ...]:
        """As of the other, with the rows and columns that the output has more, before the stride."""
        padding, *others = super()._geometry()
        return padding, [self.stride - 1] * 2, *others

    def _pack(self, shape: torch.Size) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_transpose_weight(self.weight, *self.geometry, shape)

    def _apply(self, x: Tensor, packed: Tensor) -> Tensor:
        return torch.ops.mkldnn._convolution_transpose_pointwise(x, packed, self.bias, *self.geometry, "none", [], "")


def frozen(
    layer: nn.Conv2d | nn.ConvTranspose2d, dtype: torch.dtype, gradient_dtype: torch.dtype, bias: bool = True
) -> tuple[FrozenConvolution, FrozenConvolution]:
    """A layer, and the gradient of a loss in its input as a convolution of the gradient in its output.

    Args:
        layer: Square kernel, stride 1 or 2; a transposed one doubles the side where its stride is 2.
        dtype: Precision of the layer.
        gradient_dtype: Precision of the gradient.
        bias: Whether the layer keeps its bias.
    """
    stride, padding = layer.stride[0], int(layer.padding[0])
    here, back = (
        (FrozenTransposedConvolution, FrozenConvolution)
        if isinstance(layer, nn.ConvTranspose2d)
        else (FrozenConvolution, FrozenTransposedConvolution)
    )
    return (
        here(layer.weight.to(dtype), layer.bias if bias else None, stride, padding),
        back(layer.weight.to(gradient_dtype), None, stride, padding),
    )


def _stored(weight: Tensor) -> Tensor:
    return weight.detach().contiguous(memory_format=torch.channels_last)


def _packs(weight: Tensor) -> bool:
    """Whether torch has oneDNN's functions for this kernel's device and precision."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32
