"""Losses, quality and rate over the steps of a refinement."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sgaplus.analysis.intervals import interval
from sgaplus.analysis.selection import base_model, by_image, changes, with_swept
from sgaplus.artifacts.figures.style import BAND, SYMBOLS, Style, legend_below, panels_of, sequential
from sgaplus.artifacts.kinds import figure
from sgaplus.artifacts.results import Results
from sgaplus.artifacts.values import special_case, texts

PANELS = {
    "true_loss": "True R-D loss",
    "difference": "Method loss − true loss",
    "psnr": "PSNR (dB)",
    "bpp": "Rate (bpp)",
}
"""Panels of the loss curves and their axis labels."""

DASHES = ("-", (0, (4, 1)), "-.", ":")


@figure(takes=("sweep", "panels", "record_every"), intervals="Bands", paper="Figures 2, 6")
def loss_curves(results: Results) -> Figure:
    """True loss, method loss minus true loss, PSNR and rate over steps, a line per method or value of the sweep.

    A panel per entry of ``panels``. A curve that diverges far above the base model is cut off, so that
    the others can be told apart.
    """
    panels = results.experiment.panels
    records = results.records[results.records["step"] <= results.experiment.last_step]
    records = records.assign(difference=records["method_loss"] - records["true_loss"])
    lines = _lines(replace(results, records=records))
    steady = _steady(records, lines)
    figure, axes = panels_of(len(panels), columns=1 if len(panels) == 1 else 2)
    for axis, column, letter in zip(axes, panels, "abcd", strict=False):
        base = None if column == "difference" else base_model(records)[column].mean()
        drawn = [_over_steps(axis, rows, column, base, style) for rows, style in lines]
        if base is not None:
            axis.axhline(base, color="black", linestyle=":", linewidth=0.8, label="Base model")
        axis.set_ylim(*_limits([curve for curve, keep in zip(drawn, steady, strict=True) if keep], base))
        axis.ticklabel_format(useOffset=False)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.set(xlabel="Step", ylabel=PANELS[column], title=f"({letter})" if len(panels) > 1 else "")
    legend_below(figure, axes[0])
    return figure


def _lines(results: Results) -> list[tuple[pd.DataFrame, dict]]:
    """Rows and style of each line: a method, or with a sweep a method and a value of each swept parameter."""
    experiment, methods, sweep = results.experiment, results.methods, results.experiment.sweep
    records = with_swept(results.records, sweep)
    settings = list(itertools.product(*sweep.values()))
    names = {parameter: texts(values) for parameter, values in sweep.items()}
    colors = sequential(len(settings))
    lines = []
    for (place, method), (index, values) in itertools.product(enumerate(experiment.methods), enumerate(settings)):
        own = (records["method"] == method) & records[list(sweep)].eq(list(values)).all(axis=1)
        style = {"color": methods[method]["color"], "label": methods[method]["label"]}
        if sweep:
            name = f"{methods[method]['label']}, " if len(experiment.methods) > 1 else ""
            said = [_setting(methods[method], each, value, names) for each, value in zip(sweep, values, strict=True)]
            style = {"color": colors[index], "label": name + ", ".join(said)}
            # a value or, of several, a method has its own dashes, because neighbouring colours are near
            style["linestyle"] = DASHES[(place if name else index) % (4 if name else 2)]
        lines.append((records[own], style))
    return lines


def _setting(method: Mapping[str, Any], parameter: str, value: float, names: Mapping[str, Mapping[float, str]]) -> str:
    """A swept value in a legend, and the rounding that the method is there if it is another one."""
    case = special_case(method["rounding"], parameter, value)
    return f"{SYMBOLS.get(parameter, parameter)} = {names[parameter][value]}{f' ({case})' * bool(case)}"


def _over_steps(axis: Axes, rows: pd.DataFrame, column: str, base: float | None, style: Style) -> np.ndarray:
    """Draw a mean over steps with its band; returns all their values."""
    mean = by_image(rows, ["step"], column).mean()
    of = by_image(rows if base is None else changes(rows, rows, [column]), ["step"], column)
    low, high = interval(of.to_numpy())
    shift = 0.0 if base is None else mean.to_numpy() - of.mean().to_numpy()
    low, high = low + shift, high + shift
    axis.fill_between(mean.index, low, high, color=style["color"], **BAND)
    axis.plot(mean, **style)
    return np.concatenate([mean.to_numpy(), low, high])


def _steady(records: pd.DataFrame, lines: Sequence[tuple[pd.DataFrame, Any]]) -> list[bool]:
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
