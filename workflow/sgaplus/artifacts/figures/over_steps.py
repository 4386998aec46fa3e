"""Losses, quality and rate over the steps of a refinement."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_lowercase
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sgaplus.analysis.intervals import interval
from sgaplus.analysis.selection import base_model, by_image, changes, with_swept
from sgaplus.artifacts.figures.style import (
    BAR,
    EDGES,
    MARKERS,
    SYMBOLS,
    ZERO,
    Style,
    aside,
    heading,
    legend_below,
    panel_title,
    panels_of,
    sequential,
)
from sgaplus.artifacts.kinds import figure
from sgaplus.artifacts.results import Results
from sgaplus.artifacts.values import special_case, texts

PANELS = {
    "true_loss": "True R-D loss",
    "difference": "Method loss − true loss",
    "psnr": "PSNR (dB)",
    "bpp": "Rate (bpp)",
    "from_base": "True R-D loss − base model's",
    "from_best": "True R-D loss − that of\n{best}",
}
"""Panels of the loss curves and their axis labels."""

PAIRED = ("from_base", "from_best")
"""Panels of differences image by image, of which the base model, or the line that ends lowest, is the zero."""

BASE: Style = {"color": "black", "linestyle": ":", "linewidth": 0.8}

Lines = Sequence[tuple[pd.DataFrame, Mapping[str, Any]]]
"""Rows and style of each line."""

DASHES = ("-", (0, (4, 1)), "-.", ":")

STATIONS = 6
"""Steps at which a line has a marker and a paired difference an interval."""

FEW = 4
"""Lines up to which each has a band."""

FAR = 4
"""A line is cut off if it departs from zero by this many times as much as half of the lines do."""


@figure(takes=("sweep", "panels", "record_every"), intervals="Bands and bars", paper="Figures 2, 6")
def loss_curves(results: Results) -> Figure:
    """True loss, method loss minus true loss, PSNR and rate over steps, a line per method or value of the sweep.

    Other panels have the true loss minus the base model's, and minus that of the line that ends lowest, image by
    image: there a bar that does not touch zero is a difference. Of more than four lines only these have intervals.
    Lines far from the others are cut off, so that the others can be told apart.
    """
    experiment = results.experiment
    records = results.records[results.records["step"] <= experiment.last_step]
    records = records.assign(difference=records["method_loss"] - records["true_loss"])
    lines = _lines(replace(results, records=records))
    best, steady, last = _best(lines), _steady(records, lines), records["step"].max()
    figure, axes = panels_of(len(experiment.panels), columns=1 if len(experiment.panels) == 1 else 2)
    for axis, column, letter in zip(axes, experiment.panels, ascii_lowercase, strict=False):
        base = None if column in (*PAIRED, "difference") else base_model(records)[column].mean()
        if column in PAIRED:
            drawn = [_difference(axis, column, lines, place, best) for place in range(len(lines))]
        else:
            drawn = [_over_steps(axis, rows, column, base, style, len(lines) <= FEW) for rows, style in lines]
        if base is None:
            axis.axhline(0, **(ZERO if column != "from_base" else BASE))
        else:
            axis.axhline(base, label="Base model", **BASE)
        near = steady if base is not None else _near(drawn, steady)
        axis.set_ylim(*_limits([curve for curve, keep in zip(drawn, near, strict=True) if keep], base))
        axis.ticklabel_format(useOffset=False)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.set_xlim(-0.05 * last, 1.05 * last)
        axis.set(xlabel="Step", ylabel=PANELS[column].format(best=lines[best][1]["label"]))
        if len(experiment.panels) > 1:
            panel_title(axis, letter)
    heading(figure, results, f"model λ = {', '.join(f'{lmbda:g}' for lmbda in sorted(set(records['model_lmbda'])))}")
    legend_below(figure, axes[0])
    return figure


def _lines(results: Results) -> Lines:
    """Rows and style of each line: a method, or with a sweep a method and a value of each swept parameter."""
    experiment, methods, sweep = results.experiment, results.methods, results.experiment.sweep
    records = with_swept(results.records, sweep)
    settings = list(itertools.product(*sweep.values()))
    names = {parameter: texts(values) for parameter, values in sweep.items()}
    colors = sequential(len(settings))
    lines = []
    for (place, method), (index, values) in itertools.product(enumerate(experiment.methods), enumerate(settings)):
        own = (records["method"] == method) & records[list(sweep)].eq(list(values)).all(axis=1)
        style = {key: methods[method][key] for key in ("color", "label", "marker")}
        if sweep:
            name = f"{methods[method]['label']}, " if len(experiment.methods) > 1 else ""
            said = [_setting(methods[method], each, value, names) for each, value in zip(sweep, values, strict=True)]
            style = {"color": colors[index], "label": name + ", ".join(said), "marker": MARKERS[index % len(MARKERS)]}
            # of several methods each has its own dashes
            style["linestyle"] = DASHES[place % len(DASHES)]
        lines.append((records[own], style))
    return lines


def _setting(method: Mapping[str, Any], parameter: str, value: float, names: Mapping[str, Mapping[float, str]]) -> str:
    """A swept value in a legend, and the rounding that the method is there if it is another one."""
    case = special_case(method["rounding"], parameter, value)
    return f"{SYMBOLS.get(parameter, parameter)} = {names[parameter][value]}{f' ({case})' * bool(case)}"


def _over_steps(
    axis: Axes, rows: pd.DataFrame, column: str, base: float | None, style: Style, band: bool
) -> np.ndarray:
    """Draw a mean over steps, with the edges of its band if asked for; returns all their values."""
    mean = by_image(rows, ["step"], column).mean()
    of = by_image(rows if base is None else changes(rows, rows, [column]), ["step"], column)
    low, high = interval(of.to_numpy())
    shift = 0.0 if base is None else mean.to_numpy() - of.mean().to_numpy()
    low, high = low + shift, high + shift
    axis.plot(mean, **style, markevery=_stations(len(mean)), markersize=3.5)
    if not band:
        return mean.to_numpy()
    edges = [np.column_stack([mean.index, end]) for end in (low, high)]
    axis.add_collection(LineCollection(edges, color=style["color"], **EDGES))
    return np.concatenate([mean.to_numpy(), low, high])


def _difference(axis: Axes, column: str, lines: Lines, place: int, best: int) -> np.ndarray:
    """Draw a line's mean difference of true losses over steps, with bars at some of them; returns all their values."""
    rows, style = lines[place]
    if column == "from_base":
        of = by_image(changes(rows, rows, ["true_loss"]), ["step"], "true_loss")
    else:
        of = by_image(rows, ["step"], "true_loss") - by_image(lines[best][0], ["step"], "true_loss")
        of = of.dropna(axis="columns", how="all")
    mean, (low, high) = of.mean(), interval(of.to_numpy())
    # bars of many lines would hide one another where they are long: there each has one, in the end
    at = _stations(len(mean)) if column == "from_best" or len(lines) <= FEW else [len(mean) - 1]
    look = {key: value for key, value in style.items() if key != "marker"}
    axis.plot(mean, **look)
    bars = np.array([mean - low, high - mean])[:, at]
    beside: Style = {"color": style["color"], "fmt": style["marker"], "transform": aside(axis, place, len(lines))}
    axis.errorbar(mean.index[at], mean.iloc[at], bars, markersize=3.5, **beside, **BAR)
    return np.concatenate([mean.to_numpy(), low[at], high[at]])


