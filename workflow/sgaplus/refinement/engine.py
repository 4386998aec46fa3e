"""Refining the latents of images under a frozen codec.

    for t = 0 .. steps - 1:
        z~ = relax(z - medians) + medians          at temperature tau(t)
        y~ = relax(y - mu(z~)) + mu(z~)
        method loss = rate(y~, z~) / pixels + lambda * distortion;   a step of the optimiser on y and z

The true loss is that of the hard-rounded latents, measured before the step, with the reconstruction
clamped to [0, 1] as a decoder clamps it; the method loss is not clamped, because a clamp would hide an
overshoot from the gradient. The objective is the sum
of the images' own losses, and each image draws from its own random stream, so that what happens to
an image does not depend on its companions: exactly on a CPU, which refines one at a time, and but for
the order of sums elsewhere.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from sgaplus.codec.frozen import HALO, LATENT_STRIDE, Batch, Codec, Latents, Measurement, padded_size
from sgaplus.errors import ConfigError, RefinementError
from sgaplus.meter import Meter, keep_memory, peak_memory
from sgaplus.metrics import psnr
from sgaplus.refinement import rounding
from sgaplus.refinement.optimizers import OPTIMIZERS
from sgaplus.refinement.rounding import Rounding, Temperature

logger = logging.getLogger(__name__)

Row = dict[str, Any]
"""One measurement of one image: fields of ``records.FIELDS``."""

TRIAL_SIDE = 512
"""Side of the image whose step measures memory: large enough to stand out, small enough to cost little."""

CORRECT_EVERY = 50
"""Steps between updates of the low-precision correction."""

LARGEST_SUB_BATCH = {"cpu": 1}
"""Most images refined together, by kind of device; elsewhere memory is the limit. Batches would round differently,
and on a CPU hardly pay: one by one, an image's result is the same to the last bit whatever its companions."""

STEP_BYTES_BOUND = 24
"""Upper bound on a step's memory, in bytes per padded pixel and synthesis channel. Below the budget by this bound, no
trial step is needed."""


@dataclass(frozen=True)
class Method:
    """How latents are refined.

    Attributes:
        rounding: The relaxation.
        temperature: Its annealing schedule.
        lr: Learning rate, above 0.
        lr_schedule: ``constant``, or ``cosine`` (from ``lr`` to 0 over the steps).
        optimizer: A key of ``optimizers.OPTIMIZERS``.
    """

    rounding: Rounding
    temperature: Temperature = field(default_factory=Temperature)
    lr: float = 5e-3
    lr_schedule: str = "constant"
    optimizer: str = "adam"

    def __post_init__(self) -> None:
        if self.lr_schedule not in ("constant", "cosine"):
            raise ConfigError(f"lr_schedule is {self.lr_schedule!r}; it must be constant or cosine.")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer is {self.optimizer!r}; it must be one of {', '.join(OPTIMIZERS)}.")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Method:
        """The method of a configuration entry.

        Raises:
            ConfigError: unknown rounding or parameter, or a value out of range.
        """
        return cls(
            rounding.make(settings["rounding"], **settings["parameters"]),
            Temperature(settings["tau_max"], settings["tau_rate"]),
            settings["lr"],
            settings["lr_schedule"],
            settings["optimizer"],
        )

    def cooling_in(self, steps: int, of: int) -> Method:
        """The method whose temperature falls as far in ``steps`` steps as this one's does in ``of``."""
        return replace(self, temperature=replace(self.temperature, rate=self.temperature.rate * (of / steps)))

    def learning_rate(self, step: int, steps: int) -> float:
        """The learning rate of one of ``steps`` steps."""
        if self.lr_schedule == "constant":
            return self.lr
        return self.lr * (1 + math.cos(math.pi * step / steps)) / 2


@dataclass(frozen=True)
class Plan:
    """What to run and what to write down.

    Attributes:
        lmbda: Target lambda, the weight of the distortion.
        steps: Optimiser steps, at least 0.
        record_at: Steps to measure; 0 and ``steps`` are always measured.
        seed: Seed of every image's random stream, together with its name.
        memory_bytes: Budget of one sub-batch's working memory.
        keep_best: Return the best measured latents instead of the last.
    """

    lmbda: float
    steps: int
    record_at: frozenset[int] = frozenset()
    seed: int = 0
    memory_bytes: int = 4 * 2**30
    keep_best: bool = False


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


def record_steps(steps: int, every: int, also: Sequence[int] = ()) -> frozenset[int]:
    """Step 0, every ``every``-th step, those asked for that exist, and the last."""
    return frozenset({0, steps, *range(0, steps + 1, every), *(s for s in also if s <= steps)})


