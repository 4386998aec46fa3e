"""The method of a refinement (rounding, temperature, optimiser) and its plan (target, steps, records)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sgaplus.errors import ConfigError
from sgaplus.refinement import rounding
from sgaplus.refinement.draws import DRAWS
from sgaplus.refinement.optimizers import OPTIMIZERS
from sgaplus.refinement.rounding import Rounding, Temperature


@dataclass(frozen=True)
class Method:
    """A method of refinement.

    Attributes:
        rounding: The relaxation.
        tau_max: Highest temperature, in (0, 1].
        cooling: Decay of the temperature over all steps: see ``rounding.Temperature``.
        lr: Learning rate, above 0.
        lr_schedule: ``constant``, or ``cosine`` (from ``lr`` to 0 over the steps).
        optimizer: A key of ``optimizers.OPTIMIZERS``.
        draws: A key of ``draws.DRAWS``: how the random numbers of the steps hang together.
        steps: Steps of its schedules: temperature, and learning rate unless it is constant. A refinement may stop
            before them.
    """

    rounding: Rounding
    tau_max: float = 1.0
    cooling: float = 2.0
    lr: float = 5e-3
    lr_schedule: str = "constant"
    optimizer: str = "adam"
    draws: str = "independent"
    steps: int = 2000

    def __post_init__(self) -> None:
        if self.lr_schedule not in ("constant", "cosine"):
            raise ConfigError(f"lr_schedule is {self.lr_schedule!r}; it must be constant or cosine.")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer is {self.optimizer!r}; it must be one of {', '.join(OPTIMIZERS)}.")
        if self.draws not in DRAWS:
            raise ConfigError(f"draws is {self.draws!r}; it must be one of {', '.join(DRAWS)}.")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Method:
        """The method of a configuration entry.

        Raises:
            ConfigError: unknown rounding or parameter, or a value out of range.
        """
        names = ("tau_max", "cooling", "lr", "lr_schedule", "optimizer", "draws", "steps")
        own = {name: settings[name] for name in names}
        return cls(rounding.make(settings["rounding"], **settings["parameters"]), **own)

    @cached_property
    def temperature(self) -> Temperature:
        """The temperature before each step."""
        return Temperature(self.tau_max, self.cooling, self.steps)

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step."""
        if self.lr_schedule == "constant":
            return self.lr
        return self.lr * (1 + math.cos(math.pi * step / self.steps)) / 2


@dataclass(frozen=True)
class Plan:
    """The target, the steps and the measurements of a refinement.

    Attributes:
        lmbda: Target lambda, the weight of the distortion.
        steps: Optimiser steps, at least 0.
        record_at: Steps to measure; 0 and ``steps`` are always measured.
        seed: Seed of every image's random stream, together with its name.
        memory_bytes: Budget of one sub-batch's working memory.
        keep_best: Return the measured latents of the lowest loss as it is sent, instead of the last.
        cuda_graphs: Start a step's kernels at once on a GPU: see ``step_graph``.
    """

    lmbda: float
    steps: int
    record_at: frozenset[int] = frozenset()
    seed: int = 0
    memory_bytes: int = 4 * 2**30
    keep_best: bool = False
    cuda_graphs: bool = False


def record_steps(steps: int, every: int, also: Sequence[int] = ()) -> frozenset[int]:
    """Steps to measure: step 0, every ``every``-th step, the steps of ``also`` up to ``steps``, and the last."""
    return frozenset({0, steps, *range(0, steps + 1, every), *(s for s in also if s <= steps)})
