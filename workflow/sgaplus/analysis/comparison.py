"""Figure 5: one image at one rate, by the base model of the lowest rate and by other models that were refined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.selection import at_step, base_model
from sgaplus.errors import ImageError, did_you_mean

if TYPE_CHECKING:
    from sgaplus.data.index import IndexedImage

SAME_RATE = 0.02
"""Rates are called the same if the refined one is higher by at most this share."""


def lowest_base(records: pd.DataFrame, experiment: Experiment) -> pd.Series:
    """The record of the experiment's image under the first of its models by lambda, not refined."""
    return base_model(records[records["image"] == experiment.image]).sort_values("model_lmbda").iloc[0]


def refined_at_its_rate(records: pd.DataFrame, experiment: Experiment, method: str, base: pd.Series) -> pd.Series:
    """The record of the experiment's image that is compared with the base model's.

    A method refined it under another model, toward whichever target. It has the highest PSNR of those that
    need no more bits than ``base``; if all need more, it is the one that needs the fewest.
    """
    own = records[(records["image"] == experiment.image) & (records["method"] == method)]
    others = at_step(own[own["model"] != base["model"]], experiment.last_step)
    affordable = others[others["bpp"] <= _most_bits(base)]
    if affordable.empty:
        return others.sort_values("bpp").iloc[0]
    return affordable.sort_values("psnr").iloc[-1]


def nearest_with_bitstream(records: pd.DataFrame, method: str, base: pd.Series) -> pd.Series:
    """The record of a method that comes nearest to the rate of ``base`` for the same image, and that has a bitstream.

    The model may be any and the target, too. Of those at the same rate it has the highest PSNR.
    """
    own = records[(records["image"] == base["image"]) & (records["method"] == method)]
    rows = own[(own["step"] > 0) & own["bytes"].notna()]
    apart = (np.log(rows["bpp"]) - np.log(base["bpp"])).abs()
    same = rows[apart <= SAME_RATE]
    return rows.loc[apart.idxmin()] if same.empty else same.loc[same["psnr"].idxmax()]


def same_rate(base: pd.Series, refined: pd.Series) -> bool:
    """Whether a refined image needs no more bits than the base model's."""
    return bool(refined["bpp"] <= _most_bits(base))


def _most_bits(base: pd.Series) -> float:
    """The highest rate that is called the base model's, in bits per pixel."""
    return (1 + SAME_RATE) * base["bpp"]


def named(members: Sequence[IndexedImage], name: str) -> IndexedImage:
    """The image of a data set that has this name.

    Raises:
        ImageError: there is none.
    """
    found = {image.name: image for image in members}
    if name not in found:
        raise ImageError(f"the data set has no image {name!r}.{did_you_mean(name, found)}")
    return found[name]


def caption(title: str, row: pd.Series, base: pd.Series | None = None, published: pd.Series | None = None) -> str:
    """The caption of a picture; of a refined one that is not at the rate of ``base``, the words in its place.

    Args:
        title: What is shown.
        row: Its record.
        base: For a refined picture, the record that it is compared with.
        published: Rate and PSNR of its published counterpart.
    """
    toward = "" if row["step"] == 0 else f", target {row['target_lmbda']:g}"
    lines = [title, f"λ = {row['model_lmbda']:g}{toward}", f"{row['bpp']:.3f} bpp, {row['psnr']:.2f} dB"]
    if base is not None:
        more = 100 * (row["bpp"] / base["bpp"] - 1)
        if same_rate(base, row):
            lines[2] = f"{row['bpp']:.3f} bpp ({more:+.1f} %), {row['psnr']:.2f} dB"
        else:
            lines[1:1] = ["no picture at this rate:", f"the cheapest needs {more:.0f} % more bits"]
    if published is not None:
        lines.append(f"published: {published['bpp']:.2f} bpp, {published['psnr']:.2f} dB")
    return "\n".join(lines)
