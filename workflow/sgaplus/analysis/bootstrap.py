"""Confidence intervals over images, by the bootstrap.

A result is expected to generalise to other images, so images are resampled. Seeds of one image
are averaged first. The same resamples serve every quantity of as many images, which keeps
comparisons paired and results the same at every run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sgaplus.analysis.selection import at_step, by_image

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 1000
LEVEL = 95
"""Per cent."""

SEED = 0


class Estimate(NamedTuple):
    """A value with the ends of its 95 % bootstrap interval; these are nan where there is but one image."""

    value: float
    low: float
    high: float


@cache
def resamples(images: int) -> np.ndarray:
    """Weight of each image in each resample, (RESAMPLES, images); the weights of a resample sum to 1."""
    draws = np.random.default_rng(SEED).multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    return draws / images


def percentiles(samples: np.ndarray) -> np.ndarray:
    """Low and high end of the central 95 % of samples, (samples, ...) -> (2, ...); nan where a sample is."""
    tail = (100 - LEVEL) / 2
    return np.percentile(samples, [tail, 100 - tail], axis=0)


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % percentile bootstrap interval of a mean over images.

    Args:
        values: A value per image, (images, ...).

    Returns:
        Low and high end, each (...); nan for fewer than two images, which say nothing of a spread.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    low, high = percentiles(np.tensordot(resamples(len(values)), values, axes=1))
    return low, high


def of_means(values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """A statistic of means over images, with its interval.

    Args:
        values: (images, ...).
        statistic: Of means (samples, ...), a number per sample.
    """
    value = float(statistic(values.mean(axis=0)[None])[0])
    if len(values) < 2:
        return Estimate(value, float("nan"), float("nan"))
    low, high = percentiles(statistic(np.tensordot(resamples(len(values)), values, axes=1)))
    return Estimate(value, float(low), float(high))


def paired(records: pd.DataFrame, method_a: str, method_b: str, step: int) -> Estimate:
    """Mean difference of the true losses of two methods, image by image, with its interval.

    Args:
        records: Rows of both methods at ``step``; seeds, models and targets of an image are averaged.
        method_a, method_b: Entries of the configuration.
        step: Steps after which both are compared.

    Returns:
        ``method_a`` minus ``method_b``, below 0 where ``method_a`` is better.

    Raises:
        KeyError: a method has no row at ``step``.
    """
    losses = by_image(at_step(records, step), ["method"], "true_loss")
    difference = (losses[method_a] - losses[method_b]).to_numpy()
    low, high = interval(difference)
    return Estimate(float(difference.mean()), float(low), float(high))
