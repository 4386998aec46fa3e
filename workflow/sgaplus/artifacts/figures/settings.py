"""True loss over two swept parameters."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from sgaplus.analysis.selection import at_step, by_image, with_swept
from sgaplus.artifacts.figures.style import SYMBOLS, Style, heading, panel_title, panels_of
from sgaplus.artifacts.kinds import figure
from sgaplus.artifacts.results import Results
from sgaplus.artifacts.values import texts

FRAME = "#D55E00"

WIDE = 6
"""Columns up to which numbers of the usual size fit into the cells."""


@figure(needs=("sweep",), swept=2, at_last_step=True, paper="Section 4.3")
def grid(results: Results) -> Figure:
    """True loss over two swept parameters, a panel per method.

    It is measured after the largest step count; the darker a cell, the lower. The best setting has a
    solid frame, the method's configured one, where it is on the grid, a dotted one. Losses far above
    the best share the lightest colour.
    """
    experiment, methods, sweep = results.experiment, results.methods, results.experiment.sweep
    rows = at_step(with_swept(results.records, sweep), experiment.last_step)
    across, down = sweep
    means = {
        method: by_image(rows[rows["method"] == method], [down, across], "true_loss").mean().unstack(across)
        for method in experiment.methods
    }
    values = np.concatenate([mean.to_numpy().ravel() for mean in means.values()])
    limits: Style = {
        "vmin": values.min(),
        "vmax": min(values.max(), values.min() + 4 * np.median(values - values.min())),
    }
    size = 0.4 * len(sweep[down]) + 1.0
    # a row of three if their cells have room for numbers: two rows would leave a quarter empty
    columns = 3 if len(means) == 3 and len(sweep[across]) <= WIDE else min(len(means), 2)
    figure, axes = panels_of(len(means), columns=columns, height=size)
    for axis, (method, mean), letter in zip(axes, means.items(), ascii_lowercase, strict=False):
        picture = _heat_map(axis, mean, limits)
        own = methods[method].get("parameters", {}) | methods[method]
        _frame(axis, mean, _lowest(mean), 0.92, linestyle="-")
        _frame(axis, mean, (own.get(down), own.get(across)), 0.76, linestyle=":")
        axis.set(xlabel=SYMBOLS.get(across, across), ylabel=SYMBOLS.get(down, down))
        panel_title(axis, letter, methods[method]["label"])
    extend = "max" if values.max() > limits["vmax"] else "neither"
    figure.colorbar(picture, ax=list(axes), label="True R-D loss", extend=extend)
    heading(figure, results, f"{experiment.last_step} steps")
    frames = [Line2D([], [], color=FRAME, linestyle=style, linewidth=1.8) for style in ("-", ":")]
    figure.legend(frames, ["Best", "As configured"], loc="outside lower center", ncols=2)
    return figure


def _heat_map(axis: Axes, mean: pd.DataFrame, limits: Style) -> Any:
    """Cells of equal size whatever their values, with the loss written in them."""
    picture = axis.imshow(mean.to_numpy(), cmap="cividis", aspect="auto", origin="lower", **limits)
    axis.set_xticks(range(mean.shape[1]), list(texts(map(float, mean.columns)).values()))
    axis.set_yticks(range(mean.shape[0]), list(texts(map(float, mean.index)).values()))
    for (row, column), value in np.ndenumerate(mean.to_numpy()):
        light = (value - limits["vmin"]) > 0.5 * (limits["vmax"] - limits["vmin"])
        style: Style = {"fontsize": 6 if mean.shape[1] <= WIDE else 5, "color": "black" if light else "white"}
        axis.text(column, row, f"{value:.4f}", ha="center", va="center", **style)
    return picture


def _lowest(mean: pd.DataFrame) -> tuple[Any, Any]:
    """Row and column of the lowest value, by name."""
    row, column = np.unravel_index(np.nanargmin(mean.to_numpy()), mean.shape)
    return list(mean.index)[row], list(mean.columns)[column]


def _frame(axis: Axes, mean: pd.DataFrame, setting: tuple[Any, Any], size: float, linestyle: str) -> None:
    """A frame around a setting's cell, if it is on the grid."""
    down, across = setting
    if down in mean.index and across in mean.columns:
        corner = list(mean.columns).index(across) - size / 2, list(mean.index).index(down) - size / 2
        axis.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=FRAME, linewidth=1.8, linestyle=linestyle))
