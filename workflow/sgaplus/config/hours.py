"""The hours that a configuration takes on one GPU: its work, over the speeds that ``make bench-gpu`` has measured.

Nothing here imports torch or pandas, because Snakemake's plan prints the hours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sgaplus.config import plan
from sgaplus.config.layout import Layout
from sgaplus.data.datasets import Sources, count
from sgaplus.data.index import read_index
from sgaplus.data.manifest import Row
from sgaplus.data.sources import Published
from sgaplus.errors import SgaplusError
from sgaplus.training.recipe import Recipe

MEASURED = Path("results/bench/gpu.json")
"""The file of the speeds, where ``make bench-gpu`` writes it."""

PNG_BYTES = 1.5
"""Bytes of a photograph's PNG file per pixel, which tell the size of published images before they are there: Kodak's
have 1.6, CLIC's about 1.3."""

USUAL_WIDTH = 192
"""N of a model that is not trained here, which its entry does not say: most of the paper's have it."""


@dataclass(frozen=True)
class Speed:
    """A measured speed.

    Attributes:
        n: Channels N = M of the model.
        pixels: Pixels of an image or a crop.
        pixels_per_second: Pixels of all images or crops of all steps.
    """

    n: int
    pixels: int
    pixels_per_second: float


Work = tuple[int, int, float]
"""Channels N, pixels of an image or a crop, and the pixels of all images or crops of all steps."""


def of(work: Sequence[Work], speeds: Sequence[Speed]) -> float:
    """The hours of some work.

    Each piece takes the speed that was measured at the nearest width and then at the nearest size, in proportion to the
    square of the width.
    """
    return sum(_seconds(piece, speeds) for piece in work) / 3600


def _seconds(piece: Work, speeds: Sequence[Speed]) -> float:
    n, pixels, total = piece
    nearest = min(speeds, key=lambda speed: (_times(speed.n, n), _times(speed.pixels, pixels)))
    return total / nearest.pixels_per_second * (n / nearest.n) ** 2


def _times(one: float, other: float) -> float:
    """The ratio of two numbers, the larger over the smaller."""
    return max(one / other, other / one)


def trainings(config: Mapping[str, Any]) -> list[Work]:
    """The work of all trainings that refinements need."""
    needed = {refinement.model for refinement in plan.refinements(config).values()}
    entries = [entry for name, entry in config["models"].items() if name in needed and plan.trained_here(entry)]
    recipes = [Recipe.of(entry, config["training"]) for entry in entries]
    return [(one.N, one.crop**2, float(one.steps * one.batch_size * one.crop**2)) for one in recipes]


def refinements(config: Mapping[str, Any], sources: Sources) -> tuple[list[Work], list[str]]:
    """The work of all refinements, and the data sets without those whose sizes are not known."""
    layout = Layout(config["run"], config.get("records"))
    sizes: dict[str, list[int]] = {}
    work = []
    for refinement in plan.refinements(config).values():
        name = refinement.dataset
        if name not in sizes:
            sizes[name] = list(_pixels(name, sources, Path(layout.index(name))))
        n = config["models"][refinement.model].get("N", USUAL_WIDTH)
        work += [(n, pixels, float(pixels * refinement.steps)) for pixels in sizes[name]]
    return work, [name for name, pixels in sizes.items() if not pixels]


def _pixels(name: str, sources: Sources, index: Path) -> Iterator[int]:
    """The pixels of each image of a data set, as its index says or, before there is one, as is published."""
    source = sources[name]
    try:
        if index.is_file():
            yield from (image.width * image.height for image in read_index(index))
        elif source.crop:
            yield from [source.crop[0] * source.crop[1]] * count(sources, name)
        elif isinstance(source, Published):
            known = (_size_of(row) for row in source.rows for _ in range(row.images or 0))
            yield from islice(known, count(sources, name))
    except SgaplusError:
        return


def _size_of(row: Row) -> int:
    """Pixels of an image of a published file."""
    if row.size:
        return row.size[0] * row.size[1]
    return round((row.bytes or 0) / (row.images or 1) / PNG_BYTES)


def notes(config: Mapping[str, Any], sources: Sources, measured: Path = MEASURED) -> Iterator[str]:
    """A note for the user with the hours, where speeds have been measured."""
    if not measured.is_file() or "records" in config:  # of another run; nothing is refined then
        return
    try:
        content = json.loads(measured.read_text())
        speeds = {part: [Speed(**one) for one in content["speeds"][part]] for part in ("training", "refinement")}
        work, unknown = refinements(config, sources)
        hours = {"training": of(trainings(config), speeds["training"]), "refinement": of(work, speeds["refinement"])}
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        yield f"{measured}: not what make bench-gpu writes ({reason}). Delete it, or measure again."
        return
    without = f", without {', '.join(unknown)}, whose sizes are not known yet" if unknown else ""
    yield (
        f"On one {content['device']}, as {measured} says: {hours['training']:.1f} hours of training and "
        f"{hours['refinement']:.1f} hours of refinement for the whole configuration{without}."
    )