def _stations(count: int) -> list[int]:
    """Places of the steps that have markers and bars, the last one among them and not the first."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(STATIONS, count - 1) + 1)[1:]})


def _best(lines: Lines) -> int:
    """The place of the line whose true loss is lowest in the end."""
    ends = [rows.groupby("step")["true_loss"].mean().sort_index().iloc[-1] for rows, _ in lines]
    return int(np.argmin(ends))


def _near(curves: Sequence[np.ndarray], steady: Sequence[bool]) -> list[bool]:
    """Whether a line is steady, and not much further from zero than half of the lines are."""
    reach = [np.abs(curve).max() for curve in curves]
    found = [keep and far <= FAR * np.median(reach) for far, keep in zip(reach, steady, strict=True)]
    return found if any(found) else list(steady)


def _steady(records: pd.DataFrame, lines: Lines) -> list[bool]:
    """Whether a line's worst true loss exceeds the base model's by no more than the best line improves on it."""
    base = base_model(records)["true_loss"].mean()
    curves = [rows.groupby("step")["true_loss"].mean() for rows, _ in lines]
    cap = base + (base - min(curve.min() for curve in curves))
    found = [curve.max() <= cap for curve in curves]
    return found if any(found) else [True] * len(lines)


def _limits(curves: Sequence[np.ndarray], base: float | None) -> tuple[float, float]:
    """The range of curves, and of the base model's value, with a margin."""
    values = np.concatenate([*curves, [np.nan if base is None else base]])
    low, high = np.nanmin(values), np.nanmax(values)
    margin = max(0.05 * (high - low), 1e-3 * abs(high), 1e-6)
    return low - margin, high + margin
