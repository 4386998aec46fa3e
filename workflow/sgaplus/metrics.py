"""Quality of a reconstruction."""

from __future__ import annotations

from torch import Tensor

PEAK = 255.0
"""Distortion is measured on the scale of 8-bit images, although images are in [0, 1] here."""

NO_ERROR = 1e-10
"""Stands for a mean squared error of 0, so that PSNR stays finite (148 dB)."""


def psnr(mse: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of a mean squared error on the 8-bit scale (255^2 * MSE)."""
    return 10 * (PEAK**2 / mse.clamp(min=NO_ERROR)).log10()
