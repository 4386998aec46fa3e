"""Watching a training: progress bar, metrics, TensorBoard, evaluations, and the saving of its state."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from sgaplus.errors import TrainingError
from sgaplus.files import write_csv
from sgaplus.metrics import psnr
from sgaplus.training.evaluation import evaluate
from sgaplus.training.job import Job
from sgaplus.training.states import Progress, Row, StateFile
from sgaplus.training.trainer import Losses, Trainer

METRICS = ("step", "loss", "bpp", "psnr", "lr", "steps_per_second", "waiting", "test_loss", "test_bpp", "test_psnr")
"""Columns of the metrics. ``loss``, ``bpp`` and ``psnr`` (dB) are means over the crops since the row before,
under uniform noise; ``waiting`` is the share of the time since then that was spent waiting for crops; ``test_*`` are
means over the evaluation images with hard rounding, empty in rows without an evaluation."""


class Monitor:
    """Watches a training in its first process. In the other processes it only looks at the clock.

    Args:
        job: The training.
        trainer: Takes the steps.
        state: The file of the saved state.
        progress: Progress of the training so far; new rows are added to its ``rows``.
        quiet: Whether this is another process than the first.
    """

    def __init__(self, job: Job, trainer: Trainer, state: StateFile, progress: Progress, quiet: bool) -> None:
        self.job, self.trainer, self.state, self.quiet = job, trainer, state, quiet
        options, first = job.options, progress.step
        self.bar = tqdm(
            total=job.recipe.steps, initial=first, desc=options.label, unit="step", mininterval=1, disable=quiet
        )
        self.events = SummaryWriter(str(options.events), purge_step=first) if options.events and not quiet else None
        self.started = self.saved = self.logged = time.perf_counter()
        self.rows, self.logged_steps, self.waited = progress.rows, first, 0.0
        # on the trainer's device, because reading the sums at every step would make the device wait
        self.sums = torch.tensor(progress.sums, dtype=torch.float64).to(trainer.device)

    def close(self) -> None:
        """End the bar, and write the last events."""
        self.bar.close()
        if self.events:
            self.events.close()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the block as waiting for crops."""
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    @property
    def out_of_time(self) -> bool:
        """Whether the time limit has passed."""
        limit = self.job.options.seconds
        return limit is not None and time.perf_counter() - self.started > limit

    def note(self, step: int, losses: Losses) -> None:
        """Take note of a step, and log, evaluate and save if they are due after it.

        Raises:
            TrainingError: a loss that is not finite.
        """
        if self.quiet:
            return
        options, done, last = self.job.options, step + 1, step + 1 == self.job.recipe.steps
        evaluation_due = bool(self.job.evaluation) and (last or done % options.evaluate_every == 0)
        self.sums += torch.stack([*losses, torch.ones_like(losses.loss)])
        if step == 0 or done % options.log_every == 0 or last or evaluation_due:
            self._log(step, evaluation_due)
        self.bar.update()
        if not last and time.perf_counter() - self.saved > options.save_seconds:
            self._require_finite(step, losses.loss.item())
            self.save(done)

    def _log(self, step: int, evaluation_due: bool) -> None:
        recipe = self.job.recipe
        loss, bpp, mse = (self.sums[:3] / self.sums[3]).tolist()
        self.sums.zero_()
        self._require_finite(step, loss)
        seconds = max(time.perf_counter() - self.logged, 1e-9)
        row: Row = {
            "step": step,
            "loss": loss,
            "bpp": bpp,
            "psnr": psnr(torch.tensor(mse)).item(),
            "lr": recipe.lr * recipe.rate_factor(step),
            "steps_per_second": (step + 1 - self.logged_steps) / seconds,
            "waiting": self.waited / seconds,
        }
        self.bar.set_postfix_str(f"loss {loss:.3f}, {bpp:.3f} bpp, {row['psnr']:.2f} dB", refresh=False)
        if evaluation_due:
            test = evaluate(self.trainer.model, self.job.evaluation, recipe.lmbda, self.trainer.device)
            row |= {"test_loss": test.loss, "test_bpp": test.bpp, "test_psnr": test.psnr}
        self.rows.append(row)
        if self.events:
            for name, value in row.items():
                self.events.add_scalar(name, value, step)
        self.logged, self.logged_steps, self.waited = time.perf_counter(), step + 1, 0.0

    def _require_finite(self, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            recipe = self.job.recipe
            raise TrainingError(
                f"the loss is {loss} at step {step} (lambda {recipe.lmbda:g}, lr {recipe.lr:g}). "
                f"Lower the model's `lr`, or set `clip_norm`. {self.state.advice}"
            )

    def save(self, step: int) -> None:
        """Save the state from which step ``step`` starts, unless a weight is not finite."""
        if not self.quiet and all(bool(weight.isfinite().all()) for weight in self.trainer.weights):
            self.state.save(self.trainer, Progress(step, self.rows, self.sums.tolist()))
        self.saved = time.perf_counter()


def write_metrics(rows: Sequence[Mapping[str, float]], path: str | Path) -> None:
    """Write the metrics of a training as CSV, all or nothing."""
    write_csv(rows, METRICS, path)
