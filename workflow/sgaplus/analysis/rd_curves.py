"""Rate-distortion curves: operating points, BD-rate and BD-PSNR, and the pruning of Figure 4.

A curve is an array (points, images, 2) of bpp and PSNR in dB per image, or (points, 2), which is its
mean over images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import bjontegaard
import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from sgaplus.analysis.intervals import Estimate, ends, samples
from sgaplus.analysis.selection import at_step, base_model, with_rate

RATE, PSNR = 0, 1
POINT = ("model_lmbda", "model", "target_lmbda")


def points(rows: pd.DataFrame, by: Sequence[str] = POINT, quality: str = "psnr") -> pd.DataFrame:
    """Mean rate and quality over images and seeds of each operating point, by lambda of the model and of the target.

    ``quality`` is the column with it.
    """
    return rows.groupby([*by, "image"])[["bpp", quality]].mean().groupby(list(by)).mean()


def curve(rows: pd.DataFrame, by: Sequence[str] = POINT, quality: str = "psnr") -> np.ndarray:
    """A curve with a point per model and target, (points, images, 2); seeds of an image are averaged.

    Args:
        rows: Rows of records.
        by: Columns that tell the points.
        quality: Column in the place of the PSNR.
    """
    values = rows.groupby([*by, "image"])[["bpp", quality]].mean().unstack("image").to_numpy()
    return values.reshape(len(values), 2, -1).swapaxes(1, 2)


def base_curve(records: pd.DataFrame, bitrate: str = "estimated", quality: str = "psnr") -> np.ndarray:
    """The base models' own curve, a point per model; the target makes no difference to it."""
    return curve(with_rate(base_model(records), bitrate), POINT[:2], quality)


def curve_after(
    records: pd.DataFrame, method: str, step: int, bitrate: str = "estimated", quality: str = "psnr"
) -> np.ndarray:
    """The curve of a method after some steps, with a point per model and target, (points, images, 2)."""
    return curve(with_rate(at_step(records[records["method"] == method], step), bitrate), POINT, quality)


def bd_rate(anchor: np.ndarray, test: np.ndarray) -> float:
    """Bjontegaard's mean difference in rate at equal PSNR, in %; below 0 if ``test`` needs fewer bits.

    By PCHIP of log rate over PSNR, over the range of PSNR that both curves have; nan if they have none.

    Args:
        anchor, test: Curves, (points, 2).
    """
    return _delta(bjontegaard.bd_rate, anchor, test, PSNR)


def bd_psnr(anchor: np.ndarray, test: np.ndarray) -> float:
    """Bjontegaard's mean difference in PSNR at equal rate, in dB, over the range of rates that both curves have."""
    return _delta(bjontegaard.bd_psnr, anchor, test, RATE)


def _delta(function: Callable[..., float], anchor: np.ndarray, test: np.ndarray, along: int) -> float:
    anchor, test = (curve[np.unique(curve[:, along], return_index=True)[1]] for curve in (anchor, test))
    low, high = max(anchor[0, along], test[0, along]), min(anchor[-1, along], test[-1, along])
    if not low < high:
        return float("nan")
    return float(function(*anchor.T, *test.T, method="pchip", require_matching_points=False, min_overlap=0))


def estimate(measure: Callable[..., float], *curves: np.ndarray) -> Estimate:
    """A measure of curves, such as :func:`bd_rate` of two, with its interval over images.

    Args:
        measure: Of mean curves, each (points, 2).
        curves: Each (points, images, 2), of the same images in the same order; or (points, 2) for a
            published one, whose images are not known.
    """
    return Estimate(*map(float, estimates(measure, *curves)))


