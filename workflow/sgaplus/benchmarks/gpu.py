"""Ten minutes on a GPU say what the paper costs there: ``make bench-gpu``.

It measures steps of refinement and of training at the paper's sizes, the share of the GPU's matrix rate that they
reach, and the decoding that feeds a training. ``config.hours`` reads the file of results.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from sgaplus.benchmarks.refinement import matrix_rate, optimizations, photographs, synthesis_operations, widened
from sgaplus.benchmarks.training import decoding, rate
from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.config import hours, references
from sgaplus.config.hours import Speed
from sgaplus.config.methods import CONFIG
from sgaplus.data import manifest
from sgaplus.data.datasets import sources
from sgaplus.devices import name_of, resolve
from sgaplus.errors import DeviceError
from sgaplus.files import replacing, write_json
from sgaplus.refinement.step_graph import CAPTURE, StepGraph
from sgaplus.training.initialisation import fresh_model
from sgaplus.training.recipe import Recipe
from sgaplus.training.trainer import Trainer

SIZES = ((512, 768), (256, 256))
"""Heights and widths of refined images: Kodak's, and those of the centres that settings are searched on."""

Row = dict[str, Any]


def rates(device: torch.device) -> dict[str, float]:
    """The device's rates of matrix products in TFLOP/s, by precision: ``tf32`` on a GPU only."""
    found = {name: matrix_rate(device, getattr(torch, name)) / 1e12 for name in ("float32", "bfloat16")}
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        found["tf32"] = matrix_rate(device, torch.float32) / 1e12
        torch.backends.cuda.matmul.allow_tf32 = False
    return found


def refinement(n: int, height: int, width: int, images: int, every: int, device: torch.device, seconds: float) -> Row:
    """The speed of refinement by SSL.

    Args:
        n: Channels N, and M as in ``refinement.widened``.
        height, width: Size of the images in pixels.
        images: Images that are refined together; on a CPU one after another.
        every: Steps between measurements, which count.
        device: The device.
        seconds: Time to spend.
    """
    model = widened(n)
    codec = Codec(Hyperprior.of(model.state_dict()), device, "auto")
    running = optimizations(codec, photographs(height, width, images))

    def speed_of(ways: Sequence[Callable[[int], Tensor]], seconds: float) -> float:
        def step(number: int, _: object) -> None:
            for one, advance in zip(running, ways, strict=True):
                if number % every == 0:
                    loss = one.loss(number)
                    one.measure()
                    one.step(number, loss)
                else:
                    advance(number)

        return rate(step, torch.empty(0), seconds)

    speed = speed_of([one.advance for one in running], seconds)
    capture = CAPTURE.get(device.type)
    with_graphs = speed_of([StepGraph(one, capture) for one in running], seconds / 2) if capture else None
    operations = speed * images * synthesis_operations(model.N, model.M, height * width)
    return {
        **{"n": n, "height": height, "width": width, "images": images, "precision": codec.precision},
        **{"steps_per_second": speed, "operations_per_second": operations},
        "steps_per_second_with_graphs": with_graphs,
    }


def training(recipe: Recipe, device: torch.device, seconds: float) -> Row:
    """The speed of a training, on crops that are decoded already.

    A step's operations are those of the analysis and the synthesis transform, forward, backward, and backward to the
    weights: three times the synthesis transform's alone in a refinement.
    """
    crops = torch.randint(0, 256, (recipe.batch_size, 3, recipe.crop, recipe.crop), dtype=torch.uint8)
    trainer = Trainer(recipe, fresh_model(recipe), device)
    speed = rate(trainer.step, crops, seconds)
    operations = speed * 3 * synthesis_operations(recipe.N, recipe.M, recipe.batch_size * recipe.crop**2)
    return {
        **{"n": recipe.N, "height": recipe.crop, "width": recipe.crop, "images": recipe.batch_size},
        **{"precision": trainer.precision, "steps_per_second": speed, "operations_per_second": operations},
    }


