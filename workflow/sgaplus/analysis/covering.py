"""Semi-multi-rate: which few models, each refined toward many targets, cover the base models' curve.

The target is a dial that can be set between the lambdas that were tried, so a model's points are
samples of one curve: PCHIP of PSNR over log bpp. Above the highest rate of that curve its last point
stands, because fewer bits than allowed may be sent; below the lowest the model has nothing to offer.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator

from sgaplus.analysis.intervals import ends
from sgaplus.analysis.rd_curves import PSNR, RATE, psnr_at, resampled

RATES = 201
"""Rates at which a choice of models is judged, evenly spaced in log bpp."""


class Cover(NamedTuple):
    """The best choice of models.

    Attributes:
        models: Their names, in the order in which they were given.
        smallest: Smallest gain over the base curve in dB, -inf if part of the range is out of reach.
        at: Rate of the smallest gain, in bpp.
        ends: Lowest and highest rate at which the gain was looked at, in bpp.
    """

    models: tuple[str, ...]
    smallest: float
    at: float
    ends: tuple[float, float]


def reach(curve: np.ndarray, bpp: np.ndarray) -> np.ndarray:
    """PSNR in dB that a model refined toward its targets has at rates; -inf below its lowest.

    Args:
        curve: A point per target, (targets, 2).
        bpp: Rates.
    """
    curve = curve[np.unique(curve[:, RATE], return_index=True)[1]]
    x, at = np.log(curve[:, RATE]), np.log(bpp)
    inside = np.clip(at, x[0], x[-1])
    psnr = PchipInterpolator(x, curve[:, PSNR])(inside) if len(x) > 1 else np.full(inside.shape, curve[0, PSNR])
    return np.where(at < x[0], -np.inf, psnr)


def choose(curves: Mapping[str, np.ndarray], base: np.ndarray, count: int) -> Cover:
    """The models that cover the base curve best: exhaustive search over all choices of ``count``.

    Best is the choice whose smallest gain in dB over the base curve is largest, across the rates that
    both the base models and some refinement reach; the gain at a rate is that of the best of the
    chosen models there. Among equals the larger mean gain decides.

    Args:
        curves: Mean curve of each refined model, (targets, 2).
        base: Mean curve of the base models, (points, 2).
        count: Number of models to choose; all if there are no more.
    """
    refined = np.concatenate(list(curves.values()))[:, RATE]
    ends = max(base[:, RATE].min(), refined.min()), min(base[:, RATE].max(), refined.max())
    bpp = np.geomspace(*ends, RATES)
    level = psnr_at(base, bpp)
    gains = {name: reach(curve, bpp) - level for name, curve in curves.items()}
    choices = {
        names: np.max([gains[name] for name in names], axis=0)
        for names in itertools.combinations(curves, min(count, len(curves)))
    }
    models = max(choices, key=lambda names: (choices[names].min(), choices[names].mean()))
    worst = choices[models].argmin()
    return Cover(models, float(choices[models][worst]), float(bpp[worst]), ends)


def fewest(curves: Mapping[str, np.ndarray], base: np.ndarray) -> Cover | None:
    """The smallest choice that lies above the base curve wherever :func:`choose` looks; None if there is none.

    Args: As of :func:`choose`.
    """
    choices = (choose(curves, base, count) for count in range(1, len(curves) + 1))
    return next((chosen for chosen in choices if chosen.smallest > 0), None)


def gain(curves: Sequence[np.ndarray], base: np.ndarray) -> np.ndarray:
    """Gain in dB of the best of these models at the rate of each base model."""
    return np.max([reach(curve, base[:, RATE]) for curve in curves], axis=0) - base[:, PSNR]


def gain_interval(curves: Sequence[np.ndarray], base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval over images of :func:`gain`, the choice of models kept.

    Args:
        curves, base: Per image, (points, images, 2).
    """
    images = base.shape[1]
    each = zip(*(resampled(curve, images) for curve in (base, *curves)), strict=True)
    value = gain([curve.mean(axis=1) for curve in curves], base.mean(axis=1))
    return ends(value, np.array([gain(refined, own) for own, *refined in each]))
