"""Figures, from records alone (and Figure 1 from the rounding functions themselves).

Every figure function takes records, an experiment and the methods, and returns a Matplotlib figure. A
method has one colour, marker and label everywhere, its configuration entry's.

Lines and points are means over images. Bands and bars are 95 % bootstrap intervals over images of the
change from the base model: images differ far more among themselves than methods do on one image, and
that part is the same for all methods.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, StrMethodFormatter

from sgaplus.analysis import published
from sgaplus.analysis.bootstrap import interval
from sgaplus.analysis.budget import course
from sgaplus.analysis.cost import costs, saves_bits
from sgaplus.analysis.rd_curves import POINT, base_curve, kept, points
from sgaplus.analysis.selection import (
    at_step,
    base_model,
    bitrate_of,
    by_image,
    changes,
    measured,
    with_rate,
    with_swept,
)
from sgaplus.files import replacing

Methods = Mapping[str, Mapping[str, Any]]
Style = Mapping[str, Any]
"""Arguments of a Matplotlib function."""

BASE: Style = {"label": "Base model", "color": "black", "marker": "*"}
COLUMN = 3.4
"""Width of a panel in inches, about a column of a paper."""

BAND: Style = {"alpha": 0.15, "linewidth": 0}
BAR: Style = {"elinewidth": 2.5, "alpha": 0.3}
"""Of bands and error bars."""

PUBLISHED: Style = {"linewidth": 0.8, "zorder": 1}
THEIRS: Mapping[str, Style] = {
    published.BASE: {"color": "0.25", "linestyle": "--"},
    published.SGA: {"color": "0.25", "linestyle": "-"},
}
"""Lines of published curves; the others are light grey in these styles."""
STYLES = (":", "-.", (0, (5, 1)), (0, (1, 3)))

DASHES = ("-", (0, (4, 1)), "-.", ":")

SYMBOLS = {"tau_max": r"$\tau_\mathrm{max}$", "tau_rate": "c", "lr": "learning rate"}
"""Swept parameters as they are written in the paper, where their key differs."""

PANELS = {
    "true_loss": "True R-D loss",
    "difference": "Method loss − true loss",
    "psnr": "PSNR (dB)",
    "bpp": "Rate (bpp)",
}
"""Panels of the loss curves and their axis labels."""

STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "figure.constrained_layout.use": True,
}


def loss_curves(records: pd.DataFrame, experiment: Mapping[str, Any], methods: Methods) -> Figure:
    """Figures 2 and 6: true loss, method loss minus true loss, PSNR and rate over steps.

    A panel per entry of ``panels``, a line per method, or with a ``sweep`` per value (Figure 6). A
    curve that diverges far above the base model is cut off, so that the others can be told apart.
    """
    panels = experiment.get("panels") or list(PANELS)
    records = records[records["step"] <= max(experiment["steps"])]
    records = records.assign(difference=records["method_loss"] - records["true_loss"])
    lines = _lines(records, experiment, methods)
    steady = _steady(records, lines)
    figure, axes = _axes(len(panels), columns=1 if len(panels) == 1 else 2)
    for axis, column, letter in zip(axes, panels, "abcd", strict=False):
        base = None if column == "difference" else base_model(records)[column].mean()
        drawn = [_over_steps(axis, rows, column, base, style) for rows, style in lines]
        if base is not None:
            axis.axhline(base, color="black", linestyle=":", linewidth=0.8, label="Base model")
        axis.set_ylim(*_limits([curve for curve, keep in zip(drawn, steady, strict=True) if keep], base))
        axis.ticklabel_format(useOffset=False)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.set(xlabel="Step", ylabel=PANELS[column], title=f"({letter})" if len(panels) > 1 else "")
    _legend_below(figure, axes[0])
    return figure


def _lines(records: pd.DataFrame, experiment: Mapping[str, Any], methods: Methods) -> list[tuple[pd.DataFrame, dict]]:
    """Rows and style of each line: a method, or with a sweep a method and a value of each swept parameter."""
    sweep = experiment.get("sweep") or {}
    records = with_swept(records, sweep)
    settings = list(itertools.product(*sweep.values()))
    colors = _sequential(len(settings))
    lines = []
    for (place, method), (index, values) in itertools.product(enumerate(experiment["methods"]), enumerate(settings)):
        own = (records["method"] == method) & records[list(sweep)].eq(list(values)).all(axis=1)
        style = {"color": methods[method]["color"], "label": methods[method]["label"]}
        if sweep:
            name = f"{methods[method]['label']}, " if len(experiment["methods"]) > 1 else ""
            style = {"color": colors[index], "label": name + _setting(dict(zip(sweep, values, strict=True)))}
            # a value or, of several, a method has its own dashes, because neighbouring colours are near
            style["linestyle"] = DASHES[(place if name else index) % (4 if name else 2)]
        lines.append((records[own], style))
    return lines


def _setting(values: Mapping[str, float]) -> str:
    return ", ".join(f"{SYMBOLS.get(name, name)} = {value:g}" for name, value in values.items())


def _sequential(count: int) -> list[tuple[float, float, float]]:
    """Colours of an ordered quantity: colour-blind safe, and dark enough on white at the light end."""
    return [plt.get_cmap("viridis")(place)[:3] for place in np.linspace(0, 0.88, count)]


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
    """Whether a line's true loss stays below the base model's by as much above it as the best gets below it."""
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


def rate_distortion(records: pd.DataFrame, experiment: Mapping[str, Any], methods: Methods) -> Figure:
    """Figures 3, 7 and 8: PSNR against rate, a panel per step count, a point per model and target.

    Published curves of a data set of the same name lie behind ours; the axes keep to our range.
    """
    panels, bitrate = sorted(experiment["steps"]), bitrate_of(experiment)
    figure, axes = _axes(len(panels), columns=len(panels), height=3.0, share=True)
    base = base_curve(records, bitrate).mean(axis=1)
    seen, have = [base], measured(records, experiment)
    for axis, steps, letter in zip(axes, panels, "abcdefgh", strict=False):
        _line(axis, base, BASE, linestyle="--")
        for method in (method for method, count in have if count == steps):
            rows = with_rate(at_step(records[records["method"] == method], steps), bitrate)
            seen.append(_line(axis, points(rows).to_numpy(), methods[method]))
            _bars(axis, rows, with_rate(base_model(records), bitrate), methods[method]["color"])
        _published_curves(axis, published.curves(experiment["dataset"]))
        title = f"({letter}) {steps} steps" if len(panels) > 1 else f"{steps} steps"
        axis.set(xlabel=_rate_label(bitrate), title=title)
    _keep_to(axes[0], np.concatenate(seen))
    axes[0].set_ylabel("PSNR (dB)")
    _legend_below(figure, axes[0])
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


def _rate_label(bitrate: str) -> str:
    return "Rate (bpp)" if bitrate == "estimated" else "Rate of the bitstream (bpp)"


def multi_rate(records: pd.DataFrame, experiment: Mapping[str, Any], methods: Methods) -> Figure:
    """Figures 4 and 9: each base model refined toward every target, a colour per model, with the base curve.

    Points more than ``prune`` dB below the base curve at their rate are left out; null keeps all
    (Figure 9). A model's own lambda has a larger point with a black edge. A panel per method.
    """
    bitrate, steps = bitrate_of(experiment), max(experiment["steps"])
    base = base_curve(records, bitrate).mean(axis=1)
    figure, axes = _axes(len(experiment["methods"]), columns=len(experiment["methods"]), height=3.6, share=True)
    for axis, method in zip(axes, experiment["methods"], strict=True):
        rows = with_rate(at_step(records[records["method"] == method], steps), bitrate)
        _multi_rate(axis, points(rows), base, experiment.get("prune"))
        axis.set(xlabel=_rate_label(bitrate), title=f"{methods[method]['label']}, {steps} steps")
    axes[0].set_ylabel("PSNR (dB)")
    _legend_below(figure, axes[0])
    return figure


def _multi_rate(axis: Axes, operating: pd.DataFrame, base: np.ndarray, prune: float | None) -> None:
    operating = operating[kept(operating.to_numpy(), base, prune)].reset_index()
    axis.plot(*base.T, color="black", linestyle="--", marker="*", markersize=5, label="Base models", zorder=2)
    lmbdas = sorted(operating["model_lmbda"].unique())
    for lmbda, color in zip(lmbdas, _sequential(len(lmbdas)), strict=True):
        rows = operating[operating["model_lmbda"] == lmbda].sort_values("target_lmbda")
        axis.plot(rows["bpp"], rows["psnr"], color=color, marker="o", markersize=3, label=f"λ = {lmbda:g}", zorder=3)
        own = rows[rows["target_lmbda"] == lmbda]
        axis.plot(own["bpp"], own["psnr"], color=color, **OWN, linestyle="none", zorder=4)
    axis.plot([], [], color="white", **OWN, linestyle="none", label="target = own λ")


OWN: Style = {"marker": "o", "markersize": 5.5, "markeredgecolor": "black", "markeredgewidth": 0.9}
"""The point of a model that is refined toward the lambda that it was trained with."""


def grid(records: pd.DataFrame, experiment: Mapping[str, Any], methods: Methods) -> Figure:
    """True loss after the last step over two swept parameters, a panel per method; the darker the lower.

    The best setting has a solid frame, the method's configured one, where it is on the grid, a dotted
    one. Losses far above the best share the lightest colour.
    """
    sweep = experiment["sweep"]
    rows = at_step(with_swept(records, sweep), max(experiment["steps"]))
    across, down = sweep
    means = {
        method: by_image(rows[rows["method"] == method], [down, across], "true_loss").mean().unstack(across)
        for method in experiment["methods"]
    }
    values = np.concatenate([mean.to_numpy().ravel() for mean in means.values()])
    limits: Style = {
        "vmin": values.min(),
        "vmax": min(values.max(), values.min() + 4 * np.median(values - values.min())),
    }
    size = 0.55 * len(sweep[down]) + 1.0
    figure, axes = _axes(len(means), columns=min(len(means), 2), height=size)
    for axis, (method, mean) in zip(axes, means.items(), strict=True):
        picture = _heat_map(axis, mean, limits)
        own = methods[method].get("parameters", {}) | methods[method]
        _frame(axis, mean, _lowest(mean), 0.92, linestyle="-")
        _frame(axis, mean, (own.get(down), own.get(across)), 0.76, linestyle=":")
        axis.set(xlabel=SYMBOLS.get(across, across), ylabel=SYMBOLS.get(down, down), title=methods[method]["label"])
    extend = "max" if values.max() > limits["vmax"] else "neither"
    figure.colorbar(picture, ax=list(axes), label="True R-D loss", extend=extend)
    frames = [Line2D([], [], color=FRAME, linestyle=style, linewidth=1.8) for style in ("-", ":")]
    figure.legend(frames, ["Best", "As configured"], loc="outside lower center", ncols=2)
    return figure


FRAME = "#D55E00"


def _heat_map(axis: Axes, mean: pd.DataFrame, limits: Style) -> Any:
    """Cells of equal size whatever their values, with the loss written in them."""
    picture = axis.imshow(mean.to_numpy(), cmap="cividis", aspect="auto", origin="lower", **limits)
    axis.set_xticks(range(mean.shape[1]), [f"{value:g}" for value in mean.columns])
    axis.set_yticks(range(mean.shape[0]), [f"{value:g}" for value in mean.index])
    for (row, column), value in np.ndenumerate(mean.to_numpy()):
        light = (value - limits["vmin"]) > 0.5 * (limits["vmax"] - limits["vmin"])
        axis.text(
            column, row, f"{value:.4f}", ha="center", va="center", fontsize=6, color="black" if light else "white"
        )
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


def cost(records: pd.DataFrame, experiment: Mapping[str, Any], methods: Methods) -> Figure:
    """What saved bits cost: saving against seconds per image, a line per method with a point per step count.

    Saved bits are minus the BD-rate against the base models; of one model, which has no curve, the
    reduction of the true loss is drawn.
    """
    figure, (axis,) = _axes(1, columns=1, height=3.0)
    found = costs(records, experiment)
    for method in experiment["methods"]:
        rows, style = found.loc[method], methods[method]
        axis.plot(rows["seconds"], rows["saved"], color=style["color"], marker=style["marker"], label=style["label"])
        ends = [rows["saved"] - rows["low"], rows["high"] - rows["saved"]]
        axis.errorbar(rows["seconds"], rows["saved"], yerr=ends, color=style["color"], fmt="none", **BAR)
    what = "Bits saved at equal PSNR" if saves_bits(experiment) else "True R-D loss saved"
    steps = ", ".join(map(str, sorted(experiment["steps"])))
    axis.set(xlabel="Seconds per image", ylabel=f"{what} (%)", title=f"Points after {steps} steps")
    _log_ticks(axis)
    _legend_below(figure, axis)
    return figure


def budget(records: pd.DataFrame, experiment: Mapping[str, Any], methods: Methods) -> Figure:
    """True loss above that of the method ``against`` after the most steps, over seconds per image: a line per method.

    Means over models; linear between -0.1 and 0.1 % and logarithmic beyond.
    """
    figure, (axis,) = _axes(1, columns=1, height=3.2)
    counts = sorted(experiment["steps"])
    for method in experiment["methods"]:
        way, style = course(records, experiment, method), methods[method]
        axis.fill_between(way["seconds"], way["low"], way["high"], color=style["color"], **BAND)
        look = {"color": style["color"], "marker": style["marker"], "label": style["label"]}
        axis.plot(way["seconds"], way["value"], **look, markevery=list(way.index.isin(counts).nonzero()[0]))
    axis.axhline(0, color="black", linestyle=":", linewidth=0.8)
    axis.set_yscale("symlog", linthresh=NEAR, linscale=0.6)
    ends = axis.get_ylim()
    ticks = [sign * value for value in (0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) for sign in (1, -1)]
    axis.set_yticks([value for value in sorted(set(ticks)) if ends[0] <= value <= ends[1]])
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_locator(NullLocator())
    of = f"{methods[experiment['against']]['label']} after {counts[-1]} steps"
    title = f"Points after {', '.join(map(str, counts))} steps"
    axis.set(xlabel="Seconds per image", ylabel=f"True R-D loss above\n{of} (%)", title=title)
    _log_ticks(axis)
    _legend_below(figure, axis)
    return figure


NEAR = 0.1
"""Per cent up to which differences of true loss are drawn linearly."""


def gap(records: pd.DataFrame, experiment: Mapping[str, Any], methods: Methods) -> Figure:
    """Size of the real bitstream against the estimated size at the last step, a point per image and model.

    The line is what is allowed: 2 % and 64 bytes more than estimated.
    """
    figure, (axis,) = _axes(1, columns=1, height=3.0)
    rows = records[(records["step"] > 0) & records["bytes"].notna()]
    rows = rows.loc[rows.groupby([*POINT, "method", "variant", "image", "seed"])["step"].idxmax()]
    estimated = rows["bpp"] * rows["width"] * rows["height"] / 8
    excess = 100 * (rows["bytes"].astype(float) / estimated - 1)
    for method in experiment["methods"]:
        own, style = rows["method"] == method, methods[method]
        look = {"color": style["color"], "marker": style["marker"], "label": style["label"]}
        axis.plot(estimated[own], excess[own], **look, linestyle="none", markersize=3, alpha=0.7)
    sizes = np.geomspace(estimated.min() / 1.2, estimated.max() * 1.2, 100)
    axis.plot(sizes, 2 + 100 * 64 / sizes, color="black", linestyle="--", linewidth=0.8, label="2 % + 64 bytes")
    axis.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    axis.set(xlabel="Estimated size (bytes)", ylabel="Bitstream over estimate (%)")
    _log_ticks(axis)
    _legend_below(figure, axis)
    return figure


def _log_ticks(axis: Axes) -> None:
    """A logarithmic x axis with plain numbers at 1, 2 and 5, or over many decades at 1 only."""
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 200 else (1,)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _axes(count: int, columns: int, height: float = 2.2, share: bool = False) -> tuple[Figure, Sequence[Axes]]:
    """A figure with this many panels in rows of ``columns``, each a column wide and ``height`` inches high."""
    rows = -(-count // columns)
    size = (columns * COLUMN, rows * height + 0.4)
    figure, axes = plt.subplots(
        rows, columns, figsize=size, sharex=share, sharey=share, squeeze=False, layout="constrained"
    )
    for axis in axes.flat[count:]:
        axis.remove()
    return figure, list(axes.flat[:count])


def probabilities(experiment: Mapping[str, Any], methods: Methods) -> Figure:
    """Figure 1: the probability of each candidate, from the methods' own functions.

    (a) two-class methods: P(down) solid and P(up) dashed, over the fraction v - floor(v).
    (b) three-class linear over v in [-1, 1]: two-class special case solid, the third class let in by
    r < 1 dashed, a power other than 1 dotted.
    """
    import torch

    from sgaplus.refinement import rounding

    figure, (left, right) = plt.subplots(1, 2, figsize=(2 * COLUMN, 3.0), sharey=True)
    fraction = torch.linspace(0.001, 0.999, 500, dtype=torch.float64)
    for name in experiment["methods"]:
        method = rounding.make(methods[name]["rounding"], **methods[name]["parameters"])
        if isinstance(method, rounding.TwoClass):
            down, up = method.probabilities(fraction)
            left.plot(fraction, down, color=methods[name]["color"], label=methods[name]["label"])
            left.plot(fraction, up, color=methods[name]["color"], linestyle="--")
    left.set(xlabel="v − ⌊v⌋", ylabel="Probability", title="(a) two classes: down solid, up dashed")
    _legend_under(left, 4)

    v = torch.linspace(-0.999, 0.999, 1001, dtype=torch.float64)
    colors = {-1: "#E69F00", 0: "#D55E00", 1: "#009E73"}
    for (r, n), line in {(1.0, 1.0): "-", (0.8, 1.0): "--", (1.0, 2.0): ":"}.items():
        for integer, chances in _by_integer(rounding.ThreeClassLinear(r=r, n=n), v).items():
            label = f"r = {r:g}, n = {n:g}" if integer == 0 else None
            right.plot(v, chances, color=colors[integer], linestyle=line, label=label)
    for integer, color in colors.items():
        right.text(0.93 * integer, 1.05, f"P({integer})".replace("-", "−"), color=color, ha="center", fontsize=7)
    right.set_ylim(top=1.12)
    right.set(xlabel="v", title="(b) three classes, extended linear")
    _legend_under(right, 3)
    return figure


def _legend_under(axis: Axes, columns: int) -> None:
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=columns, handlelength=1.5, columnspacing=1)


def _by_integer(method: Any, v: Any) -> dict[int, np.ndarray]:
    """P(v is rounded to k) for k = -1, 0, 1, whichever of the method's candidates k is."""
    candidates, chances = method.candidates(v).numpy(), method.probabilities(v).numpy()
    return {k: np.where(candidates == k, chances, 0).sum(axis=0) for k in (-1, 0, 1)}


