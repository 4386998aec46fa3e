"""Figures of what refinement saves and costs, and of real bitstreams against the estimated rate."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from sgaplus.analysis.cost import costs, saves_bits
from sgaplus.analysis.excess_loss import over_time
from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.rd_curves import POINT
from sgaplus.artifacts.figures.style import BAND, BAR, ZERO, heading, legend_below, log_ticks, panels_of
from sgaplus.artifacts.kinds import figure
from sgaplus.artifacts.results import Results

NEAR = 0.1
"""Per cent up to which differences of true loss are drawn linearly."""

ROW = 0.26
"""Inches of height of a method's row."""

APART = 0.3
"""Rows from the first of a method's step counts to its last."""


@figure(takes=("against", "bitrate"), intervals="Bars")
def saving(results: Results) -> Figure:
    """Bits that each method saves at equal PSNR, the most at the top; a point per step count.

    Saved bits are minus the BD-rate against the base models, which is the zero; of one model, which has no curve,
    the reduction of the true loss is drawn. The number is that of the most steps.
    """
    experiment, methods = results.experiment, results.methods
    found = costs(results.records, experiment)
    most = {method: found.loc[method].iloc[-1] for method in found.index.unique("method")}
    order = sorted(most, key=lambda method: most[method]["saved"])
    figure, (axis,) = panels_of(1, columns=1, height=ROW * len(order) + 0.3)
    for place, method in enumerate(order):
        rows, style = found.loc[method], methods[method]
        places = place + np.linspace(-APART / 2, APART / 2, len(rows)) * (len(rows) > 1)
        ends = [rows["saved"] - rows["low"], rows["high"] - rows["saved"]]
        axis.errorbar(rows["saved"], places, xerr=ends, color=style["color"], fmt="none", **BAR)
        faces = [style["color"] if steps == found.index.unique("steps").max() else "white" for steps in rows.index]
        look = {"edgecolors": style["color"], "linewidths": 1.0, "zorder": 3}
        axis.scatter(rows["saved"], places, s=22, c=faces, **look)
        at = (max(rows["high"].max(), 0), places[-1])
        axis.annotate(f"{most[method]['saved']:.1f} %", at, (5, 0), textcoords="offset points", va="center", fontsize=7)
    axis.axvline(0, **ZERO)
    axis.set_yticks(range(len(order)), [methods[method]["label"] for method in order])
    axis.margins(x=0.15, y=0.6 / len(order))
    axis.set(xlabel=_saved(experiment))
    *fewer, last = sorted(experiment.steps)
    heading(figure, results, f"{last} steps" + (f" (open: {', '.join(map(str, fewer))})" if fewer else ""))
    return figure


@figure(needs=("against",), takes=("bitrate",), intervals="Bars")
def cost(results: Results) -> Figure:
    """Saved bits against seconds per image.

    A method has a line with a point per step count. Saved bits are minus the BD-rate against the base
    models, which is the zero; of one model, which has no curve, the reduction of the true loss is drawn.
    """
    records, experiment, methods = results.records, results.experiment, results.methods
    figure, (axis,) = panels_of(1, columns=1, height=3.0)
    found = costs(records, experiment)
    for method in experiment.methods:
        rows, style = found.loc[method], methods[method]
        axis.plot(rows["seconds"], rows["saved"], color=style["color"], marker=style["marker"], label=style["label"])
        ends = [rows["saved"] - rows["low"], rows["high"] - rows["saved"]]
        axis.errorbar(rows["seconds"], rows["saved"], yerr=ends, color=style["color"], fmt="none", **BAR)
    axis.axhline(0, **ZERO)
    steps = ", ".join(map(str, sorted(experiment.steps)))
    axis.set(xlabel="Seconds per image", ylabel=_saved(experiment))
    heading(figure, results, f"points after {steps} steps")
    log_ticks(axis)
    legend_below(figure, axis)
    return figure


@figure(needs=("against",), intervals="Bands")
def budget(results: Results) -> Figure:
    """True loss above that of `against` after the most steps, over seconds per image; means over models.

    A method has a line; that of `against` ends at zero, being compared with itself. The axis is linear in the
    shaded strip, from -0.1 to 0.1 %, and logarithmic beyond.
    """
    records, experiment, methods = results.records, results.experiment, results.methods
    figure, (axis,) = panels_of(1, columns=1, height=3.2)
    counts = sorted(experiment.steps)
    for method in experiment.methods:
        way, style = over_time(records, experiment, method), methods[method]
        axis.fill_between(way["seconds"], way["low"], way["high"], color=style["color"], **BAND)
        look = {"color": style["color"], "marker": style["marker"], "label": style["label"]}
        axis.plot(way["seconds"], way["value"], **look, markevery=list(way.index.isin(counts).nonzero()[0]))
    axis.axhline(0, **ZERO)
    axis.axhspan(-NEAR, NEAR, color="0.94", linewidth=0, zorder=-1)
    axis.set_yscale("symlog", linthresh=NEAR, linscale=0.6)
    ends = axis.get_ylim()
    ticks = [sign * value for value in (0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) for sign in (1, -1)]
    axis.set_yticks([value for value in sorted(set(ticks)) if ends[0] <= value <= ends[1]])
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
    axis.yaxis.set_minor_locator(NullLocator())
    of = f"{results.labels[str(experiment.against)]} after {counts[-1]} steps"
    axis.set(xlabel="Seconds per image", ylabel=f"True R-D loss − that of\n{of} (%)")
    points = f"points after {', '.join(map(str, counts))} steps"
    heading(figure, results, points, f"y axis: log scale beyond ±{NEAR} %")
    log_ticks(axis)
    legend_below(figure, axis)
    return figure


@figure()
def gap(results: Results) -> Figure:
    """Size of real bitstreams against the estimated rate.

    An image has a point per model, after the last step. The line is the largest excess that is
    allowed: 2 % and 64 bytes.
    """
    records, experiment, methods = results.records, results.experiment, results.methods
    figure, (axis,) = panels_of(1, columns=1, height=3.0)
    rows = records[(records["step"] > 0) & records["bytes"].notna()]
    rows = rows.loc[rows.groupby([*POINT, "method", "variant", "image", "seed"])["step"].idxmax()]
    estimated = rows["bpp"] * rows["width"] * rows["height"] / 8
    excess = 100 * (rows["bytes"].astype(float) / estimated - 1)
    for method in experiment.methods:
        own, style = rows["method"] == method, methods[method]
        look = {"color": style["color"], "marker": style["marker"], "label": style["label"]}
        axis.plot(estimated[own], excess[own], **look, linestyle="none", markersize=3, alpha=0.7)
    sizes = np.geomspace(estimated.min() / 1.2, estimated.max() * 1.2, 100)
    axis.plot(sizes, 2 + 100 * 64 / sizes, color="black", linestyle="--", linewidth=0.8, label="2 % + 64 bytes")
    axis.axhline(0, **ZERO)
    axis.set(xlabel="Estimated size (bytes)", ylabel="Bitstream over estimate (%)")
    heading(figure, results, "a point per image and model")
    log_ticks(axis)
    legend_below(figure, axis, "Dashed: the most that is allowed")
    return figure


def _saved(experiment: Experiment) -> str:
    """The label of an axis of savings."""
    return f"{'Bits saved at equal PSNR' if saves_bits(experiment) else 'True R-D loss saved'} (%)"
