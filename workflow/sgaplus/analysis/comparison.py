"""Figure 5: one image at one rate, by the base model of the lowest rate and by another model that was refined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.selection import at_step, base_model
from sgaplus.errors import ImageError, did_you_mean

if TYPE_CHECKING:
    from sgaplus.data.index import IndexedImage

SAME_RATE = 0.02
"""Rates are called the same if the refined one is higher by at most this share."""


def pair(records: pd.DataFrame, experiment: Experiment) -> tuple[pd.Series, pd.Series]:
    """The two records that are compared.

    The first is the experiment's image under the first of its models by lambda, not refined. The
    second is refined under another model, toward whichever target, and has the highest PSNR of those
    that need no more bits than the first; if all need more, it is the one that needs the fewest.
    """
    records = records[records["image"] == experiment.image]
    lowest = min(experiment.models, key=lambda model: records.loc[records["model"] == model, "model_lmbda"].min())
    base = base_model(records[records["model"] == lowest]).iloc[0]
    others = at_step(records[records["model"] != lowest], experiment.last_step)
    affordable = others[others["bpp"] <= (1 + SAME_RATE) * base["bpp"]]
    if affordable.empty:
        return base, others.sort_values("bpp").iloc[0]
    return base, affordable.sort_values("psnr").iloc[-1]


def named(members: Sequence[IndexedImage], name: str) -> IndexedImage:
    """The image of a data set that has this name.

    Raises:
        ImageError: there is none.
    """
    found = {image.name: image for image in members}
    if name not in found:
        raise ImageError(f"the data set has no image {name!r}.{did_you_mean(name, found)}")
    return found[name]


def caption(title: str, row: pd.Series) -> str:
    """A caption: a picture's title, lambda, rate and PSNR."""
    lmbda, target = row["model_lmbda"], row["target_lmbda"]
    toward = "" if row["step"] == 0 else f", target {target:g}"
    return f"{title}, λ = {lmbda:g}{toward}\n{row['bpp']:.3f} bpp, {row['psnr']:.2f} dB"