def refine(
    codec: Codec,
    images: Sequence[tuple[str, Tensor]],
    method: Method,
    plan: Plan,
    label: str = "refine",
) -> list[Refined]:
    """Refine the latents of images of any sizes.

    Args:
        codec: The frozen codec.
        images: Unique names and pictures: (3, h, w) in [0, 1], float32.
        method: Rounding, temperature and optimiser.
        plan: Target, steps, records, seed, memory.
        label: What the progress bar calls the work.

    Returns:
        One outcome per image, in the order given.

    Raises:
        RefinementError: two images have one name.
        NonFiniteLossError: a loss stopped being finite; it carries the rows measured so far.
    """
    names = [name for name, _ in images]
    if len(set(names)) < len(names):
        raise RefinementError(
            "two images have one name; names seed random streams and identify results, so rename one."
        )
    if codec.device.type == "cpu":
        keep_memory()
    done: dict[str, Refined] = {}
    batches = list(_batches(codec, images, method, plan))
    with tqdm(total=plan.steps * len(images), desc=label, unit="image-step", mininterval=1, smoothing=0.1) as bar:
        for members, strip in batches:
            batch = Batch.of([picture.to(codec.device) for _, picture in members])
            try:
                outcome = _refine_batch(codec, [name for name, _ in members], batch, method, plan, strip, bar)
            except NonFiniteLossError as error:
                error.rows = [row for refined in done.values() for row in refined.rows] + error.rows
                raise
            done |= {refined.name: refined for refined in outcome}
    return [done[name] for name in names]


def _refine_batch(
    codec: Codec,
    names: list[str],
    batch: Batch,
    method: Method,
    plan: Plan,
    strip: int | None,
    bar: tqdm,
) -> list[Refined]:
    optimization = LatentOptimization(codec, names, batch, method, plan, strip)
    latents = optimization.latents
    record = _Record(names, method, plan, codec.device)
    for step in range(plan.steps + 1):
        loss = optimization.loss(step)
        record.watch(step, loss.detach())
        if step in plan.record_at or step in (0, plan.steps):
            record.add(step, loss.detach(), codec.measure(batch, latents, strip), latents)
            bar.set_postfix_str(f"true loss {record.mean_true_loss():.4f}", refresh=False)
        if step == plan.steps:
            break
        optimization.step(step, loss)
        bar.update(len(names))
    return record.outcome(latents)


class LatentOptimization:
    """Optimisation state of one batch: latents, optimiser, random streams.

    Args:
        codec: The frozen codec.
        names: The images' names.
        batch: The images.
        method: Rounding, temperature and optimiser.
        plan: Target, number of steps, seed.
        strip: Latent rows synthesised at once; None for all.

    Attributes:
        latents: Latents before rounding; leaves, changed in place.
    """

    def __init__(
        self, codec: Codec, names: Sequence[str], batch: Batch, method: Method, plan: Plan, strip: int | None = None
    ) -> None:
        self.codec, self.batch, self.method, self.plan, self.strip = codec, batch, method, plan, strip
        self.target = batch
        start = codec.analyse(batch.x, strip)
        self.latents = Latents(start.y.requires_grad_(), start.z.requires_grad_())
        self.streams = [random_stream(plan.seed, name, codec.device) for name in names]
        self.optimizer = OPTIMIZERS[method.optimizer]([self.latents.y, self.latents.z])

    def loss(self, step: int) -> Tensor:
        """Each image's method loss before a step, (B,); draws the step's random numbers."""
        if step % CORRECT_EVERY == 0:
            self.target = self.codec.corrected(self.batch, self.latents, self.strip)
        tau, lmbda = self.method.temperature(step), self.plan.lmbda
        return method_loss(
            self.codec, self.target, self.latents, self.method.rounding, tau, lmbda, self.streams, self.strip
        )

    def step(self, step: int, loss: Tensor) -> None:
        """Move the latents along the gradient of a loss."""
        self.optimizer.zero_grad()
        loss.sum().backward()
        self.optimizer.step(self.method.learning_rate(step, self.plan.steps))


def method_loss(
    codec: Codec,
    batch: Batch,
    latents: Latents,
    rounding: Rounding,
    tau: float,
    lmbda: float,
    streams: Sequence[torch.Generator],
    strip: int | None = None,
) -> Tensor:
    """Each image's bpp + lambda * MSE under relaxed rounding, (B,), differentiable in the latents."""
    z = _relax(latents.z, codec.medians, rounding, tau, streams)
    scales, means = codec.entropy_parameters(z)
    y = _relax(latents.y, means, rounding, tau, streams)
    bits = codec.bits_y(y, scales, means) + codec.bits_z(z)
    return bits / batch.pixels + lmbda * codec.distortion(batch, y, strip)


def _relax(v: Tensor, centre: Tensor, rounding: Rounding, tau: float, streams: Sequence[torch.Generator]) -> Tensor:
    def draw() -> Tensor:
        shape = v.shape[1:]
        return torch.stack([torch.rand(shape, generator=stream, device=v.device) for stream in streams])

    return rounding.relax(v - centre, tau, draw) + centre


