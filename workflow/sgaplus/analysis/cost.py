"""The cost of refinement: time, memory and energy per image against the bits that it saves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sgaplus.analysis.excess_loss import excess, seconds
from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.intervals import Estimate
from sgaplus.analysis.rd_curves import base_curve, bd_rate, curve_after, estimate
from sgaplus.analysis.selection import at_step, measured


def saves_bits(experiment: Experiment) -> bool:
    """Whether savings are bits at equal PSNR, for which a curve of two models is needed, or true loss."""
    return len(experiment.models) > 1


def costs(records: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Cost and saving of each method after each step count, means over images.

    Returns:
        A row per ``method`` and ``steps`` (the index) with ``seconds`` per image, ``rate`` in image
        steps per second, ``memory`` in MB at its peak, ``joules`` per image (nan without a GPU),
        ``saved`` in % with its interval ``low`` and ``high``, and ``price`` in seconds per saved per
        cent (nan where nothing is saved).
    """
    rows = {key: _cost(records, experiment, *key) for key in measured(records, experiment)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["method", "steps"])


def _cost(records: pd.DataFrame, experiment: Experiment, method: str, steps: int) -> dict[str, float]:
    rows = at_step(records[records["method"] == method], steps)
    time = seconds(rows)
    saved = saving(records, experiment, method, steps)
    return {
        "seconds": time,
        "rate": steps / time,
        "memory": float(rows["peak_memory_mb"].max()),
        "joules": float((rows["joules"] / rows["batch"]).mean()),
        **{"saved": saved.value, "low": saved.low, "high": saved.high},
        "price": time / saved.value if saved.value > 0 else np.nan,
    }


def saving(
    records: pd.DataFrame, experiment: Experiment, method: str, steps: int, against: str | None = None
) -> Estimate:
    """Saved bits at equal PSNR (minus the BD-rate) in %, or of one model the reduction of the true loss in %.

    Args:
        records: Rows of the experiment.
        experiment: Its entry.
        method: The method that saves.
        steps: Step count, of both where two methods are compared.
        against: Another method; None for the base model.
    """
    if not saves_bits(experiment):
        own = at_step(records[records["method"] == method], steps)
        other = at_step(records[records["method"] == (against or method)], steps if against else 0)
        more = excess(own, other)[""]
        return Estimate(-more.value, -more.high, -more.low)
    bitrate = experiment.bitrate
    test = curve_after(records, method, steps, bitrate)
    anchor = curve_after(records, against, steps, bitrate) if against else base_curve(records, bitrate)
    rate = estimate(bd_rate, anchor, test)
    return Estimate(-rate.value, -rate.high, -rate.low)
