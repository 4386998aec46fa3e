"""Quality of a reconstruction."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from pytorch_msssim import ms_ssim
from torch import Tensor

from sgaplus import distances
from sgaplus.qualities import QUALITIES

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

    As CompressAI measures it. None where a side has fewer than 161 pixels.
    """
    if min(original.shape[:2]) < QUALITIES["ms_ssim"].smallest_side:
        return None
    return ms_ssim(*(_batch(picture).float() for picture in (original, decoded)), data_range=PEAK).item()


def haarpsi_of(original: np.ndarray, decoded: np.ndarray) -> float | None:
    """HaarPSI between two pictures, uint8 (height, width, 3), up to 1 for equal ones.

    The Haar wavelet-based perceptual similarity index (Reisenhofer et al. 2018), of luma and both chromas. None where
    a side has fewer than 16 pixels.
    """
    from piq import haarpsi  # imports torchvision, a second that refinement and coding do without

    if min(original.shape[:2]) < QUALITIES["haarpsi"].smallest_side:
        return None
    # in float32, 1 - HaarPSI of a fine picture would have two digits
    return haarpsi(*(_batch(picture).double() for picture in (original, decoded)), data_range=PEAK).item()


def distances_of(names: Iterable[str], original: np.ndarray, decoded: np.ndarray) -> dict[str, float | None]:
    """Distances between two pictures, uint8 (height, width, 3), down to 0 for equal ones, by their names.

    ``lpips`` (Zhang et al. 2018, by VGG-16) and ``dists`` (Ding et al. 2020, of pictures that are first made small: 256
    pixels on the shorter side), as piq measures them. None where a side has fewer than 32 pixels.

    Raises:
        WeightsError: weights are missing, or are not those that are published.
    """
    return {name: _distance(name, original, decoded) for name in names}


def _distance(name: str, original: np.ndarray, decoded: np.ndarray) -> float | None:
    if min(original.shape[:2]) < QUALITIES[name].smallest_side:
        return None
    with torch.no_grad():
        return distances.network(name)(*(_batch(picture).float() / PEAK for picture in (original, decoded))).item()


def _batch(picture: np.ndarray) -> Tensor:
    """A picture as a batch of one, uint8 (1, 3, height, width)."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]
