"""Published numbers that stand beside ours: facts from the files config/published_*.csv.

``published_rd.csv``: a row per operating point: data set, codec with its source in brackets, bpp,
PSNR in dB (mean over images) and source. ``published_losses.csv``: a row per mean true loss: data
set, lambda of model and target, rounding and its shape a, highest temperature and its decay, learning
rate, steps, loss and source. The shape of two-class SSL is that of the paper's later version, because the
text at hand lost it.
``published_pictures.csv``: a row per picture: data set, image, rounding (:data:`UNREFINED` for the base
model), bpp, PSNR in dB and source.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sgaplus.analysis.selection import with_parameter

BASE, SGA = "base (Yang 2020)", "SGA (Yang 2020)"
"""Curves of the paper that SGA comes from: the same kind of base model, and SGA on it."""

UNREFINED = "base"
"""The rounding of a published picture of the base model."""

LOSS_KEYS = ("dataset", "target_lmbda", "rounding", "a", "tau_max", "tau_rate", "lr", "step")
"""Fields of the records that a published loss must agree with, beside the model's lambda."""


@dataclass(frozen=True)
class Published:
    """Published numbers.

    Attributes:
        points: Rows of ``published_rd.csv``.
        losses: Rows of ``published_losses.csv``, columns named as in the records.
        pictures: Rows of ``published_pictures.csv``.
    """

    points: pd.DataFrame
    losses: pd.DataFrame
    pictures: pd.DataFrame

    @classmethod
    def read(cls, points: str | Path, losses: str | Path, pictures: str | Path) -> Published:
        """Read the three files."""
        named = {"lmbda": "target_lmbda", "steps": "step", "true_loss": "published"}
        losses_of = pd.read_csv(losses).rename(columns=named).astype({"a": float, "tau_max": float})
        return cls(pd.read_csv(points), losses_of, pd.read_csv(pictures))

    @classmethod
    def none(cls) -> Published:
        """No published numbers at all."""
        columns = [*LOSS_KEYS, "published", "source"]
        points = pd.DataFrame(columns=["dataset", "codec", "bpp", "psnr"])
        pictures = pd.DataFrame(columns=["dataset", "image", "rounding", "bpp", "psnr", "source"])
        return cls(points, pd.DataFrame(columns=columns), pictures)

    def curves(self, dataset: str | None) -> dict[str, np.ndarray]:
        """Rate-distortion curves of a data set of this name: (points, [bpp, dB]) by codec, in the order of the rate."""
        groups = self.points[self.points["dataset"] == dataset].groupby("codec", sort=False)
        return {str(codec): group.sort_values("bpp")[["bpp", "psnr"]].to_numpy() for codec, group in groups}

    def pictures_of(self, dataset: str | None, image: str | None) -> dict[str, pd.Series]:
        """The published pictures of an image by rounding, the base model's under :data:`UNREFINED`."""
        rows = self.pictures[(self.pictures["dataset"] == dataset) & (self.pictures["image"] == image)]
        return {row["rounding"]: row for _, row in rows.iterrows()}

    def beside(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of the records with the published true loss of the same experiment and setting.

        The same are lambda of model and target, and :data:`LOSS_KEYS`.

        Returns:
            The rows that have one, with the columns ``published`` and ``source`` added.
        """
        own = with_parameter(rows[rows["model_lmbda"] == rows["target_lmbda"]], "a")
        return own.merge(self.losses.astype(own.dtypes[list(LOSS_KEYS)].to_dict()), on=list(LOSS_KEYS))
