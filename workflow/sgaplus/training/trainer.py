"""Training a mean-scale hyperprior with the paper's loss: bits per pixel + lambda * 255^2 * MSE.

Everything that a step draws at random follows from (seed, step), and a saved state holds the rest. So
a training that is killed and started again ends where it would have ended.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compressai.models.google import MeanScaleHyperprior
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from sgaplus import provenance
from sgaplus.codec.frozen import Batch, Codec, as_tensor
from sgaplus.codec.hyperprior import Hyperprior, load_state, weights_sha256, widths
from sgaplus.devices import fast_precision
from sgaplus.errors import SgaplusError, TrainingError
from sgaplus.files import sha256, write_csv, write_tensors
from sgaplus.metrics import PEAK, psnr
from sgaplus.training.crops import Crops, Picture
from sgaplus.training.recipe import Recipe
from sgaplus.training.widening import widen

logger = logging.getLogger(__name__)

METRICS = ("step", "loss", "bpp", "psnr", "lr", "steps_per_second", "waiting", "test_loss", "test_bpp", "test_psnr")
"""Columns of the metrics. ``loss``, ``bpp`` and ``psnr`` (dB) are means over the crops since the row before,
under uniform noise; ``waiting`` is the share of that time that was spent waiting for crops; ``test_*`` are
means over the evaluation images with hard rounding, empty in rows without an evaluation."""

Row = dict[str, float]

MIDDLE_GRAY = 0.45
"""About the mean of photographs in [0, 1]."""


@dataclass(frozen=True)
class Supervision:
    """How a training is run and watched. Nothing here changes the model that comes out.

    Attributes:
        label: What the progress bar calls the work.
        data: Identifies the photographs; a state that was saved with other data is not continued.
        former_data: The same as states of version 0.1.0 had it, the hash of the index file.
        code: Version of the code, noted in states; those of another are continued.
        log_every: Steps between rows of the metrics.
        evaluate_every: Steps between evaluations; 0 for none.
        save_seconds: Seconds between saved states.
        seconds: Seconds after which the state is saved and the training stops; None for no limit.
        folder: Folder of the states, one per recipe and data; None for no saving.
        events: Folder of TensorBoard's events; None for none.
        workers: Processes that decode pictures; 0 for the trainer itself.
        cache_bytes: Decoded pictures kept in memory.
        compile: Compile the transforms.
    """

    label: str = "train"
    data: str = ""
    former_data: str = ""
    code: str = ""
    log_every: int = 100
    evaluate_every: int = 0
    save_seconds: float = 300.0
    seconds: float | None = None
    folder: Path | None = None
    events: Path | None = None
    workers: int = 0
    cache_bytes: int = 2 * 10**9
    compile: bool = False


def fresh_model(recipe: Recipe) -> MeanScaleHyperprior:
    """A model with random weights from the recipe's seed, whose first reconstruction is a middle gray."""
    torch.manual_seed(recipe.seed)
    model = MeanScaleHyperprior(recipe.N, recipe.M)
    with torch.no_grad():
        model.g_a[-1].weight.mul_(recipe.latent_gain)
        model.g_s[0].weight.div_(recipe.latent_gain)
        model.g_s[-1].bias.fill_(MIDDLE_GRAY)
    return model


def start_model(recipe: Recipe, start_from: str | Path | None) -> MeanScaleHyperprior:
    """A fresh model, or one that computes what another trained model does, which may be narrower.

    Raises:
        CodecError: the file is not a model.
        TrainingError: it is wider than the recipe's.
    """
    model = fresh_model(recipe)
    if start_from is None:
        return model
    state = load_state(start_from)
    N, M = widths(state)
    if N > recipe.N or M > recipe.M:
        raise TrainingError(
            f"{start_from}: has N = {N}, M = {M}, and the model that starts from it only "
            f"N = {recipe.N}, M = {recipe.M}. Make it as wide, or drop start_from."
        )
    widen(state, model)
    return model


