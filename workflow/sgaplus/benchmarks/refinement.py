"""Measurements of refinement: its speed beside the plain loop's, its start-up, and the effect of its precision."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from compressai.models import MeanScaleHyperprior
from PIL import Image
from torch import Tensor

from sgaplus.benchmarks.plain_loops import LeanRefinement, PlainRefinement
from sgaplus.codec.frozen import Codec, as_tensor
from sgaplus.codec.hyperprior import Hyperprior, load_state, widths
from sgaplus.codec.latents import Latents
from sgaplus.config import methods
from sgaplus.data.sources import Package
from sgaplus.devices import name_of
from sgaplus.meter import keep_memory, return_memory
from sgaplus.paths import shipped
from sgaplus.refinement import rounding
from sgaplus.refinement.engine import refine
from sgaplus.refinement.latent_optimization import LatentOptimization, SubBatch
from sgaplus.refinement.memory import LARGEST_SUB_BATCH
from sgaplus.refinement.method import Method, Plan
from sgaplus.training.initialisation import start_model
from sgaplus.training.recipe import Recipe

REFINEMENT = (
    *("device", "n", "height", "width", "batch", "loop", "steps_per_second", "ratio", "limit_share", "true_loss"),
)
"""Columns of the benchmark. ``loop`` is plain, lean or engine; ``steps_per_second`` counts the steps of each image;
``ratio`` is to the plain loop; ``limit_share`` is the share of the device's measured rate of matrix products, counting
the synthesis transform's forward and backward pass alone; ``true_loss`` is the true loss after the timed steps, the
same number in all loops, measured in float32, as the mean over the images."""

TIME_TO_LOSS = (
    *("device", "n", "height", "width", "method", "steps", "seconds", "plain_seconds", "ratio", "true_loss"),
)
"""Columns of the time to a loss. ``seconds`` is the time of a method's steps on one image; ``plain_seconds`` that of
the plain loop to SSL's loss, in the steps of the first row; ``ratio`` is the latter over the former; ``true_loss`` is
where the method ends, in float32."""

RACE = (("ssl", 2000), ("ssl_fast", 500), ("ssl_faster", 300))
"""Methods and their steps whose times to a loss are compared; the plain loop takes the first's steps."""

STARTUP = ("device", "torch_seconds", "own_seconds")
"""Columns of the start-up: importing torch, and from there to the end of the first step."""

PRECISIONS = ("float32", "bfloat16")
PRECISION = ("device", "lmbda", "seed", "plain", *PRECISIONS, *(f"{name}_difference" for name in PRECISIONS))
"""Columns of the comparison of precisions: final true losses of the plain loop and of the engine, measured in float32,
and the relative difference of the latter two from the first."""

MODELS = shipped("workflow/models")
MODEL, LMBDA = MODELS / "small_lmbda0.005.pth", 0.005
"""The trained model from which the measured models are widened, and its lambda, toward which they refine."""

ROUNDS = 5
TAPS = 25

SSL = Method(rounding.make("ssl"))

Row = dict[str, str | int | float]
Case = tuple[int, int, int, int]
"""Channels N, height, width, batch."""


def widened(channels: int) -> MeanScaleHyperprior:
    """A model with N = ``channels`` that computes the function of :data:`MODEL`; M is as large, or the model's own."""
    _, own = widths(load_state(MODEL))
    return start_model(Recipe(LMBDA, channels, max(channels, own), steps=1), MODEL).eval()


