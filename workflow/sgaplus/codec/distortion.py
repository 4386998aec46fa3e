"""The distortion of a reconstruction."""

from __future__ import annotations

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from sgaplus.metrics import PEAK, psnr

CHANNELS_OF_COLOUR = 3


class MeanSquaredError:
    """255^2 * mean((x - x^)^2) over the original pixels of an image: the paper's distortion.

    Attributes:
        name: Name of the distortion's field in the records; with ``_unclamped``, of the field without clamping.
        quality: Name of the field in the records with the quality in dB.
        label: The quality's name on axes.
        adds_up: Whether the distortion is a sum over pixels in any order. Then an image may be compared in strips,
            and pixel-unshuffled.
    """

    name = "mse"
    quality = "psnr"
    label = "PSNR (dB)"
    adds_up = True

    def total(self, x_hat: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """Sum of squared errors of each image, (B,), differentiable in the reconstruction.

        Args:
            x_hat: Reconstruction, (B, C, H, W) in units of [0, 1].
            x: Originals, the same.
            mask: 1 on original pixels and 0 on padding, of a shape that broadcasts; None where nothing is padded.
        """
        return _SumOfSquares.apply(x_hat, x, mask)

    def value(self, total: Tensor, pixels: Tensor) -> Tensor:
        """The distortion of each image, (B,), from its :meth:`total` and its number of original pixels."""
        return PEAK**2 * total / (CHANNELS_OF_COLOUR * pixels)

    def fields(self, value: Tensor, unclamped: Tensor) -> dict[str, Tensor]:
        """Values of the distortion, of the clamped reconstruction and not, as fields of the records, (B,) each."""
        return {self.name: value, f"{self.name}_unclamped": unclamped, self.quality: psnr(value)}


class _SumOfSquares(Function):
    """Sum of (x_hat - x)^2 where the mask is 1, (B,), in few passes over memory."""

    @staticmethod
    def forward(ctx: FunctionCtx, x_hat: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        error = x_hat - x
        if mask is not None:
            error *= mask
        ctx.save_for_backward(error)
        return error.square().sum(dim=(1, 2, 3))

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (error,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return error * (2 * gradient[:, None, None, None]), None, None
