"""How near a refinement comes to a reference, and in what time: the true loss that its steps and seconds buy.

The reference is the method ``against`` of an experiment after the most steps, on the same images and
models. Losses of different models differ far more than methods do, so what is averaged over models is
the excess over the reference in %.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sgaplus.selection import at_step, by_image
from sgaplus.statistics import Estimate, percentiles, resamples


def reference(records: pd.DataFrame, experiment: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of the method ``against`` after the most steps."""
    return at_step(records[records["method"] == experiment["against"]], max(experiment["steps"]))


def excess(rows: pd.DataFrame, reference: pd.DataFrame) -> dict[str, Estimate]:
    """True loss above that of a reference in %, by model in the order of lambda, and under "" their mean.

    Args:
        rows: Rows of one method after one step count; seeds and targets of an image are averaged.
        reference: The same images and models.

    Returns:
        Ratios of means over images, with their intervals.
    """
    by = ["model_lmbda", "model"]
    own, theirs = (by_image(part, by, "true_loss") for part in (rows, reference))
    weights = np.full((1, len(own)), 1 / len(own))
    if len(own) > 1:
        weights = np.concatenate([weights, resamples(len(own))])
    ratios = 100 * (weights @ own.to_numpy() / (weights @ theirs[own.columns].to_numpy()) - 1)
    values = dict(zip(own.columns.get_level_values("model"), ratios.T, strict=True)) | {"": ratios.mean(axis=1)}
    return {name: _estimate(samples) for name, samples in values.items()}


def _estimate(samples: np.ndarray) -> Estimate:
    """A value and its resamples; no interval where there are none."""
    low, high = percentiles(samples[1:]) if len(samples) > 1 else (np.nan, np.nan)
    return Estimate(float(samples[0]), float(low), float(high))


def seconds(rows: pd.DataFrame) -> float:
    """Mean time per image of rows."""
    return float((rows["seconds"] / rows["batch"]).mean())


def course(records: pd.DataFrame, experiment: Mapping[str, Any], method: str) -> pd.DataFrame:
    """A method's way: ``seconds`` per image, and its mean excess as ``value``, ``low`` and ``high``, by step from 1."""
    end = reference(records, experiment)
    own = records[(records["method"] == method) & records["step"].between(1, max(experiment["steps"]))]
    ways = {step: {"seconds": seconds(rows), **excess(rows, end)[""]._asdict()} for step, rows in own.groupby("step")}
    return pd.DataFrame.from_dict(ways, orient="index")
