"""Figure 5: pictures side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sgaplus.artifacts.figures.style import COLUMN
from sgaplus.artifacts.kinds import figure
from sgaplus.artifacts.results import Results
from sgaplus.errors import ConfigError

CAPTION = 6.5
"""Size of captions in points."""

CAPTION_LINE = 0.12
"""Inches of height."""

GAP = 0.09
"""Inches between pictures."""

FRAMES = ("#D55E00", "#0072B2", "#009E73")
"""Colours of the frames of enlarged parts."""

Box = tuple[int, ...]
"""Left, top, width and height of a part of a picture, in pixels."""


@figure(
    needs=("targets", "image"),
    takes=("enlarge",),
    bitstreams=True,
    fewest_models=2,
    at_last_step=True,
    paper="Figure 5",
)
def qualitative(results: Results, shown: Mapping[str, np.ndarray | None]) -> Figure:
    """One image: original, base model of the lowest lambda, and the best that each method reaches at that rate.

    A method refines it under another model. Below each picture are its framed parts, enlarged.

    Args:
        results: The experiment's, whose ``enlarge`` has the parts; without it the middle is enlarged.
        shown: Pictures of one size by caption, uint8 (height, width, 3); None where the caption stands alone, as no
            refined picture is at that rate. The first is the original.

    Raises:
        ConfigError: a part lies outside the picture.
    """
    height, width = next(picture for picture in shown.values() if picture is not None).shape[:2]
    boxes = _boxes(results, width, height)
    ratios = (height / width, *(down / across for _, _, across, down in boxes))
    lines = max(len(caption.splitlines()) for caption, picture in shown.items() if picture is not None)
    across = 2 * COLUMN / len(shown) - GAP
    size = (2 * COLUMN, across * sum(ratios) + GAP * len(ratios) + lines * CAPTION_LINE + 0.1)
    figure, axes = plt.subplots(len(ratios), len(shown), figsize=size, height_ratios=ratios, squeeze=False)
    for (caption, picture), (whole, *parts) in zip(shown.items(), axes.T, strict=True):
        for axis, ratio in zip((whole, *parts), ratios, strict=True):
            axis.set_axis_off()
            axis.set_box_aspect(ratio)
        if picture is None:
            whole.text(0.5, 0.5, caption, fontsize=CAPTION, ha="center", va="center", in_layout=False)
        else:
            whole.set_title(caption + "\n" * (lines - len(caption.splitlines())), fontsize=CAPTION)
            _draw(picture, boxes, whole, parts)
    theirs = results.published.pictures_of(results.experiment.dataset, results.experiment.image)
    if theirs:
        sources = ", ".join(sorted({row["source"] for row in theirs.values()}))
        figure.supxlabel(f"Published: {sources}", fontsize=CAPTION)
    return figure


def _boxes(results: Results, width: int, height: int) -> Sequence[Box]:
    """The parts that are enlarged, of a picture of this size."""
    boxes = results.experiment.enlarge or ((3 * width // 8, 3 * height // 8, width // 4, height // 4),)
    for left, top, across, down in boxes:
        if left + across > width or top + down > height:
            raise ConfigError(
                f"enlarge: [{left}, {top}, {across}, {down}] lies outside {results.experiment.image}, which has "
                f"{width} x {height} pixels. Name a part of it."
            )
    return boxes


def _draw(picture: np.ndarray, boxes: Sequence[Box], whole: Axes, parts: Sequence[Axes]) -> None:
    """A picture with its parts framed, and the parts below it in frames of the same colours."""
    whole.imshow(picture)
    for (left, top, across, down), axis, color in zip(boxes, parts, cycle(FRAMES), strict=False):
        whole.add_patch(Rectangle((left - 0.5, top - 0.5), across, down, fill=False, color=color, linewidth=1))
        axis.imshow(picture[top : top + down, left : left + across])
        axis.add_patch(Rectangle((-0.5, -0.5), across, down, fill=False, color=color, linewidth=2))
