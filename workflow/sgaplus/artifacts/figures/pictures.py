"""Figure 5: pictures side by side."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sgaplus.artifacts.figures.style import COLUMN
from sgaplus.artifacts.kinds import figure
from sgaplus.artifacts.results import Results


@figure(
    needs=("targets", "image"),
    takes=("crop",),
    bitstreams=True,
    fewest_models=2,
    most_methods=1,
    at_last_step=True,
    paper="Figure 5",
)
def qualitative(results: Results, shown: Mapping[str, np.ndarray]) -> Figure:
    """One image: original, base model of the lowest lambda, and the best that another model reaches at that rate.

    Below each picture is its framed part, enlarged.

    Args:
        results: The experiment's, whose ``crop`` is framed: left, top, width and height in pixels; None for the middle.
        shown: Pictures of one size by caption, uint8 (height, width, 3).
    """
    height, width = next(iter(shown.values())).shape[:2]
    left, top, across, down = results.experiment.crop or (3 * width // 8, 3 * height // 8, width // 4, height // 4)
    ratios = (height / width, down / across)
    figure, axes = plt.subplots(
        2, len(shown), figsize=(2 * COLUMN, 2 * COLUMN / len(shown) * sum(ratios) + 0.5), height_ratios=ratios
    )
    for (caption, picture), (whole, part) in zip(shown.items(), axes.T, strict=True):
        whole.imshow(picture)
        whole.add_patch(Rectangle((left - 0.5, top - 0.5), across, down, fill=False, color="#D55E00", linewidth=1))
        whole.set_title(caption, fontsize=7)
        part.imshow(picture[top : top + down, left : left + across])
        for axis in (whole, part):
            axis.set_axis_off()
    return figure
