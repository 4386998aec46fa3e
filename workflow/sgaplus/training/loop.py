"""Training a mean-scale hyperprior: the loop over the steps, in one process or several, until its end or a stop.

It ends at the same model however often it is stopped and started again.
"""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch
from compressai.models.google import MeanScaleHyperprior
from torch import Tensor

from sgaplus.errors import SgaplusError, TrainingError
from sgaplus.files import write_tensors
from sgaplus.training.crops import Crops, Picture
from sgaplus.training.initialisation import start_model
from sgaplus.training.job import Job, TrainingOptions
from sgaplus.training.monitor import Monitor
from sgaplus.training.recipe import Recipe
from sgaplus.training.states import Row, StateFile
from sgaplus.training.trainer import Trainer


def train(
    recipe: Recipe,
    pictures: Sequence[Picture],
    devices: Sequence[torch.device],
    options: TrainingOptions,
    start_from: str | Path | None = None,
    evaluation: Sequence[Picture] = (),
) -> tuple[MeanScaleHyperprior, list[Row]]:
    """Train a model, or go on with a training that was stopped.

    Args:
        recipe: Widths, loss and optimisation.
        pictures: Training photographs.
        devices: Devices to train on: one process for each. The processes share every step's crops.
        options: How the training is run and watched.
        start_from: Model file whose weights to start from.
        evaluation: Photographs to evaluate on.

    Returns:
        The model, ready to code, and its metrics: rows of :data:`monitor.METRICS`.

    Raises:
        TrainingError: no usable image, other widths in ``start_from``, a loss that is not finite, or
            a request to stop (SIGTERM, SIGINT, or the time limit). The state file has the progress so far.
    """
    job = Job(recipe, pictures, tuple(devices), options, start_from, evaluation)
    weights, rows = _run(job, 0) if len(devices) == 1 else _run_in_processes(job)
    model = MeanScaleHyperprior.from_state_dict(weights).eval()
    model.update(force=True, update_quantiles=True)
    return model, rows


def _run(job: Job, rank: int) -> tuple[dict[str, Tensor], list[Row]]:
    """Train in this process; returns the weights and, in the first process, the metrics."""
    recipe, options, world = job.recipe, job.options, len(job.devices)
    model = start_model(recipe, job.start_from)
    trainer = Trainer(recipe, model, job.devices[rank], rank, world, options.compile)
    state = StateFile(job)
    progress = state.load(trainer)
    share = (rank, world)
    crops = Crops(
        *(job.pictures, recipe.crop, recipe.batch_size, recipe.seed, recipe.crops_per_image, share),
        cache_bytes=options.cache_bytes,
        vary=recipe.vary_crops,
    )
    batches = crops.batches(progress.step, recipe.steps, options.workers, pin=trainer.device.type == "cuda")
    monitor = Monitor(job, trainer, state, progress, quiet=rank > 0)
    with stop_requests() as requests, closing(monitor), closing(batches):
        for step in range(progress.step, recipe.steps):
            with monitor.waiting():
                batch = next(batches)
            trainer.stop_requested = bool(requests) or monitor.out_of_time
            losses = trainer.step(step, batch)
            monitor.note(step, losses)
            if trainer.stop_requested and step + 1 < recipe.steps:
                monitor.save(step + 1)
                reason = requests[0] if requests else "the time limit"
                raise TrainingError(f"stopped at step {step + 1} of {recipe.steps} by {reason}. {state.advice}")
        if progress.step < recipe.steps:
            monitor.save(recipe.steps)  # so that a kill before the model is written loses no step
    return {name: value.cpu() for name, value in model.state_dict().items()}, progress.rows


@contextmanager
def stop_requests() -> Iterator[list[str]]:
    """Keep SIGTERM and SIGINT from ending the process in the block; yields a list that collects the signals' names."""
    received: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may handle signals
        return
    handled = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda n, _: received.append(signal.Signals(n).name)) for number in handled]
    try:
        yield received
    finally:
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)


def _run_in_processes(job: Job) -> tuple[dict[str, Tensor], list[Row]]:
    """Train in one process per device."""
    with tempfile.TemporaryDirectory() as folder, stop_requests() as requests:
        running = torch.multiprocessing.spawn(_process, (job, folder), nprocs=len(job.devices), join=False)
        assert running is not None
        outcome = Path(folder, "outcome.pth")
        try:
            while not running.join(timeout=0.2):
                for process in running.processes if requests else ():
                    process.terminate()  # SIGTERM, which they answer after their step
                requests.clear()
        except (torch.multiprocessing.ProcessRaisedException, torch.multiprocessing.ProcessExitedException):
            if not outcome.exists():
                raise
        result = torch.load(outcome, weights_only=True)
    if "error" in result:
        raise TrainingError(result["error"])
    return result["weights"], result["rows"]


def _process(rank: int, job: Job, folder: str) -> None:
    """One of the processes that train a model together; the first leaves the outcome in the folder."""
    device = job.devices[rank]
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // len(job.devices)))
    torch.distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=len(job.devices),
    )
    try:
        weights, rows = _run(job, rank)
        outcome: dict[str, Any] = {"weights": weights, "rows": rows}
    except SgaplusError as error:
        outcome = {"error": str(error)}
    if rank == 0:
        write_tensors(outcome, Path(folder, "outcome.pth"))
    if "error" in outcome:
        raise SystemExit(1)  # ends the others too
    torch.distributed.destroy_process_group()
