"""Speed, always as a ratio within one run: ``python -m sgaplus.benchmarks``.

The plain loop is written as a user of CompressAI would write it after its example script.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from sgaplus.benchmarks.refinement import (
    PRECISION,
    REFINEMENT,
    STARTUP,
    TIME_TO_LOSS,
    compare,
    photographs,
    precisions,
    startup,
    times_to_loss,
)
from sgaplus.codec.frozen import as_tensor
from sgaplus.data.sources import Folder, Package
from sgaplus.devices import name_of, resolve
from sgaplus.errors import DeviceError
from sgaplus.files import write_csv
from sgaplus.metrics import PEAK
from sgaplus.training.crops import Crops
from sgaplus.training.initialisation import fresh_model
from sgaplus.training.recipe import Recipe
from sgaplus.training.trainer import Trainer

TRAINING = ("device", "n", "batch", "crop", "loop", "steps_per_second", "ratio", "batches_per_second")
"""Columns of the training benchmark. ``ratio`` is to the plain loop; ``batches_per_second`` is how many batches one
process decodes from JPEG files."""

JPEG = (500, 375)
"""Width and height of the JPEG files whose decoding is measured, in pixels."""

Step = Callable[[int, Tensor], object]


def plain_training(recipe: Recipe, device: torch.device) -> Step:
    """A step of the plain loop: float32, channels first, two optimisers, losses read after each step."""
    model = fresh_model(recipe).to(device).train()
    weights = [weight for name, weight in model.named_parameters() if not name.endswith("quantiles")]
    optimizer = torch.optim.Adam(weights, lr=recipe.lr)
    aux_optimizer = torch.optim.Adam([model.entropy_bottleneck.quantiles], lr=recipe.aux_lr)

    def step(_number: int, crops: Tensor) -> float:
        x = crops.to(device).float() / PEAK
        optimizer.zero_grad()
        aux_optimizer.zero_grad()
        out = model(x)
        pixels = x.shape[0] * x.shape[2] * x.shape[3]
        bpp = sum(-torch.log2(likelihoods).sum() / pixels for likelihoods in out["likelihoods"].values())
        loss = bpp + recipe.lmbda * PEAK**2 * nn.functional.mse_loss(out["x_hat"], x)
        loss.backward()
        torch.nn.utils.clip_grad_value_(weights, 1.0)
        optimizer.step()
        aux_loss = model.aux_loss()
        aux_loss.backward()
        aux_optimizer.step()
        return loss.item() + aux_loss.item()

    return step


def our_training(recipe: Recipe, device: torch.device) -> Step:
    """A step of this library's trainer."""
    return Trainer(recipe, fresh_model(recipe), device).step


def rate(step: Step, crops: Tensor, seconds: float) -> float:
    """Steps per second, the median of five rounds after a warm-up."""
    for number in range(3):
        step(number, crops)
    rounds = []
    for _ in range(5):
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / 5 or count == 0:
            step(count, crops)
            count += 1
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        rounds.append(count / (time.perf_counter() - start))
    return float(np.median(rounds))


def decoding(batch: int, crop: int, seconds: float) -> float:
    """Batches per second that one process decodes from JPEG files as ImageNet's: 500 x 375 pixels, quality 90."""
    with tempfile.TemporaryDirectory() as folder:
        source = Package("skimage.data", ("astronaut.png",)).index()[0].read()
        for number in range(8):
            picture = Image.fromarray(np.roll(source, 64 * number, axis=1)).resize(JPEG, Image.Resampling.LANCZOS)
            picture.save(Path(folder, f"{number}.jpg"), quality=90)
        crops = Crops(Folder(folder).index(), crop, batch, seed=0)
        return rate(lambda number, _: crops[number], torch.empty(0), seconds)


def training(
    widths: list[int], batch: int, crop: int, device: torch.device, seconds: float
) -> list[dict[str, str | int | float]]:
    """Rows of :data:`TRAINING`: the plain loop and this library's trainer for each width."""
    crops = torch.randint(0, 256, (batch, 3, crop, crop), dtype=torch.uint8)
    decoded = decoding(batch, crop, seconds)
    name = name_of(device)
    rows: list[dict[str, str | int | float]] = []
    for width in widths:
        recipe = Recipe(0.01, width, width, steps=10**9, batch_size=batch, crop=crop)
        plain = rate(plain_training(recipe, device), crops, seconds)
        ours = rate(our_training(recipe, device), crops, seconds)
        for loop, speed in (("plain", plain), ("ours", ours)):
            values = (name, width, batch, crop, loop, round(speed, 4), round(speed / plain, 3), round(decoded, 3))
            rows.append(dict(zip(TRAINING, values, strict=True)))
            print(
                f"N = M = {width}, {batch} crops of {crop}: {loop:>5} {speed:8.3f} steps/s, ratio {speed / plain:.2f}; "
                f"one process decodes {decoded:.2f} batches/s",
                flush=True,
            )
    return rows


