"""Saved states of trainings, from which a stopped training goes on.

A folder holds one state for each training, of any recipe and data. A state is found again by the
identity in it, so the name of its file does not matter.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sgaplus import provenance
from sgaplus.errors import TrainingError
from sgaplus.files import write_tensors
from sgaplus.training.job import Job
from sgaplus.training.trainer import Trainer

logger = logging.getLogger(__name__)

Row = dict[str, float]
"""A row of the metrics, by name of the column (``monitor.METRICS``)."""


@dataclass(frozen=True)
class Progress:
    """The progress of a training.

    Attributes:
        step: The next step.
        rows: The metrics so far.
        sums: Sums of loss, bpp and mean squared error over the steps since the last row, and the number of these steps.
    """

    step: int = 0
    rows: list[Row] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0] * 4)


class StateFile:
    """The state of one training.

    Args:
        job: The training.

    Attributes:
        path: The existing file, or a new one beside the files of other trainings; None if no state is saved.

    Raises:
        TrainingError: a file of the folder can't be read.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.path = _path_of(job)

    @property
    def advice(self) -> str:
        """How to go on after a stop, for the user."""
        return f"Start it again to go on from {self.path}." if self.path else "Nothing was saved."

    def load(self, trainer: Trainer) -> Progress:
        """Restore a trainer from the file, if there is one, and return the progress.

        Raises:
            TrainingError: the state does not suit the trainer.
        """
        if self.path is None or not self.path.exists():
            return Progress()
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            trainer.load_state_dict(state)
        except Exception as error:
            raise TrainingError(
                f"{self.path}: not a state of this training ({type(error).__name__}). Remove it to begin anew."
            ) from error
        if state["step"] < trainer.recipe.steps:
            logger.info("going on from step %d of %d", state["step"], trainer.recipe.steps)
        elif state["code"] == self.job.options.code:
            logger.info("trained before: %s", self.path)
        else:
            maker = state.get("software", "another version")
            logger.info("trained before, by other code (%s), and kept. To train it anew, delete %s.", maker, self.path)
        return Progress(state["step"], state["rows"], state["sums"])

    def save(self, trainer: Trainer, progress: Progress) -> None:
        """Save the trainer's state, all or nothing."""
        if self.path is None:
            return
        tested = [row["test_loss"] for row in progress.rows if "test_loss" in row]
        state = {
            "identity": self.job.identity,
            "code": self.job.options.code,
            "software": provenance.software(),
            "step": progress.step,
            "rows": progress.rows,
            "sums": progress.sums,
            "best_test_loss": min(tested, default=None),
            **trainer.state_dict(),
        }
        write_tensors(state, self.path)


def _path_of(job: Job) -> Path | None:
    folder = job.options.folder
    if folder is None:
        return None
    for path in sorted(folder.glob("state*.pth")):
        try:
            if job.is_that_of(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["identity"]):
                return path
        except Exception as error:
            raise TrainingError(
                f"{path}: not a saved state of a training ({type(error).__name__}). Remove it to begin anew."
            ) from error
    digest = hashlib.sha256(json.dumps(job.identity, sort_keys=True).encode()).hexdigest()
    return folder / f"state_{digest[:8]}.pth"