def measured(
    config: Mapping[str, Any],
    device: torch.device,
    seconds: float,
    widths: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    images: int,
) -> dict[str, Any]:
    """All measurements, and the hours of a configuration.

    Args:
        config: A checked configuration, whose trainings say batch, crop and precision.
        device: The device.
        seconds: Time of each measurement.
        widths: Channels N = M; none for those of the configuration's models.
        sizes: Heights and widths of refined images.
        images: Images that are refined together.
    """
    entries = [entry for entry in config["models"].values() if "N" in entry]
    widths = widths or sorted({entry["N"] for entry in entries})
    recipe = Recipe.of(entries[0], config["training"])
    every = config["refinement"]["record_every"]
    parts = {
        "refinement": [refinement(n, *size, images, every, device, seconds) for n in widths for size in sizes],
        "training": [training(_widened(recipe, n), device, seconds) for n in widths],
    }
    limits = rates(device)
    for row in (row for rows in parts.values() for row in rows):
        row["limit_share"] = row["operations_per_second"] / limits[row["precision"]] / 1e12
    speeds = {part: [_speed(row) for row in rows] for part, rows in parts.items()}
    work, unknown = hours.refinements(config, sources(config["datasets"], manifest.read()))
    return {
        "device": name_of(device),
        "run": config["run"],
        "matrix_tflops": limits,
        **parts,
        "crops_per_second_and_process": decoding(recipe.batch_size, recipe.crop, seconds) * recipe.batch_size,
        "speeds": {part: [asdict(speed) for speed in each] for part, each in speeds.items()},
        "hours": {
            "training": hours.of(hours.trainings(config), speeds["training"]),
            "refinement": hours.of(work, speeds["refinement"]),
            "without": unknown,
        },
    }


def _widened(recipe: Recipe, n: int) -> Recipe:
    """A recipe at other widths."""
    return Recipe(**(asdict(recipe) | {"N": n, "M": n, "steps": 10**9}))


def _speed(row: Row) -> Speed:
    pixels = row["height"] * row["width"]
    return Speed(row["n"], pixels, row["steps_per_second"] * row["images"] * pixels)


def table(results: Mapping[str, Any]) -> str:
    """The results as the README's table, in Markdown."""
    rows = [
        f"| {part} | {row['n']} | {row['images']} of {row['width']} x {row['height']} | {row['precision']} | "
        f"{row['steps_per_second']:.3g} | {_with_graphs(row)} | {row['limit_share']:.0%} |"
        for part in ("training", "refinement")
        for row in results[part]
    ]
    limits = ", ".join(f"{name} {rate:.3g}" for name, rate in results["matrix_tflops"].items())
    spent = results["hours"]
    without = f", without {', '.join(spent['without'])}" if spent["without"] else ""
    return "\n".join(
        [
            f"{results['device']}; matrix products in TFLOP/s: {limits}.",
            "",
            "| | N = M | images | precision | steps/s | with CUDA graphs | share of the matrix rate |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"Run `{results['run']}`: {spent['training']:.1f} hours of training and {spent['refinement']:.1f} hours of "
            f"refinement{without}. One process decodes {results['crops_per_second_and_process']:.0f} crops a second.",
            "",
        ]
    )


def _with_graphs(row: Row) -> str:
    speed = row.get("steps_per_second_with_graphs")
    return f"{speed:.3g}" if speed else ""


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write gpu.json and gpu.md to results/bench."""
    parser = argparse.ArgumentParser(description="Measure what the paper costs on a GPU, in ten minutes.")
    parser.add_argument(
        "--device", default="cuda", choices=["auto", "cpu", "cuda"], help="auto: nothing is measured without a GPU"
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="time of each measurement (default: %(default)s)")
    parser.add_argument(
        "--widths", type=int, nargs="+", default=(), help="N = M (default: those of the paper's models)"
    )
    parser.add_argument("--images", type=int, default=8, help="images refined together (default: %(default)s)")
    parser.add_argument("--config", type=Path, default=CONFIG, help="whose hours are told (default: the paper's)")
    parser.add_argument("--output", type=Path, default=hours.MEASURED, help="file (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.device == "auto" and not torch.cuda.is_available():
        print("No GPU here: what the paper costs on one is not measured.")
        return
    try:
        device = resolve(options.device)
    except DeviceError as error:
        parser.error(f"--device {options.device}: {error}")
    config = references.validated(yaml.safe_load(options.config.read_text()))
    results = measured(config, device, options.seconds, options.widths, SIZES, options.images)
    write_json(results, options.output)
    with replacing(options.output.with_suffix(".md")) as temporary:
        temporary.write_text(table(results))
    print(table(results))
    print(f"Written to {options.output}, from which snakemake -n tells the hours.")


if __name__ == "__main__":
    main()
