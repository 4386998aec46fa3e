"""Rate-distortion curves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgaplus.analysis import published
from sgaplus.analysis.intervals import interval
from sgaplus.analysis.rd_curves import POINT, RATE, base_curve, bits_saved, curve_after, estimates, kept, points
from sgaplus.analysis.selection import at_step, base_model, changes, measured, with_rate
from sgaplus.artifacts.figures.style import (
    BAR,
    COLUMN,
    MARKERS,
    Style,
    aside,
    heading,
    legend_below,
    panel_title,
    panels_of,
    rate_label,
    sequential,
)
from sgaplus.artifacts.kinds import figure
from sgaplus.artifacts.results import Results, anchors_of

BASE: Style = {"label": "Base model", "color": "black", "marker": "*"}

STAR: Style = {"markersize": 7, "markeredgecolor": "white", "markeredgewidth": 0.5}
"""The marker of a base model, which is seen also over others."""

PUBLISHED: Style = {"linewidth": 0.8, "zorder": 1}

THEIRS: Mapping[str, Style] = {
    published.BASE: {"color": "0.25", "linestyle": "--"},
    published.SGA: {"color": "0.25", "linestyle": "-"},
}
"""Lines of published curves; the others are light grey in these styles."""

MEASURED = ("#882255", "#44AA99", "#999933", "#332288", "#CC6677")
"""Colours of classical codecs, which are measured here: of Paul Tol's muted palette, beside the methods' own."""

STYLES = (":", "-.", (0, (5, 1)), (0, (1, 3)), (0, (6, 1, 1, 1, 1, 1)))

OWN: Style = {"markersize": 5.5, "markeredgecolor": "black", "markeredgewidth": 0.9}
"""The point of a model that is refined toward the lambda that it was trained with."""


@figure(takes=("anchors", "bitrate", "quality"), intervals="Bars", paper="Figures 3, 7, 8")
def rate_distortion(results: Results) -> Figure:
    """PSNR, or another quality, against rate, and of two models or more the bits saved; panels per step count.

    A method has a point per model and target. The curves of ``anchors``, or all that is published for
    a data set of the same name, lie behind ours; the axes keep to our range. Bits are saved against the
    base models' curve, image by image, which shows differences that are small beside the range of PSNR.
    """
    column, name = results.quality
    counts = sorted(results.experiment.steps)
    base = base_curve(results.of_quality, results.experiment.bitrate, column)
    compared = len(base) > 1
    figure, upper, lower = _panels(len(counts), compared)
    letters, seen = iter(ascii_lowercase), []
    for axis, steps in zip(upper, counts, strict=True):
        seen.append(_quality(axis, results, base.mean(axis=1), steps))
        panel_title(axis, next(letters), f"{steps} steps")
    for axis, steps in zip(lower, counts if compared else (), strict=True):
        _difference(axis, results, base, steps)
        panel_title(axis, next(letters), f"{steps} steps, difference from the base model")
    _keep_to(upper, np.concatenate(seen))
    upper[0].set_ylabel(f"{name} (dB)")
    if compared:
        lower[0].set_ylabel(f"Bits saved at equal {name} (%)")
    heading(figure, results)
    legend_below(figure, upper[0])
    return figure


def _panels(count: int, compared: bool) -> tuple[Figure, list[Axes], list[Axes]]:
    """A figure with a panel per step count and, where methods are compared, another of each, below or beside it."""
    rows, columns = (1, count) if not compared else (2, count) if count > 1 else (1, 2)
    figure = plt.figure(figsize=(columns * COLUMN, rows * 2.7 + 0.6), layout="constrained")
    grid = figure.add_gridspec(rows, columns)
    upper: list[Axes] = []
    lower: list[Axes] = []
    for place in range(rows * columns):
        alike = upper if place < count else lower
        first = alike[0] if alike else None
        alike.append(figure.add_subplot(grid[divmod(place, columns)], sharex=first, sharey=first))
        alike[-1].tick_params(labelleft=first is None)
    return figure, upper, lower


def _of_steps(results: Results, steps: int) -> list[str]:
    """The methods that have results after so many steps."""
    return [method for method, count in measured(results.of_quality, results.experiment) if count == steps]


def _quality(axis: Axes, results: Results, base: np.ndarray, steps: int) -> np.ndarray:
    """Quality of the base models and of each method over the rate; returns their points."""
    records, bitrate, (column, _) = results.of_quality, results.experiment.bitrate, results.quality
    seen = [_line(axis, base, BASE, linestyle="--", zorder=4, **STAR)]
    for method in _of_steps(results, steps):
        rows = with_rate(at_step(records[records["method"] == method], steps), bitrate)
        seen.append(_line(axis, points(rows, quality=column).to_numpy(), results.methods[method]))
        _bars(axis, rows, with_rate(base_model(records), bitrate), column, results.methods[method]["color"])
    _anchors(axis, anchors_of(results))
    axis.set_xlabel(rate_label(bitrate))
    return np.concatenate(seen)


def _difference(axis: Axes, results: Results, base: np.ndarray, steps: int) -> None:
    """Bits that each method saves at equal quality over its rate; side by side by a little, or bars would hide bars."""
    bitrate, methods = results.experiment.bitrate, _of_steps(results, steps)
    axis.axhline(0, color="black", linestyle="--", linewidth=0.8)
    for place, method in enumerate(methods):
        style = results.methods[method]
        test = curve_after(results.of_quality, method, steps, bitrate, results.quality[0])
        bpp = test[..., RATE].mean(axis=1)
        order = bpp.argsort()
        value, low, high = (part[order] for part in estimates(bits_saved, base, test))
        axis.plot(bpp[order], value, color=style["color"], label=style["label"])
        beside: Style = {"color": style["color"], "fmt": style["marker"], "transform": aside(axis, place, len(methods))}
        axis.errorbar(bpp[order], value, [value - low, high - value], zorder=3, **beside, **BAR)
        axis.update_datalim(np.column_stack([np.tile(bpp[order], 2), np.concatenate([low, high])]))
    axis.autoscale_view()
    axis.set_xlabel(rate_label(bitrate))


def _line(axis: Axes, curve: np.ndarray, style: Style, zorder: int = 3, **more: Any) -> np.ndarray:
    """Operating points joined by rate; returns them."""
    curve = curve[curve[:, 0].argsort()]
    axis.plot(*curve.T, color=style["color"], marker=style["marker"], label=style["label"], zorder=zorder, **more)
    return curve


def _bars(axis: Axes, rows: pd.DataFrame, base: pd.DataFrame, quality: str, color: str) -> None:
    """Thin error bars in rate and quality at each operating point."""
    change = changes(rows, base, ["bpp", quality])
    for key, own in rows.groupby(list(POINT)):
        moved = change.set_index(list(POINT)).loc[[key]].groupby("image")[["bpp", quality]].mean().to_numpy()
        x, y = own.groupby("image")[["bpp", quality]].mean().mean()
        (down, left), (up, right) = ((end - moved.mean(axis=0))[::-1] for end in interval(moved))
        bars: Style = {"xerr": [[-left], [right]], "yerr": [[-down], [up]]}
        axis.errorbar(x, y, **bars, color=color, fmt="none", zorder=2, elinewidth=0.7)


def _anchors(axis: Axes, curves: Mapping[str, np.ndarray]) -> None:
    others, colors = itertools.cycle(STYLES), itertools.cycle(MEASURED)
    for name, curve in curves.items():
        if curve.ndim == 3:  # a classical codec, measured image by image
            axis.plot(*curve.mean(axis=1).T, label=name, color=next(colors), **PUBLISHED)
        else:
            style = THEIRS.get(name) or {"color": "0.6", "linestyle": next(others)}
            axis.plot(*curve.T, label=name, **style, **PUBLISHED)


def _keep_to(axes: Sequence[Axes], curve: np.ndarray) -> None:
    """Limit axes to these points, with a margin."""
    low, high = curve.min(axis=0), curve.max(axis=0)
    margin = 0.05 * np.maximum(high - low, 1e-6)
    for axis in axes:
        axis.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))


@figure(
    needs=("targets",),
    takes=("prune", "bitrate"),
    fewest_models=2,
    most_methods=1,
    at_last_step=True,
    paper="Figures 4, 9",
)
def multi_rate(results: Results) -> Figure:
    """Each model refined toward every target, beside the base models' curve.

    Points more than ``prune`` dB below the base curve at their rate are left out; null keeps all
    (Figure 9). A model has a colour; its own lambda has a larger point with a black edge.
    """
    experiment, bitrate = results.experiment, results.experiment.bitrate
    base = base_curve(results.records, bitrate).mean(axis=1)
    rows = with_rate(at_step(results.records, experiment.last_step), bitrate)
    figure, (axis,) = panels_of(1, columns=1, height=3.6)
    _multi_rate(axis, points(rows), base, experiment.prune)
    label = results.labels[experiment.methods[0]]
    axis.set(xlabel=rate_label(bitrate), ylabel="PSNR (dB)")
    heading(figure, results, f"{label}, {experiment.last_step} steps")
    legend_below(figure, axis, "λ of the model; along a line the target grows with the rate")
    return figure


def _multi_rate(axis: Axes, operating: pd.DataFrame, base: np.ndarray, prune: float | None) -> None:
    operating = operating[kept(operating.to_numpy(), base, prune)].reset_index()
    axis.plot(*base.T, color="black", linestyle="--", marker="*", label="Base models", zorder=5, **STAR)
    lmbdas = sorted(operating["model_lmbda"].unique())
    for lmbda, color, marker in zip(lmbdas, sequential(len(lmbdas)), itertools.cycle(MARKERS[:-1]), strict=False):
        rows = operating[operating["model_lmbda"] == lmbda].sort_values("target_lmbda")
        look: Style = {"color": color, "marker": marker}
        axis.plot(rows["bpp"], rows["psnr"], **look, markersize=3, label=f"λ = {lmbda:g}", zorder=3)
        own = rows[rows["target_lmbda"] == lmbda]
        axis.plot(own["bpp"], own["psnr"], **look, **OWN, linestyle="none", zorder=4)
    axis.plot([], [], color="white", marker="o", **OWN, linestyle="none", label="Target = λ of the model")
