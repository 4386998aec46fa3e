"""Facts about MS-SSIM for tables, figures and checks, which do without torch: it takes seconds to import."""

from __future__ import annotations

import math

SMALLEST_SIDE = 161
"""The smallest side in pixels of a picture that has a MS-SSIM: its windows of 11 pixels fit at five scales."""

LEAST_DIFFERENCE = 1e-10
"""Stands for no difference at all, so that decibels stay finite."""


def decibels(value: float) -> float:
    """A MS-SSIM in dB, -10 log10(1 - MS-SSIM), up to 100 dB."""
    return -10 * math.log10(max(1 - value, LEAST_DIFFERENCE))
