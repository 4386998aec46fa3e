"""Quality of a reconstruction."""

from __future__ import annotations

import numpy as np
import torch
from pytorch_msssim import ms_ssim
from torch import Tensor

from sgaplus.ms_ssim import SMALLEST_SIDE

PEAK = 255.0
"""Distortion is measured on the scale of 8-bit images, although images are in [0, 1] here."""

NO_ERROR = 1e-10
"""Stands for a mean squared error of 0, so that PSNR stays finite (148 dB)."""


def psnr(mse: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of a mean squared error on the 8-bit scale (255^2 * MSE)."""
    return 10 * (PEAK**2 / mse.clamp(min=NO_ERROR)).log10()


def mse_of(original: np.ndarray, decoded: np.ndarray) -> float:
    """Mean squared error between two pictures, uint8 (height, width, 3)."""
    return float(np.square(original.astype(np.int32) - decoded).mean())


def psnr_of(original: np.ndarray, decoded: np.ndarray) -> float:
    """PSNR in dB between two pictures, uint8 (height, width, 3)."""
    return psnr(torch.tensor(mse_of(original, decoded), dtype=torch.float64)).item()


def ms_ssim_of(original: np.ndarray, decoded: np.ndarray) -> float | None:
    """MS-SSIM between two pictures, uint8 (height, width, 3), up to 1 for equal ones: the mean of the colours'.

    As CompressAI measures it. None where a side has fewer than :data:`SMALLEST_SIDE` pixels.
    """
    if min(original.shape[:2]) < SMALLEST_SIDE:
        return None
    pair = (torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() for picture in (original, decoded))
    return ms_ssim(*pair, data_range=PEAK).item()
