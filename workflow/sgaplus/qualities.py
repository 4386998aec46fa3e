"""Qualities by which curves are drawn and compared, without torch, which takes seconds to import."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Quality(NamedTuple):
    """A measure of a decoded picture.

    Attributes:
        label: Its name in print.
        column: The column of frames with its decibels.
        smallest_side: The smallest side in pixels of a picture that has it.
    """

    label: str
    column: str
    smallest_side: int


QUALITIES = {
    "psnr": Quality("PSNR", "psnr", 1),
    "ms_ssim": Quality("MS-SSIM", "ms_ssim_decibels", 161),  # its windows of 11 pixels fit at five scales
    "haarpsi": Quality("HaarPSI", "haarpsi_decibels", 16),  # its coarsest wavelet fits
    "lpips": Quality("LPIPS", "lpips_decibels", 32),  # its network halves it five times
    "dists": Quality("DISTS", "dists_decibels", 32),
}
"""By name in configurations. All but the first are of what was decoded, and stand in records under that name."""

SIMILARITIES = ("ms_ssim", "haarpsi")
"""Those up to 1 for equal pictures. All that is decoded is measured by them."""

DISTANCES = ("lpips", "dists")
"""Those down to 0 for equal pictures. They take seconds and weights, and are measured only where they are asked for."""

LEAST_DIFFERENCE = 1e-10
"""Stands for no difference at all, so that decibels stay finite."""


def decibels(name: str, value: float) -> float:
    """A similarity in dB, -10 log10(1 - similarity), or a distance, -10 log10(distance): higher is better, to 100."""
    difference = value if name in DISTANCES else 1 - value
    return -10 * math.log10(max(difference, LEAST_DIFFERENCE))


def of_decibels(name: str, values: np.ndarray) -> np.ndarray:
    """The similarities, or the distances, that have so many dB."""
    difference = 10.0 ** (-values / 10)
    return difference if name in DISTANCES else 1 - difference