def rate_distortion(model: MeanScaleHyperprior, x: Tensor, precision: str = "float32") -> tuple[Tensor, Tensor]:
    """Bits per pixel, and mean squared error on the 8-bit scale, under uniform noise.

    The layers between pixels and latents run in ``precision``. Latents, hyper-latents and all that is
    computed of them stay in float32: bfloat16 would round a latent of 100 by up to a quarter.

    Args:
        model: In training mode.
        x: (B, 3, H, W) in [0, 1], H and W multiples of 64.
        precision: ``float32`` or ``bfloat16``.

    Returns:
        Two float32 scalars.
    """
    wide = nullcontext if precision == "float32" else lambda: torch.autocast(x.device.type, torch.bfloat16)
    with wide():
        features = model.g_a[:-1](x)
    y = model.g_a[-1](features.float())
    z_hat, z_likelihoods = model.entropy_bottleneck(model.h_a(y))
    scales, means = model.h_s(z_hat).chunk(2, 1)
    y_hat, y_likelihoods = model.gaussian_conditional(y, scales, means=means)
    features = model.g_s[0](y_hat)
    with wide():
        x_hat = model.g_s[1:](features)
    bits = -torch.log2(y_likelihoods).sum() - torch.log2(z_likelihoods).sum()
    return bits / (x.shape[0] * x.shape[2] * x.shape[3]), PEAK**2 * (x_hat.float() - x).square().mean()