def random_stream(seed: int, name: str, device: torch.device) -> torch.Generator:
    """The random numbers of one image: they depend on the seed, its name and the kind of device alone."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "little", signed=True))


class _Record:
    """Rows, best latents and the first sign of trouble of one batch."""

    def __init__(self, names: list[str], method: Method, plan: Plan, device: torch.device) -> None:
        self.names, self.method, self.plan, self.device = names, method, plan, device
        self.rows: list[list[Row]] = [[] for _ in names]
        self.best = [math.inf] * len(names)
        self.best_latents: list[Latents | None] = [None] * len(names)
        self.first_bad: Tensor | None = None
        self.meter = Meter(device)

    def watch(self, step: int, loss: Tensor) -> None:
        """Note on the device, without waiting for it, the first step whose loss is not finite."""
        if self.first_bad is None:
            self.first_bad = torch.full_like(loss, -1)
        self.first_bad = torch.where((self.first_bad < 0) & ~loss.isfinite(), step, self.first_bad)

    def add(self, step: int, loss: Tensor, measured: Measurement, latents: Latents) -> None:
        true_loss = measured.bpp + self.plan.lmbda * measured.mse
        columns = {
            "method_loss": loss,
            "true_loss": true_loss,
            "bpp_y": measured.bpp_y,
            "bpp_z": measured.bpp_z,
            "bpp": measured.bpp,
            "mse": measured.mse,
            "psnr": psnr(measured.mse),
        }
        self._stop_if_not_finite(step, true_loss)
        values = {name: column.tolist() for name, column in columns.items()}
        shared = {
            "step": step,
            "batch": len(self.names),
            "seconds": self.meter.seconds(),
            "peak_memory_mb": self.meter.peak_memory_mb(),
            "joules": self.meter.joules(),
            "device": self.device.type,
        }
        for i, rows in enumerate(self.rows):
            if values["true_loss"][i] < self.best[i]:
                self.best[i] = values["true_loss"][i]
                if self.plan.keep_best:
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
        return fmean(rows[-1]["true_loss"] for rows in self.rows)

    def outcome(self, latents: Latents) -> list[Refined]:
        last = [Latents(y, z) for y, z in zip(latents.y.detach(), latents.z.detach(), strict=True)]
        chosen = [best or end for best, end in zip(self.best_latents, last, strict=True)]
        return [
            Refined(name, kept, [row | {"image": name} for row in rows])
            for name, kept, rows in zip(self.names, chosen, self.rows, strict=True)
        ]


def _batches(
    codec: Codec, images: Sequence[tuple[str, Tensor]], method: Method, plan: Plan
) -> Iterator[tuple[list[tuple[str, Tensor]], int | None]]:
    """Images of one padded size together, as many at once as the memory budget holds.

    Yields the images of a sub-batch, and how many latent rows to synthesise at once where not even
    one image fits as a whole.
    """
    groups: dict[tuple[int, int], list[tuple[str, Tensor]]] = {}
    for name, picture in images:
        groups.setdefault(padded_size(*picture.shape[1:]), []).append((name, picture))
    for (height, width), members in groups.items():
        size, strip = min(len(members), LARGEST_SUB_BATCH.get(codec.device.type, len(members))), None
        if height * width * size * STEP_BYTES_BOUND * codec.channels > plan.memory_bytes:
            fitting, strip = fit(height, width, bytes_per_pixel(codec, method), plan.memory_bytes)
            size = min(size, fitting)
        cut = f"strips of {strip * LATENT_STRIDE} rows" if strip else f"{size} at once"
        logger.info("%dx%d pixels: %d image(s), %s", width, height, len(members), cut)
        for i in range(0, len(members), size):
            yield members[i : i + size], strip


def fit(height: int, width: int, per_pixel: float, budget: int) -> tuple[int, int | None]:
    """How many images of a padded size fit the budget at once.

    Returns:
        Images per sub-batch, and None; or, where not even one fits, 1 and the latent rows that may be
        synthesised at once (at least 1: a budget below one strip cannot be kept).
    """
    images = int(budget / (per_pixel * height * width))
    if images >= 1:
        return images, None
    rows = int(budget / (per_pixel * width * LATENT_STRIDE))
    return 1, max(1, rows - 2 * HALO)


def bytes_per_pixel(codec: Codec, method: Method) -> float:
    """Working memory of one step per padded pixel, measured on a trial image of :data:`TRIAL_SIDE`.

    It is proportional to the pixels, so one trial serves images of every size, and the codec keeps it.
    """
    if method.rounding not in codec.step_bytes:
        codec.step_bytes[method.rounding] = _measured_bytes(codec, method)
    return codec.step_bytes[method.rounding]


def _measured_bytes(codec: Codec, method: Method) -> float:
    _trial_step(codec, method, 64)  # once-only costs, such as thread pools, are not the step's own
    return max(1.0, peak_memory(lambda: _trial_step(codec, method, TRIAL_SIDE), codec.device) / TRIAL_SIDE**2)


def _trial_step(codec: Codec, method: Method, side: int) -> None:
    batch = Batch.of([torch.full((3, side, side), 0.5, device=codec.device)])
    LatentOptimization(codec, ["trial"], batch, method, Plan(lmbda=1.0, steps=1)).loss(0).sum().backward()