def _legend_below(figure: Figure, axis: Axes) -> None:
    """A panel's legend below the figure, in as few rows as its width allows; panels keep their height."""
    handles, labels = axis.get_legend_handles_labels()
    for rows in range(1, len(labels) + 1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=-(-len(labels) // rows), **LEGEND)
        if legend.get_window_extent().width <= figure.bbox.width or rows == len(labels):
            figure.set_figheight(figure.get_figheight() + (rows - 1) * LEGEND_ROW)
            return
        legend.remove()


LEGEND: Style = {"columnspacing": 1.2, "handlelength": 1.8}
LEGEND_ROW = 0.16
"""Inches of height."""


FIGURES = {
    "loss_curves": loss_curves,
    "rate_distortion": rate_distortion,
    "multi_rate": multi_rate,
    "grid": grid,
    "cost": cost,
    "budget": budget,
    "gap": gap,
}


def draw(records: str | Path | None, experiment: Mapping[str, Any], methods: Methods, outputs: Sequence[str]) -> None:
    """Draw an experiment's figure and save it under every name, the format by its suffix.

    Args:
        records: The experiment's record file; None for Figure 1, which needs none.
        experiment: The experiment's entry.
        methods: The configuration's methods.
        outputs: File names, such as one PDF and one PNG.
    """
    from sgaplus.records import read

    sns.set_theme(context="paper", style="ticks", rc=STYLE)
    if records is None:
        figure = probabilities(experiment, methods)
    else:
        figure = FIGURES[experiment["figure"]](read([records]), experiment, methods)
    _save(figure, outputs)


def pictures(shown: Mapping[str, np.ndarray], crop: Sequence[int] | None) -> Figure:
    """Figure 5: pictures side by side, and below each its framed part, enlarged.

    Args:
        shown: Pictures of one size by caption, uint8 (height, width, 3).
        crop: Left, top, width and height of that part in pixels; None for the middle.
    """
    height, width = next(iter(shown.values())).shape[:2]
    left, top, across, down = crop or (3 * width // 8, 3 * height // 8, width // 4, height // 4)
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


def draw_pictures(shown: Mapping[str, np.ndarray], crop: Sequence[int] | None, outputs: Sequence[str]) -> None:
    """Draw pictures side by side, as :func:`pictures`, and save them under every name."""
    sns.set_theme(context="paper", style="white", rc=STYLE)
    _save(pictures(shown, crop), outputs)


def training_curves(metrics: Mapping[str, pd.DataFrame]) -> Figure:
    """Loss, PSNR and rate over training steps, a line per model: training crops thin, evaluation images marked.

    Args:
        metrics: Tables of ``training.METRICS`` by model, in the order of the legend.
    """
    panels = [("loss", "R-D loss"), ("psnr", "PSNR (dB)"), ("bpp", "Rate (bpp)")]
    figure, axes = plt.subplots(1, 3, figsize=(2 * COLUMN, 2.8))
    colors = sns.color_palette("viridis", len(metrics))
    for axis, (column, label) in zip(axes.flat, panels, strict=True):
        for (model, table), color in zip(metrics.items(), colors, strict=True):
            smooth = table[column].rolling(max(1, len(table) // 30), min_periods=1, center=True).mean()
            axis.plot(table["step"] + 1, smooth, color=color, linewidth=0.8, label=model)
            tested = table.dropna(subset="test_loss")
            axis.plot(tested["step"] + 1, tested[f"test_{column}"], color=color, marker="o", markersize=3)
        axis.set(xlabel="Step", ylabel=label, xscale="log")
    axes[0].set_yscale("log")
    _legend_below(figure, axes[0])
    return figure


def draw_training(metrics: Mapping[str, str], outputs: Sequence[str]) -> None:
    """Draw the training curves of models and save them under every name.

    Args:
        metrics: CSV files of metrics by model.
        outputs: File names, such as one PDF and one PNG.
    """
    sns.set_theme(context="paper", style="ticks", rc=STYLE)
    figure = training_curves({model: pd.read_csv(path) for model, path in metrics.items()})
    _save(figure, outputs)


def _save(figure: Figure, outputs: Sequence[str]) -> None:
    sns.despine(figure)
    for output in outputs:
        with replacing(output) as temporary:
            # no creation date: the same records give the same file
            metadata = {"CreationDate": None} if str(output).endswith(".pdf") else {}
            figure.savefig(temporary, dpi=200, metadata=metadata)
    plt.close(figure)
