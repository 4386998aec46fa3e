"""Classical image codecs, as Pillow has them. Learned codecs are compared with them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from sgaplus.metrics import psnr


@dataclass(frozen=True)
class Setting:
    """A codec at one quality: Pillow's format and options."""

    codec: str
    format: str
    options: tuple[tuple[str, Any], ...]


JPEG_QUALITIES = (2, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
"""Dense enough to interpolate between, from less than the lowest rate of the paper's models to beyond the highest."""

JPEG2000_RATIOS = (400, 240, 160, 120, 90, 70, 55, 45, 36, 30, 25, 20, 16, 12, 9, 7)
"""Compression ratios against 24 bits per pixel."""

JPEG2000_OPTIONS = (("irreversible", True), ("mct", 1))
"""The lossy wavelet, on decorrelated colours. By default Pillow does not decorrelate them, at a cost of 4 dB."""

SETTINGS = (
    *(
        Setting(f"JPEG {name}", "JPEG", (("quality", quality), ("subsampling", code), ("optimize", True)))
        for name, code in (("4:2:0", 2), ("4:4:4", 0))
        for quality in JPEG_QUALITIES
    ),
    *(Setting("JPEG 2000", "JPEG2000", (("quality_layers", (ratio,)), *JPEG2000_OPTIONS)) for ratio in JPEG2000_RATIOS),
)


def code(pixels: np.ndarray, setting: Setting) -> tuple[float, float]:
    """Rate and quality of an image, uint8 (H, W, 3): bits per pixel of the whole file, and PSNR in dB."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, setting.format, **dict(setting.options))
    error = np.asarray(Image.open(file).convert("RGB"), dtype=np.float64) - pixels
    bpp = 8 * len(file.getvalue()) / (pixels.shape[0] * pixels.shape[1])
    return bpp, psnr(torch.tensor(np.square(error).mean())).item()


def curves(pictures: Iterable[np.ndarray], settings: Sequence[Setting] = SETTINGS) -> dict[str, np.ndarray]:
    """Means over images of every codec's rate and PSNR: (settings, 2) by codec, by rate."""
    points = np.array([[code(pixels, setting) for setting in settings] for pixels in pictures]).mean(axis=0)
    names = [setting.codec for setting in settings]
    found = {name: points[[other == name for other in names]] for name in dict.fromkeys(names)}
    return {name: curve[curve[:, 0].argsort()] for name, curve in found.items()}


def psnr_at(curve: np.ndarray, bpp: float) -> float:
    """PSNR in dB of a curve (points, 2) at a rate, by linear interpolation; NaN outside the curve's rates."""
    return float(np.interp(bpp, curve[:, 0], curve[:, 1], left=np.nan, right=np.nan))
