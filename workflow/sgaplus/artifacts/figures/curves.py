"""Rate-distortion curves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from string import ascii_lowercase
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgaplus.analysis import published
from sgaplus.analysis.intervals import interval
from sgaplus.analysis.rd_curves import POINT, base_curve, kept, points
from sgaplus.analysis.selection import at_step, base_model, changes, measured, with_rate
from sgaplus.artifacts.figures.style import BAR, Style, legend_below, panels_of, rate_label, sequential
from sgaplus.artifacts.kinds import figure
from sgaplus.artifacts.results import Results

BASE: Style = {"label": "Base model", "color": "black", "marker": "*"}

PUBLISHED: Style = {"linewidth": 0.8, "zorder": 1}

THEIRS: Mapping[str, Style] = {
    published.BASE: {"color": "0.25", "linestyle": "--"},
    published.SGA: {"color": "0.25", "linestyle": "-"},
}
"""Lines of published curves; the others are light grey in these styles."""

STYLES = (":", "-.", (0, (5, 1)), (0, (1, 3)), (0, (6, 1, 1, 1, 1, 1)))

OWN: Style = {"marker": "o", "markersize": 5.5, "markeredgecolor": "black", "markeredgewidth": 0.9}
"""The point of a model that is refined toward the lambda that it was trained with."""


@figure(takes=("bitrate",), intervals="Bars", paper="Figures 3, 7, 8")
def rate_distortion(results: Results) -> Figure:
    """PSNR against rate, a panel per step count.

    A method has a point per model and target. Published curves of a data set of the same name lie
    behind ours; the axes keep to our range.
    """
    records, experiment, bitrate = results.records, results.experiment, results.experiment.bitrate
    panels = sorted(experiment.steps)
    figure, axes = panels_of(len(panels), columns=len(panels), height=3.0, share=True)
    base = base_curve(records, bitrate).mean(axis=1)
    seen, have = [base], measured(records, experiment)
    for axis, steps, letter in zip(axes, panels, ascii_lowercase, strict=False):
        _line(axis, base, BASE, linestyle="--")
        for method in (method for method, count in have if count == steps):
            rows = with_rate(at_step(records[records["method"] == method], steps), bitrate)
            seen.append(_line(axis, points(rows).to_numpy(), results.methods[method]))
            _bars(axis, rows, with_rate(base_model(records), bitrate), results.methods[method]["color"])
        _published_curves(axis, results.published.curves(experiment.dataset))
        title = f"({letter}) {steps} steps" if len(panels) > 1 else f"{steps} steps"
        axis.set(xlabel=rate_label(bitrate), title=title)
    _keep_to(axes[0], np.concatenate(seen))
    axes[0].set_ylabel("PSNR (dB)")
    legend_below(figure, axes[0])
    return figure


def _line(axis: Axes, curve: np.ndarray, style: Style, **more: Any) -> np.ndarray:
    """Operating points joined by rate; returns them."""
    curve = curve[curve[:, 0].argsort()]
    axis.plot(*curve.T, color=style["color"], marker=style["marker"], label=style["label"], zorder=3, **more)
    return curve


def _bars(axis: Axes, rows: pd.DataFrame, base: pd.DataFrame, color: str) -> None:
    """Light error bars in rate and PSNR at each operating point."""
    change = changes(rows, base, ["bpp", "psnr"])
    for key, own in rows.groupby(list(POINT)):
        moved = change.set_index(list(POINT)).loc[[key]].groupby("image")[["bpp", "psnr"]].mean().to_numpy()
        x, y = own.groupby("image")[["bpp", "psnr"]].mean().mean()
        (down, left), (up, right) = ((end - moved.mean(axis=0))[::-1] for end in interval(moved))
        bars: Style = {"xerr": [[-left], [right]], "yerr": [[-down], [up]]}
        axis.errorbar(x, y, **bars, color=color, fmt="none", zorder=2, **BAR)


def _published_curves(axis: Axes, curves: Mapping[str, np.ndarray]) -> None:
    others = itertools.cycle(STYLES)
    for name, curve in curves.items():
        style = THEIRS.get(name) or {"color": "0.6", "linestyle": next(others)}
        axis.plot(*curve.T, label=name, **style, **PUBLISHED)


def _keep_to(axis: Axes, curve: np.ndarray) -> None:
    """Limit the axes, and those that share them, to these points, with a margin."""
    low, high = curve.min(axis=0), curve.max(axis=0)
    margin = 0.05 * np.maximum(high - low, 1e-6)
    axis.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axis.set_ylim(low[1] - margin[1], high[1] + margin[1])


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
    axis.set(xlabel=rate_label(bitrate), ylabel="PSNR (dB)", title=f"{label}, {experiment.last_step} steps")
    legend_below(figure, axis)
    return figure


def _multi_rate(axis: Axes, operating: pd.DataFrame, base: np.ndarray, prune: float | None) -> None:
    operating = operating[kept(operating.to_numpy(), base, prune)].reset_index()
    axis.plot(*base.T, color="black", linestyle="--", marker="*", markersize=5, label="Base models", zorder=2)
    lmbdas = sorted(operating["model_lmbda"].unique())
    for lmbda, color in zip(lmbdas, sequential(len(lmbdas)), strict=True):
        rows = operating[operating["model_lmbda"] == lmbda].sort_values("target_lmbda")
        axis.plot(rows["bpp"], rows["psnr"], color=color, marker="o", markersize=3, label=f"λ = {lmbda:g}", zorder=3)
        own = rows[rows["target_lmbda"] == lmbda]
        axis.plot(own["bpp"], own["psnr"], color=color, **OWN, linestyle="none", zorder=4)
    axis.plot([], [], color="white", **OWN, linestyle="none", label="target = own λ")
