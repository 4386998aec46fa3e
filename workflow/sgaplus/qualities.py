"""Qualities by which curves are drawn and compared, without torch, which takes seconds to import."""

from __future__ import annotations

import math
from typing import NamedTuple


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
}
"""By name in configurations. All but the first are similarities up to 1, and stand in records under that name."""

SIMILARITIES = [name for name in QUALITIES if name != "psnr"]

LEAST_DIFFERENCE = 1e-10
"""Stands for no difference at all, so that decibels stay finite."""


def decibels(similarity: float) -> float:
    """A similarity in dB, -10 log10(1 - similarity), up to 100 dB."""
    return -10 * math.log10(max(1 - similarity, LEAST_DIFFERENCE))
