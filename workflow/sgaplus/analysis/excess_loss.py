"""The true loss of a refinement above that of a reference, in %, over its steps and seconds.

The reference is the method ``against`` of an experiment after the most steps, on the same images and
models. Losses of different models differ far more than methods do, so the excess in %, not the loss, is
averaged over models.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.intervals import Estimate, of_means
from sgaplus.analysis.selection import at_step, by_image


def reference(records: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Rows of the method ``against`` after the most steps."""
    return at_step(records[records["method"] == experiment.against], experiment.last_step)


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
    losses = np.stack([own, theirs[own.columns]], axis=-1)  # (images, models, 2)
    names = own.columns.get_level_values("model")
    found = {name: of_means(losses[:, k], _percent) for k, name in enumerate(names)}
    return found | {"": of_means(losses, lambda means: _percent(means).mean(axis=1))}


def _percent(losses: np.ndarray) -> np.ndarray:
    """The first of two losses above the second, (..., 2) -> (...)."""
    return 100 * (losses[..., 0] / losses[..., 1] - 1)


def seconds(rows: pd.DataFrame) -> float:
    """Mean time per image, in seconds."""
    return float((rows["seconds"] / rows["batch"]).mean())


def over_time(records: pd.DataFrame, experiment: Experiment, method: str) -> pd.DataFrame:
    """Seconds per image, and the mean excess as ``value``, ``low`` and ``high``, of a method by step, from step 1.

    Steps that were not measured under every model are left out: a mean over other models is another line.
    """
    end = reference(records, experiment)
    own = records[(records["method"] == method) & records["step"].between(1, experiment.last_step)]
    own = own[own.groupby("step")["model"].transform("nunique") == own["model"].nunique()]
    found = {step: {"seconds": seconds(rows), **excess(rows, end)[""]._asdict()} for step, rows in own.groupby("step")}
    return pd.DataFrame.from_dict(found, orient="index")