class Trainer:
    """A model with its optimisers: one step of training, and the state between steps.

    Args:
        recipe: How to train.
        model: What to train.
        device: Where.
        rank, world: The k-th of n processes that train one model, each with its share of the crops.
        compile: Compile the loss.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: MeanScaleHyperprior,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        compile: bool = False,
    ) -> None:
        self.recipe, self.device, self.rank, self.world = recipe, device, rank, world
        self.model = model.to(device, memory_format=torch.channels_last).train()
        self.weights = [weight for name, weight in model.named_parameters() if not name.endswith("quantiles")]
        kernels = [weight for weight in self.weights if weight.dim() == 4] if recipe.optimizer == "muon" else []
        others = [weight for weight in self.weights if not any(weight is kernel for kernel in kernels)]
        # fused Adam: one call for all weights
        self.optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(others, lr=recipe.lr, fused=True)]
        self.matrices = [(kernel, nn.Parameter(_as_matrix(kernel.data))) for kernel in kernels]
        if kernels:
            matrices = [matrix for _, matrix in self.matrices]
            self.optimizers.append(torch.optim.Muon(matrices, lr=recipe.kernel_lr, weight_decay=0.0))
        self.rates = [recipe.lr, recipe.kernel_lr][: len(self.optimizers)]
        self.aux_optimizer = torch.optim.Adam([model.entropy_bottleneck.quantiles], lr=recipe.aux_lr)
        self.precision = fast_precision(device) if recipe.precision == "auto" else recipe.precision
        self.loss = torch.compile(rate_distortion) if compile else rate_distortion

    def step(self, step: int, crops: Tensor, stop: bool = False) -> tuple[Tensor, Tensor, Tensor, bool]:
        """Take one step.

        Args:
            step: Its number, from 0: the noise and the learning rates follow from it.
            crops: uint8, (B, 3, H, W).
            stop: This process was asked to stop.

        Returns:
            Loss, bits per pixel and mean squared error before the step, as tensors on the device; and
            whether any of the processes was asked to stop.
        """
        x = crops.to(self.device, non_blocking=True).float().div_(PEAK).contiguous(memory_format=torch.channels_last)
        torch.manual_seed(_noise_seed(self.recipe.seed, step, self.rank))
        bpp, mse = self.loss(self.model, x, self.precision)
        loss = bpp + self.recipe.lmbda * mse
        self.model.zero_grad(set_to_none=True)
        (loss + self.model.aux_loss()).backward()  # the two losses share no parameter
        if self.world > 1:
            stop = self._average_gradients(stop)
        self._clip()
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * self.recipe.rate_factor(step)
        for kernel, matrix in self.matrices:
            matrix.grad = _as_matrix(kernel.grad)
        for optimizer in (*self.optimizers, self.aux_optimizer):
            optimizer.step()
        return loss.detach(), bpp.detach(), mse.detach(), stop

    def _average_gradients(self, stop: bool) -> bool:
        """Average over the processes, in one message that also says whether anybody wants to stop."""
        gradients = [weight.grad for weight in self.weights if weight.grad is not None]
        message = torch.cat([*(gradient.flatten() for gradient in gradients), gradients[0].new_tensor([float(stop)])])
        torch.distributed.all_reduce(message)
        parts = message[:-1].div_(self.world).split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return bool(message[-1] > 0)

    def _clip(self) -> None:
        if self.recipe.clip is not None:
            nn.utils.clip_grad_value_(self.weights, self.recipe.clip)
        if self.recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.weights, self.recipe.clip_norm)

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimisers."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in (*self.optimizers, self.aux_optimizer)],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over weights and optimisers."""
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip((*self.optimizers, self.aux_optimizer), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def train(
    recipe: Recipe,
    pictures: Sequence[Picture],
    devices: Sequence[torch.device],
    supervision: Supervision = Supervision(),
    start_from: str | Path | None = None,
    evaluation: Sequence[Picture] = (),
) -> tuple[MeanScaleHyperprior, list[Row]]:
    """Train a model, or go on with a training that was stopped.

    Args:
        recipe: Widths, loss and optimisation.
        pictures: Training photographs.
        devices: Where to train: one process for each, which share every step's crops.
        supervision: How the training is run and watched.
        start_from: Model file whose weights to start from.
        evaluation: Photographs to evaluate on.

    Returns:
        The model, ready to code, and its metrics: rows of :data:`METRICS`.

    Raises:
        TrainingError: no usable image, other widths in ``start_from``, a loss that is not finite, or
            a request to stop (SIGTERM, SIGINT, or the time limit). What was reached by then is in
            the state file.
    """
    job = _Job(recipe, pictures, tuple(devices), supervision, start_from, evaluation)
    weights, rows = _run(job, 0) if len(devices) == 1 else _run_in_processes(job)
    model = MeanScaleHyperprior.from_state_dict(weights).eval()
    model.update(force=True, update_quantiles=True)
    return model, rows


@dataclass(frozen=True)
class _Job:
    recipe: Recipe
    pictures: Sequence[Picture]
    devices: tuple[torch.device, ...]
    supervision: Supervision
    start_from: str | Path | None
    evaluation: Sequence[Picture]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What decides the model: recipe, photographs, and the weights that it starts from."""
        start = weights_sha256(load_state(self.start_from)) if self.start_from else None
        return {"recipe": asdict(self.recipe), "data": self.supervision.data, "start": start}

    def is_that_of(self, saved: dict[str, Any] | str) -> bool:
        """Whether a saved state is one of this training."""
        if isinstance(saved, str):  # version 0.1.0
            recipe, *rest = json.loads(saved)
            start = sha256(self.start_from) if self.start_from else None
            return self.recipe.is_that_of(recipe) and rest == [self.supervision.former_data, start]
        return self.recipe.is_that_of(saved["recipe"]) and all(
            saved[key] == self.identity[key] for key in ("data", "start")
        )

    @cached_property
    def state(self) -> Path | None:
        """File of this training's state: the one that is there, or a new one beside those of other recipes.

        Raises:
            TrainingError: a file of the folder can't be read.
        """
        folder = self.supervision.folder
        if folder is None:
            return None
        for path in sorted(folder.glob("state*.pth")):
            try:
                if self.is_that_of(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["identity"]):
                    return path
            except Exception as error:
                raise TrainingError(
                    f"{path}: not a saved state of a training ({type(error).__name__}). Remove it to begin anew."
                ) from error
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()
        return folder / f"state_{digest[:8]}.pth"


def _run(job: _Job, rank: int) -> tuple[dict[str, Tensor], list[Row]]:
    """Train in this process; returns the weights and, in the first process, the metrics."""
    recipe, how, world = job.recipe, job.supervision, len(job.devices)
    model = start_model(recipe, job.start_from)
    trainer = Trainer(recipe, model, job.devices[rank], rank, world, how.compile)
    first, rows, sums = _resume(trainer, job)
    share = (rank, world)
    crops = Crops(
        job.pictures, recipe.crop, recipe.batch_size, recipe.seed, recipe.crops_per_image, share, how.cache_bytes
    )
    batches = crops.batches(first, recipe.steps, how.workers, pin=trainer.device.type == "cuda")
    watch = _Watch(job, trainer, first, rows, sums, quiet=rank > 0)
    with stop_requests() as requests, closing(watch), closing(batches):
        for step in range(first, recipe.steps):
            with watch.waiting():
                batch = next(batches)
            *values, stop = trainer.step(step, batch, bool(requests) or watch.out_of_time)
            watch.note(step, values)
            if stop and step + 1 < recipe.steps:
                watch.save(step + 1)
                reason = requests[0] if requests else "the time limit"
                raise TrainingError(f"stopped at step {step + 1} of {recipe.steps} by {reason}. {watch.where}")
        if first < recipe.steps:
            watch.save(recipe.steps)  # whoever is killed before the model is written has it still
    return {name: value.cpu() for name, value in model.state_dict().items()}, rows


class _Watch:
    """Progress bar, metrics, events, evaluation and saved states of a training, in its first process."""

    def __init__(
        self, job: _Job, trainer: Trainer, first: int, rows: list[Row], sums: list[float], quiet: bool
    ) -> None:
        self.job, self.trainer, self.rows, self.quiet = job, trainer, rows, quiet
        how = job.supervision
        self.bar = tqdm(
            total=job.recipe.steps, initial=first, desc=how.label, unit="step", mininterval=1, disable=quiet
        )
        self.events = SummaryWriter(str(how.events), purge_step=first) if how.events and not quiet else None
        self.started = self.saved = self.noted = time.perf_counter()
        self.noted_step, self.waited = first, 0.0
        # loss, bpp, mean squared error and their number since the last row, where they are computed
        self.sums = torch.tensor(sums, dtype=torch.float64).to(trainer.device)

    def close(self) -> None:
        self.bar.close()
        if self.events:
            self.events.close()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    @property
    def out_of_time(self) -> bool:
        limit = self.job.supervision.seconds
        return limit is not None and time.perf_counter() - self.started > limit

    @property
    def where(self) -> str:
        return f"Start it again to go on from {self.job.state}." if self.job.state else "Nothing was saved."

    def note(self, step: int, values: Sequence[Tensor]) -> None:
        if self.quiet:
            return
        recipe, how = self.job.recipe, self.job.supervision
        last = step + 1 == recipe.steps
        evaluate = bool(self.job.evaluation and how.evaluate_every) and (last or (step + 1) % how.evaluate_every == 0)
        self.sums += torch.stack([*values, torch.ones_like(values[0])])
        if step == 0 or (step + 1) % how.log_every == 0 or last or evaluate:
            self._log(step, evaluate)
        self.bar.update()
        if not last and time.perf_counter() - self.saved > how.save_seconds:
            _require_finite(step, values[0].item(), recipe, self.where)
            self.save(step + 1)

    def _log(self, step: int, evaluate: bool) -> None:
        recipe = self.job.recipe
        loss, bpp, mse = (self.sums[:3] / self.sums[3]).tolist()
        self.sums.zero_()
        _require_finite(step, loss, recipe, self.where)
        now = time.perf_counter()
        seconds = max(now - self.noted, 1e-9)
        speed, waiting = (step + 1 - self.noted_step) / seconds, self.waited / seconds
        lr = recipe.lr * recipe.rate_factor(step)
        row = dict(zip(METRICS, (step, loss, bpp, psnr(torch.tensor(mse)).item(), lr, speed, waiting), strict=False))
        self.bar.set_postfix_str(f"loss {loss:.3f}, {bpp:.3f} bpp, {row['psnr']:.2f} dB", refresh=False)
        if evaluate:
            row |= evaluation_of(self.trainer.model, self.job.evaluation, recipe.lmbda, self.trainer.device)
        self.rows.append(row)
        if self.events:
            for name, value in row.items():
                self.events.add_scalar(name, value, step)
        self.noted, self.noted_step, self.waited = time.perf_counter(), step + 1, 0.0

    def _finite(self) -> bool:
        return all(bool(weight.isfinite().all()) for weight in self.trainer.weights)

    def save(self, step: int) -> None:
        """Save the state that step ``step`` begins with, unless training has broken it."""
        path = self.job.state
        if path is not None and not self.quiet and self._finite():
            tested = [row["test_loss"] for row in self.rows if "test_loss" in row]
            state = {
                "identity": self.job.identity,
                "code": self.job.supervision.code,
                "software": provenance.software(),
                "step": step,
                "rows": self.rows,
                "sums": self.sums.tolist(),
                "best_test_loss": min(tested, default=None),
                **self.trainer.state_dict(),
            }
            write_tensors(state, path)
        self.saved = time.perf_counter()


def _resume(trainer: Trainer, job: _Job) -> tuple[int, list[Row], list[float]]:
    """Load a saved state into a trainer; returns the next step, the metrics so far, and the sums of the next row.

    Raises:
        TrainingError: the state does not suit the trainer.
    """
    if job.state is None or not job.state.exists():
        return 0, [], [0.0] * 4
    try:
        state = torch.load(job.state, map_location="cpu", weights_only=True)
        trainer.load_state_dict(state)
    except Exception as error:
        raise TrainingError(
            f"{job.state}: not a state of this training ({type(error).__name__}). Remove it to begin anew."
        ) from error
    if state["step"] < trainer.recipe.steps:
        logger.info("going on from step %d of %d", state["step"], trainer.recipe.steps)
    elif state["code"] == job.supervision.code:
        logger.info("trained before: %s", job.state)
    else:
        maker = state.get("software", "another version")
        logger.info("trained before, by other code (%s), and kept. To train it anew, delete %s.", maker, job.state)
    return state["step"], state["rows"], state["sums"]


def evaluation_of(
    model: MeanScaleHyperprior, pictures: Sequence[Picture], lmbda: float, device: torch.device
) -> dict[str, float]:
    """Mean loss, bits per pixel and PSNR over images, with hard rounding in float32, as refinement measures them."""
    codec = Codec(Hyperprior.of(model.state_dict()), device)
    total = torch.zeros(3, dtype=torch.float64)
    for picture in pictures:
        batch = Batch.of([as_tensor(picture.read()).to(device)])
        measured = codec.measure(batch, codec.analyse(batch.x))
        bpp, mse = measured.bpp.item(), measured.mse
        total += torch.tensor([bpp + lmbda * mse.item(), bpp, psnr(mse).item()])
    return dict(zip(METRICS[-3:], (total / len(pictures)).tolist(), strict=True))


@contextmanager
def stop_requests() -> Iterator[list[str]]:
    """The names of the signals SIGTERM and SIGINT that arrive meanwhile, which would end the process otherwise."""
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


def _run_in_processes(job: _Job) -> tuple[dict[str, Tensor], list[Row]]:
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


def _process(rank: int, job: _Job, folder: str) -> None:
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


def write_metrics(rows: Sequence[Mapping[str, float]], path: str | Path) -> None:
    """Write the metrics of a training as CSV, all or nothing."""
    write_csv(rows, METRICS, path)


def _require_finite(step: int, loss: float, recipe: Recipe, where: str) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss} at step {step} (lambda {recipe.lmbda:g}, lr {recipe.lr:g}). "
            f"Lower the model's `lr`, or set `clip_norm`. {where}"
        )


def _as_matrix(kernel: Tensor) -> Tensor:
    """A convolution's kernel as a matrix with a row per first index; a view where the kernel is channels-last."""
    return kernel.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape(kernel.shape[0], -1)


def _noise_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)