def refinement(options: argparse.Namespace, device: torch.device) -> None:
    """Measure refinement and its start-up, and write refinement.csv and startup.csv."""
    cases = [(width, 256, 256, 1) for width in options.refined]
    cases += [(192, 512, 768, 1), (192, 256, 256, options.images)] if 192 in options.refined else []
    rows = [row for case in cases for row in compare(case, device, options.precision, options.seconds)]
    write_csv(rows, REFINEMENT, options.output / "refinement.csv")
    write_csv(startup(device), STARTUP, options.output / "startup.csv")


def time_to_loss(options: argparse.Namespace, device: torch.device) -> None:
    """Measure the time to the loss of SSL's 2000 steps, and write time_to_loss.csv."""
    cases = [(width, 256, 256, 1) for width in (64, 192) if width in options.refined]
    cases += [(192, 512, 768, 1)] if 192 in options.refined else []
    measured = [times_to_loss(case, device, options.precision, options.seconds) for case in cases]
    write_csv([row for rows in measured for row in rows], TIME_TO_LOSS, options.output / "time_to_loss.csv")


def precision(options: argparse.Namespace, device: torch.device) -> None:
    """Compare the results of the precisions with the plain loop's, and write precision.csv."""
    files = Folder(str(options.photographs), min_side=256).index() if options.photographs else []
    pictures = [(file.name, as_tensor(file.read())[:, :256, :256]) for file in files[: options.images]]
    pictures = pictures or [(str(i), picture) for i, picture in enumerate(photographs(256, 256, options.images))]
    rows = precisions(pictures, options.steps, range(3), device)
    write_csv(rows, PRECISION, options.output / "precision.csv")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write training.csv, refinement.csv and others to results/bench."""
    parser = argparse.ArgumentParser(description="Compare training and refinement with a CompressAI user's loops.")
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        default=["training", "refinement", "time_to_loss"],
        help="training, refinement, time_to_loss (the plain loop's time to the paper's loss over ours), or precision: "
        "whether refinement ends where the plain loop does, half an hour on two cores (default: the first three)",
    )
    parser.add_argument(
        "--widths", type=int, nargs="+", default=[48, 64, 128, 192], help="N = M (default: %(default)s)"
    )
    parser.add_argument("--batch", type=int, default=8, help="crops per step (default: %(default)s; the paper: 32)")
    parser.add_argument("--crop", type=int, default=256, help="side in pixels (default: %(default)s, the paper's)")
    parser.add_argument("--seconds", type=float, default=10.0, help="time of each measurement (default: %(default)s)")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--refined", type=int, nargs="+", default=[64, 128, 192, 256], help="N = M for refinement")
    parser.add_argument("--images", type=int, default=4, help="images of a refined batch (default: %(default)s)")
    parser.add_argument("--precision", default="auto", choices=["auto", "bfloat16", "float32"], help="of the engine")
    parser.add_argument("--photographs", type=Path, help="folder of images whose corners compare the precisions")
    parser.add_argument("--steps", type=int, default=500, help="of each such refinement (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: one per core)")
    parser.add_argument("--output", type=Path, default=Path("results/bench"), help="folder (default: %(default)s)")
    options = parser.parse_args(arguments)
    for part in options.parts:
        if part not in ("training", "refinement", "time_to_loss", "precision"):
            parser.error(f"there is no part {part!r}; parts are training, refinement, time_to_loss and precision")
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        device = resolve(options.device)
    except DeviceError as error:
        parser.error(f"--device {options.device}: {error}")
    if "training" in options.parts:
        rows = training(options.widths, options.batch, options.crop, device, options.seconds)
        write_csv(rows, TRAINING, options.output / "training.csv")
    if "refinement" in options.parts:
        refinement(options, device)
    if "time_to_loss" in options.parts:
        time_to_loss(options, device)
    if "precision" in options.parts:
        precision(options, device)
    print(f"Written to {options.output}")
