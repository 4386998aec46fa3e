"""One refinement of a data set's images under a model, as the configuration asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Refinement:
    """A refinement, shared by every experiment that selects it.

    Attributes:
        dataset, model, method: Entries of the configuration.
        target: Target lambda.
        variant: The method's name, with swept parameters that differ from its own.
        seed: Seed of the random streams.
        settings: The method's entry with the sweep applied, without label, colour and marker.
        steps: Largest number of steps that an experiment asks for.
        record: Steps that must be measured.
    """

    dataset: str
    model: str
    target: float
    method: str
    variant: str
    seed: int
    settings: dict[str, Any]
    steps: int = 0
    record: set[int] = field(default_factory=set)

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """Identity in file names: dataset, model, target, variant, seed."""
        return self.dataset, self.model, f"{self.target:g}", self.variant, str(self.seed)
