"""The measurements of a refinement: rows for the records, and its best latents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from sgaplus.codec.latents import Latents
from sgaplus.errors import RefinementError
from sgaplus.meter import Meter
from sgaplus.refinement.latent_optimization import LatentOptimization

Row = dict[str, Any]
"""One measurement of one image: fields of ``records.FIELDS``."""


@dataclass
class Refined:
    """The outcome for one image.

    Attributes:
        name: The image.
        latents: Refined latents before rounding, without a batch dimension: (M, H/16, W/16), (N, H/64, W/64).
        rows: One dictionary per measured step, with the fields of ``records.FIELDS`` that the engine knows.
    """

    name: str
    latents: Latents
    rows: list[Row]


class NonFiniteLossError(RefinementError):
    """A loss became infinite or NaN.

    Attributes:
        rows: The rows measured so far, of every image of the job.
    """

    def __init__(self, message: str, rows: list[Row]) -> None:
        super().__init__(message)
        self.rows = rows


class Measurements:
    """Rows, best latents and the first loss that is not finite, of one sub-batch.

    Args:
        optimization: The optimisation that is measured.
    """

    def __init__(self, optimization: LatentOptimization) -> None:
        self.optimization = optimization
        self.names, self.method, self.plan = optimization.names, optimization.method, optimization.plan
        self.codec = optimization.codec
        self.rows: list[list[Row]] = [[] for _ in self.names]
        self.best = [math.inf] * len(self.names)
        self.best_sent = [math.inf] * len(self.names)
        self.best_latents: list[Latents | None] = [None] * len(self.names)
        self.first_bad: Tensor | None = None
        self.meter = Meter(self.codec.device)

    def watch(self, step: int, loss: Tensor) -> None:
        """Note on the device, without waiting for it, the first step whose loss is not finite."""
        if self.first_bad is None:
            self.first_bad = torch.full_like(loss, -1)
        self.first_bad = torch.where((self.first_bad < 0) & ~loss.isfinite(), step, self.first_bad)

    def add(self, step: int, loss: Tensor) -> None:
        """Measure the latents before a step, whose method loss is known."""
        latents, measured = self.optimization.latents, self.optimization.measure()
        true_loss, sent_loss = measured.true_loss(self.plan.lmbda), measured.sent_loss(self.plan.lmbda).tolist()
        columns = {
            "method_loss": loss,
            "true_loss": true_loss,
            "bpp_y": measured.bpp_y,
            "bpp_z": measured.bpp_z,
            "bpp": measured.bpp,
            **self.codec.distortion_measure.fields(measured.distortion, measured.distortion_unclamped),
        }
        self._stop_if_not_finite(step, true_loss)
        values = {name: column.tolist() for name, column in columns.items()}
        shared = {
            "step": step,
            "batch": len(self.names),
            "seconds": self.meter.seconds(),
            "peak_memory_mb": self.meter.peak_memory_mb(),
            "joules": self.meter.joules(),
            "device": self.codec.device.type,
        }
        for i, rows in enumerate(self.rows):
            self.best[i] = min(self.best[i], values["true_loss"][i])
            if self.plan.keep_best and sent_loss[i] < self.best_sent[i]:
                self.best_sent[i] = sent_loss[i]
                self.best_latents[i] = Latents(latents.y[i].detach().clone(), latents.z[i].detach().clone())
            row: Row = {name: column[i] for name, column in values.items()}
            rows.append(row | shared | {"best_true_loss": self.best[i]})

    def _stop_if_not_finite(self, step: int, true_loss: Tensor) -> None:
        assert self.first_bad is not None
        bad = torch.where((self.first_bad < 0) & ~true_loss.isfinite(), step, self.first_bad).tolist()
        for name, at in zip(self.names, bad, strict=True):
            if at >= 0:
                raise NonFiniteLossError(
                    f"image {name}: the loss stopped being finite at step {at:.0f} with rounding "
                    f"{self.method.rounding.name!r} (lr {self.method.lr:g}, lambda {self.plan.lmbda:g}). "
                    "Lower the method's learning rate, or check the model.",
                    self._named_rows(),
                )

    def _named_rows(self) -> list[Row]:
        return [row | {"image": name} for name, rows in zip(self.names, self.rows, strict=True) for row in rows]

    def mean_true_loss(self) -> float:
        """The mean over the images of the true loss that was measured last."""
        return fmean(rows[-1]["true_loss"] for rows in self.rows)

    def outcome(self) -> list[Refined]:
        """The latents, last or best, and the rows of each image."""
        latents = self.optimization.latents
        last = [Latents(y, z) for y, z in zip(latents.y.detach(), latents.z.detach(), strict=True)]
        chosen = [best or end for best, end in zip(self.best_latents, last, strict=True)]
        return [
            Refined(name, kept, [row | {"image": name} for row in rows])
            for name, kept, rows in zip(self.names, chosen, self.rows, strict=True)
        ]
