"""Published numbers that stand beside ours: facts from config/published_rd.csv and published_losses.csv.

``published_rd.csv``: a row per operating point: data set, codec with its source in brackets, bpp,
PSNR in dB (mean over images) and source. ``published_losses.csv``: a row per mean true loss: data
set, lambda of model and target, rounding, highest temperature, steps, loss and source.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from sgaplus.paths import shipped

FOLDER = shipped("config")
BASE, SGA = "base (Yang 2020)", "SGA (Yang 2020)"
"""Curves of the paper that SGA comes from: the same kind of base model, and SGA on it."""


@cache
def curves(dataset: str) -> dict[str, np.ndarray]:
    """Published rate-distortion curves of a data set of this name: (points, [bpp, dB]) by codec, by rate."""
    rows = pd.read_csv(FOLDER / "published_rd.csv")
    groups = rows[rows["dataset"] == dataset].groupby("codec", sort=False)
    return {str(codec): group.sort_values("bpp")[["bpp", "psnr"]].to_numpy() for codec, group in groups}


def losses(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the records with the published true loss of the same experiment, where there is one.

    The same are data set, lambda of model and target, rounding, highest temperature and steps.

    Returns:
        Those rows that have one, with the columns ``published`` and ``source`` added.
    """
    keys = ["dataset", "target_lmbda", "rounding", "tau_max", "step"]
    facts = pd.read_csv(FOLDER / "published_losses.csv")
    facts = facts.rename(columns={"lmbda": "target_lmbda", "steps": "step", "true_loss": "published"})
    own = rows[rows["model_lmbda"] == rows["target_lmbda"]]
    return own.merge(facts.astype({"tau_max": float}), on=keys)