def photographs(height: int, width: int, count: int) -> list[Tensor]:
    """Photographs that ship with scikit-image, scaled and shifted: (3, height, width) in [0, 1]."""
    names = ("astronaut.png", "coffee.png")
    found = [image.read() for image in Package("skimage.data", names).index()]
    scaled = [np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)) for pixels in found]
    return [as_tensor(np.roll(scaled[i % 2], 64 * (i // 2), axis=1)) for i in range(count)]


def synthesis_operations(N: int, M: int, pixels: int) -> float:
    """Additions and multiplications of the synthesis transform, forward and backward to the latents."""
    kernels = TAPS * N * (M / 256 + N / 64 + N / 16 + 3 / 4)
    norms = N**2 * (1 / 64 + 1 / 16 + 1 / 4)
    return 4 * pixels * (kernels + norms)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a matrix product, the best of five."""
    side = 8192 if device.type == "cuda" else 1024
    matrix = torch.randn(side, side, device=device).to(dtype)
    return 2 * side**3 / min(seconds(lambda: matrix @ matrix, device) for _ in range(5))


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of some work."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def optimizations(codec: Codec, pictures: Sequence[Tensor], method: Method = SSL) -> list[LatentOptimization]:
    """Refinements of pictures, as many at once as the engine takes on the codec's device."""
    size = LARGEST_SUB_BATCH.get(codec.device.type, len(pictures))
    named = [(str(i), picture) for i, picture in enumerate(pictures)]
    batches = [SubBatch(named[i : i + size]) for i in range(0, len(named), size)]
    return [LatentOptimization(codec, batch, method, Plan(LMBDA, method.steps)) for batch in batches]


def compare(case: Case, device: torch.device, precision: str, budget: float) -> list[Row]:
    """Rows of the plain loop, of the lean one and of the engine; they take turns, so that all meet the same machine.

    Each loop runs under the allocator settings it would have alone: the engine has the C library keep freed memory.

    Args:
        case: Channels, and the size and number of the images.
        device: The device of all loops.
        precision: Precision of the engine.
        budget: Seconds to spend.
    """
    channels, height, width, count = case
    wide, codec, pictures = _scene(case, device, precision)
    plain = [PlainRefinement(wide, picture[None], LMBDA) for picture in pictures]
    lean = [LeanRefinement(wide, picture[None], LMBDA) for picture in pictures]
    engine = optimizations(codec, pictures)
    running: dict[str, Sequence[PlainRefinement | LatentOptimization]] = {
        "plain": plain,
        "lean": lean,
        "engine": engine,
    }
    steps, turns = _take_turns((_plain_steps(plain), _plain_steps(lean), _engine_steps(engine)), budget, codec)
    operations = count * synthesis_operations(wide.N, wide.M, height * width)
    rows: list[Row] = []
    for k, (loop_name, refinements) in enumerate(running.items()):
        row: Row = {
            "device": name_of(device),
            "n": channels,
            "height": height,
            "width": width,
            "batch": count,
            "loop": loop_name,
            "steps_per_second": round(median([count / times[k] for times, _ in turns]), 4),
            "ratio": round(median([times[0] / times[k] for times, _ in turns]), 3),
            "limit_share": round(median([operations / rate / times[k] for times, rate in turns]), 3),
            "true_loss": _true_loss(codec, pictures, [one.latents for one in refinements], LMBDA),
        }
        rows.append(row)
        print(
            f"N = {channels}, M = {wide.M}, {count} of {width}x{height}: {loop_name:>6} "
            f"{row['steps_per_second']:8.3f} steps/s, ratio {row['ratio']:5.2f}, "
            f"{row['limit_share']:4.0%} of the limit, true loss {row['true_loss']:.4f} after {steps} steps",
            flush=True,
        )
    return rows


def _scene(case: Case, device: torch.device, precision: str) -> tuple[MeanScaleHyperprior, Codec, list[Tensor]]:
    """The widened model, the same as the engine's codec, and the pictures, all on the device."""
    channels, height, width, count = case
    wide = widened(channels).to(device)
    codec = Codec(Hyperprior.of(wide.state_dict()), device, precision)
    return wide, codec, [picture.to(device) for picture in photographs(height, width, count)]


Loop = Callable[[int, int], None]
"""Takes the steps of a range."""


def _plain_steps(loops: Sequence[PlainRefinement]) -> Loop:
    def advance(start: int, stop: int) -> None:
        return_memory()
        for loop in loops:
            for step in range(start, stop):
                loop.step(step)

    return advance


def _engine_steps(optimizations: Sequence[LatentOptimization]) -> Loop:
    def advance(start: int, stop: int) -> None:
        if optimizations[0].codec.device.type == "cpu":
            keep_memory()
        for optimization in optimizations:
            for step in range(start, stop):
                optimization.advance(step)

    return advance


def _take_turns(loops: Sequence[Loop], budget: float, codec: Codec) -> tuple[int, list[tuple[list[float], float]]]:
    """Loops over a range of steps, in turns, on a codec's device and beside the matrix rate in its precision.

    Returns:
        The number of steps that each loop has taken; and for every turn, each loop's seconds per step and the
        rate of matrix products in operations per second.
    """
    device, dtype = codec.device, torch.bfloat16 if codec.precision == "bfloat16" else torch.float32
    for loop in loops:
        loop(0, 1)  # pays the once-only costs
    each = max(1, round(budget / ROUNDS / sum(seconds(partial(loop, 1, 2), device) for loop in loops)))
    starts = range(2, 2 + ROUNDS * each, each)
    turns = [
        ([seconds(partial(loop, start, start + each), device) / each for loop in loops], matrix_rate(device, dtype))
        for start in starts
    ]
    return starts[-1] + each, turns


def _true_loss(codec: Codec, pictures: Sequence[Tensor], latents: Sequence[Latents], lmbda: float) -> float:
    """The mean true loss of pictures of one size; their latents come in batches."""
    together = Latents(torch.cat([part.y for part in latents]), torch.cat([part.z for part in latents]))
    return float(codec.measure(codec.batch(pictures), together).true_loss(lmbda).mean())


def times_to_loss(case: Case, device: torch.device, precision: str, budget: float) -> list[Row]:
    """Rows of :data:`TIME_TO_LOSS`: how long the plain loop takes to SSL's loss, and each method to its own.

    Steps of every method are timed on the widened model, in turns with the plain loop's, and losses are those of
    :data:`MODEL` itself, since both compute the same function.

    Args:
        case: Channels, height and width; one image.
        device: The device of all loops.
        precision: Precision of the engine.
        budget: Seconds to spend on timing steps.
    """
    channels, height, width, _ = case
    wide, codec, pictures = _scene(case, device, precision)
    loops = [_plain_steps([PlainRefinement(wide, picture[None], LMBDA) for picture in pictures])]
    loops += [_engine_steps(optimizations(codec, pictures, method)) for method in _racers()]
    _, turns = _take_turns(loops, budget, codec)
    plain_seconds = RACE[0][1] * median([times[0] for times, _ in turns])
    rows: list[Row] = []
    for k, ((name, steps), loss) in enumerate(zip(RACE, _ends(height, width, device, precision), strict=True), start=1):
        row: Row = {
            "device": name_of(device),
            "n": channels,
            "height": height,
            "width": width,
            "method": name,
            "steps": steps,
            "seconds": round(steps * median([times[k] for times, _ in turns]), 3),
            "plain_seconds": round(plain_seconds, 3),
            "ratio": round(RACE[0][1] / steps * median([times[0] / times[k] for times, _ in turns]), 3),
            "true_loss": loss,
        }
        rows.append(row)
        print(
            f"N = {channels}, {width}x{height}: {steps} steps of {name} take {row['seconds']} s, "
            f"{row['ratio']:.1f} times as fast as the plain loop's {RACE[0][1]}, to true loss {row['true_loss']:.4f}",
            flush=True,
        )
    return rows


def _racers() -> list[Method]:
    entries = methods.read()
    return [Method.from_settings(entries[name] | {"steps": steps}) for name, steps in RACE]


@cache  # minutes, and the same for every N
def _ends(height: int, width: int, device: torch.device, precision: str) -> list[float]:
    """The true loss at which each method of :data:`RACE` ends on a photograph of this size, under :data:`MODEL`."""
    codec, picture = Codec.load(MODEL, device, precision), photographs(height, width, 1)[0]
    refined = [refine(codec, [("0", picture)], method, Plan(LMBDA, method.steps)) for method in _racers()]
    return [float(image.rows[-1]["true_loss"]) for (image,) in refined]


def startup(device: torch.device) -> list[Row]:
    """The time that a fresh process takes to its first step on a small model and image."""
    code = f"""
import time; start = time.perf_counter()
import torch; imported = time.perf_counter()
from sgaplus import records
from sgaplus.codec import bitstream_archive
from sgaplus.data.sources import Package
from sgaplus.refinement import rounding
from sgaplus.codec.frozen import Codec, as_tensor
from sgaplus.refinement.engine import refine
from sgaplus.refinement.latent_optimization import LatentOptimization, SubBatch
from sgaplus.refinement.method import Method, Plan
codec = Codec.load({str(MODEL)!r}, torch.device({device.type!r}), "auto")
picture = as_tensor(Package("skimage.data", ("astronaut.png",)).index()[0].read())
optimization = LatentOptimization(codec, SubBatch([("a", picture)]), Method(rounding.make("ssl")), Plan({LMBDA}, 1))
optimization.step(0, optimization.loss(0))
print(imported - start, time.perf_counter() - imported)
"""
    runs = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(3)]
    imported, own = np.median([[float(value) for value in run.stdout.split()] for run in runs], axis=0)
    print(
        f"start-up: importing torch {imported:.2f} s, from there to the end of the first step {own:.2f} s", flush=True
    )
    return [dict(zip(STARTUP, (device.type, round(float(imported), 3), round(float(own), 3)), strict=True))]


def precisions(
    pictures: Sequence[tuple[str, Tensor]], steps: int, seeds: Sequence[int], device: torch.device
) -> list[Row]:
    """Final true losses of the plain loop and of the engine in each precision, for each model that ships and seed.

    Args:
        pictures: Names and images, (3, h, w) in [0, 1], h and w multiples of 64.
        steps: Steps of each refinement; the temperature falls as far in them as in the paper's.
        seeds: Seeds of the random streams.
        device: The device of all refinements.
    """
    method = replace(SSL, steps=steps)
    rows: list[Row] = []
    for file in sorted(MODELS.glob("*.pth"), key=_lmbda):
        codecs = [Codec(Hyperprior.of(load_state(file)), device, precision) for precision in PRECISIONS]
        for seed in seeds:
            plan = Plan(_lmbda(file), steps, seed=seed)
            refined = [[one.rows[-1]["true_loss"] for one in refine(codec, pictures, method, plan)] for codec in codecs]
            plain = _plain_losses(file, pictures, method, plan, device)
            means = [float(np.mean(losses)) for losses in (plain, *refined)]
            differences = [mean / means[0] - 1 for mean in means[1:]]
            values: list[str | int | float] = [device.type, plan.lmbda, seed, *means, *differences]
            rows.append(dict(zip(PRECISION, values, strict=True)))
        ends = [np.mean([float(row[f"{name}_difference"]) for row in rows[-len(seeds) :]]) for name in PRECISIONS]
        print(
            f"lambda {plan.lmbda:g}: from the plain loop, float32 ends {ends[0]:+.4%} and bfloat16 {ends[1]:+.4%}, "
            f"over {len(pictures)} images and {len(seeds)} seeds",
            flush=True,
        )
    return rows


def _plain_losses(
    file: Path, pictures: Sequence[tuple[str, Tensor]], method: Method, plan: Plan, device: torch.device
) -> list[float]:
    """The plain loop's final true losses, in float32."""
    model = MeanScaleHyperprior.from_state_dict(load_state(file)).eval().to(device)
    torch.manual_seed(plan.seed)
    losses = []
    for _, picture in pictures:
        loop = PlainRefinement(model, picture[None].to(device), plan.lmbda, method.temperature.rate)
        for step in range(plan.steps):
            loop.step(step)
        losses.append(loop.step(plan.steps)[1])
    return losses


def _lmbda(file: Path) -> float:
    return float(file.stem.rpartition("lmbda")[2])