def estimates(measure: Callable[..., np.ndarray | float], *curves: np.ndarray) -> tuple[np.ndarray, ...]:
    """As :func:`estimate` of a measure of several numbers: they, and the low and high ends of their intervals."""
    whole = [values if values.ndim == 3 else values[:, None] for values in curves]
    value = measure(*(values.mean(axis=1) for values in whole))
    images = max(values.shape[1] for values in whole)
    each = np.array([measure(*means) for means in zip(*(resampled(values, images) for values in whole), strict=True)])
    return (np.asarray(value), *ends(value, each))


def resampled(curve: np.ndarray, images: int) -> np.ndarray:
    """The curves to learn from how a measure varies over images, (points, images, 2) -> (images, points, 2).

    A published curve, of one "image", is the same for each of them.
    """
    if curve.shape[1] == 1:
        return np.broadcast_to(curve[:, 0], (images, len(curve), 2))
    return samples(curve.swapaxes(0, 1))


def bits_at(anchor: np.ndarray, test: np.ndarray) -> float:
    """The difference in rate of one point to an anchor's curve at its PSNR, in %; below 0 if it needs fewer bits.

    By PCHIP of log rate over PSNR; nan outside the anchor's PSNR.

    Args:
        anchor: (points, 2).
        test: (1, 2).
    """
    known = np.unique(anchor[:, PSNR])
    if len(known) < 2 or not known[0] <= test[0, PSNR] <= known[-1]:
        return float("nan")
    return -float(bits_saved(anchor, test)[0])


def psnr_at(curve: np.ndarray, bpp: np.ndarray) -> np.ndarray:
    """PSNR in dB of a curve at rates: PCHIP over log bpp, beyond its ends along its outermost two points.

    Args:
        curve: (points, 2).
        bpp: Rates, any shape.

    Raises:
        ValueError: the curve has fewer than two points.
    """
    return _extended(np.log(curve[:, RATE]), curve[:, PSNR], np.log(bpp))


def psnr_within(curve: np.ndarray, bpp: np.ndarray) -> np.ndarray:
    """As :func:`psnr_at` of a curve in the order of the rate; nan beyond its ends."""
    reached = (curve[0, RATE] <= bpp) & (bpp <= curve[-1, RATE])
    return np.where(reached, psnr_at(curve, bpp), np.nan)


def rate_at(curve: np.ndarray, psnr: np.ndarray) -> np.ndarray:
    """Rate in bpp at which a curve has these PSNRs in dB; interpolated and continued as in :func:`psnr_at`."""
    return np.exp(_extended(curve[:, PSNR], np.log(curve[:, RATE]), psnr))


def _extended(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """PCHIP of y over x, beyond the ends along the outermost two points; of equal x one counts."""
    x, first = np.unique(x, return_index=True)
    if len(x) < 2:
        raise ValueError("a rate-distortion curve needs at least two points")
    y = y[first]
    slopes = np.diff(y) / np.diff(x)
    beyond = np.minimum(at - x[0], 0) * slopes[0] + np.maximum(at - x[-1], 0) * slopes[-1]
    return PchipInterpolator(x, y)(np.clip(at, x[0], x[-1])) + beyond


def bits_saved(base: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Bits that points (points, 2) save against the base models' curve at equal PSNR, in %, (points,)."""
    return 100 * (1 - points[:, RATE] / rate_at(base, points[:, PSNR]))


def gains(base: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How far points (points, 2) lie above the base models' curve at their rates, in dB."""
    return points[:, PSNR] - psnr_at(base, points[:, RATE])


def kept(points: np.ndarray, base: np.ndarray, prune: float | None) -> np.ndarray:
    """Which points of the semi-multi-rate curve stay (Figure 4).

    A point is dropped when it lies more than ``prune`` dB below the base models' own curve at its rate.

    Args:
        points: (points, 2).
        base: The base models' curve, (points, 2).
        prune: dB; None keeps every point (Figure 9).

    Returns:
        A truth value per point.
    """
    if prune is None:
        return np.ones(len(points), dtype=bool)
    return points[:, PSNR] >= psnr_at(base, points[:, RATE]) - prune
