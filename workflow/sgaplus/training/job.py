"""A training as a whole: the settings and data that decide the model, and the options of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from sgaplus.codec.hyperprior import load_state, weights_sha256
from sgaplus.files import sha256
from sgaplus.training.crops import Picture
from sgaplus.training.recipe import Recipe


@dataclass(frozen=True)
class TrainingOptions:
    """How a training is run and watched. Nothing here changes the trained model.

    The schema of the configuration has the defaults of the settings that a user chooses.

    Attributes:
        log_every: Steps between rows of the metrics.
        evaluate_every: Steps between evaluations, if there are evaluation images.
        save_seconds: Seconds between saved states.
        seconds: Seconds after which the state is saved and the training stops; None for no limit.
        workers: Processes that decode pictures; 0 for the trainer itself.
        cache_bytes: Memory for decoded pictures, of all decoding processes together.
        compile: Compile the transforms.
        label: Name of the work on the progress bar.
        data: Identifies the photographs; a state that was saved with other data is not continued.
        former_data: Identifies the photographs in states of version 0.1.0: the hash of the index file.
        code: Version of the code, noted in states; a state of another version is continued.
        folder: Folder of the states, one for each recipe and data; None for no saving.
        events: Folder of TensorBoard's events; None for none.
    """

    log_every: int
    evaluate_every: int
    save_seconds: float
    seconds: float | None
    workers: int
    cache_bytes: int
    compile: bool
    label: str = "train"
    data: str = ""
    former_data: str = ""
    code: str = ""
    folder: Path | None = None
    events: Path | None = None

    @classmethod
    def of(cls, training: Mapping[str, Any], **others: Any) -> TrainingOptions:
        """The options in the configuration's section ``training``; ``others`` are the attributes from ``label`` on."""
        minutes = training["time_limit_minutes"]
        return cls(
            log_every=training["log_every"],
            evaluate_every=training["evaluate_every"],
            save_seconds=60 * training["save_minutes"],
            seconds=None if minutes is None else 60 * minutes,
            workers=training["workers"],
            cache_bytes=training["cache_mb"] * 10**6,
            compile=training["compile"],
            **others,
        )


@dataclass(frozen=True)
class Job:
    """A training.

    Attributes:
        recipe: Widths, loss and optimisation.
        pictures: Training photographs.
        devices: Devices to train on: one process for each.
        options: How the training is run and watched.
        start_from: Model file whose weights to start from; None for random weights.
        evaluation: Photographs to evaluate on.
    """

    recipe: Recipe
    pictures: Sequence[Picture]
    devices: tuple[torch.device, ...]
    options: TrainingOptions
    start_from: str | Path | None
    evaluation: Sequence[Picture]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that decides the model: recipe, photographs, and the weights that it starts from."""
        start = weights_sha256(load_state(self.start_from)) if self.start_from else None
        return {"recipe": asdict(self.recipe), "data": self.options.data, "start": start}

    def is_that_of(self, saved: dict[str, Any] | str) -> bool:
        """Whether this is the training with a saved :attr:`identity`, also in the form of version 0.1.0."""
        if isinstance(saved, str):  # version 0.1.0
            recipe, *rest = json.loads(saved)
            start = sha256(self.start_from) if self.start_from else None
            return self.recipe.is_that_of(recipe) and rest == [self.options.former_data, start]
        return self.recipe.is_that_of(saved["recipe"]) and all(
            saved[key] == self.identity[key] for key in ("data", "start")
        )
