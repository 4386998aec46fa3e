"""Figures, from records alone (and Figure 1 from the rounding functions themselves).

Every figure function takes an experiment and returns a Matplotlib figure. A method has one colour,
marker and label everywhere, its configuration entry's.
"""

from __future__ import annotations

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

from sgaplus.files import replacing
from sgaplus.tables import at_step, base_model

Methods = Mapping[str, Mapping[str, Any]]

BASE = {"label": "Base model", "color": "black", "marker": "*"}
COLUMN = 3.4
"""Width of a panel in inches, about a column of a paper."""

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
    """Figure 2: true loss, method loss minus true loss, PSNR and rate over steps, means over images."""
    records = records.assign(difference=records["method_loss"] - records["true_loss"])
    panels = [
        ("true_loss", "True R-D loss"),
        ("difference", "Method loss − true loss"),
        ("psnr", "PSNR (dB)"),
        ("bpp", "Rate (bpp)"),
    ]
    figure, axes = plt.subplots(2, 2, figsize=(2 * COLUMN, 4.4))
    base = base_model(records)
    for axis, (column, label), letter in zip(axes.flat, panels, "abcd", strict=True):
        curves = records.groupby(["method", "step"])[column].mean()
        for method in experiment["methods"]:
            axis.plot(curves[method], color=methods[method]["color"], label=methods[method]["label"])
        if column != "difference":
            axis.axhline(base[column].mean(), color="black", linestyle=":", linewidth=0.8, label="Base model")
        axis.set(xlabel="Step", ylabel=label, title=f"({letter})")
    axes[0, 0].set_ylim(*_without_outliers(records, base["true_loss"].mean()))
    _legend_below(figure, axes[0, 0])
    return figure


def rate_distortion(records: pd.DataFrame, experiment: Mapping[str, Any], methods: Methods) -> Figure:
    """Figures 7 and 3: PSNR against rate, a panel per step count, a point per model and target."""
    panels = sorted(experiment["steps"])
    figure, axes = plt.subplots(
        1, len(panels), figsize=(COLUMN * len(panels), 3.2), sharex=True, sharey=True, squeeze=False
    )
    for axis, steps, letter in zip(axes.flat, panels, "abcdefgh", strict=False):
        _curve(axis, base_model(records), BASE, linestyle="--")
        for method in experiment["methods"]:
            rows = at_step(records[records["method"] == method], steps)
            _curve(axis, rows, methods[method])
        axis.set(xlabel="Rate (bpp)", title=f"({letter}) {steps} steps" if len(panels) > 1 else f"{steps} steps")
    axes[0, 0].set_ylabel("PSNR (dB)")
    _legend_below(figure, axes[0, 0])
    return figure


def probabilities(experiment: Mapping[str, Any], methods: Methods) -> Figure:
    """Figure 1: the probability of each candidate, from the methods' own functions.

    (a) two-class methods: P(down) solid and P(up) dashed, over the fraction v - floor(v).
    (b) three-class linear over v in [-1, 1]: two-class special case solid, the third class let in by
    r < 1 dashed, a power other than 1 dotted.
    """
    import torch

    from sgaplus import rounding

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


def _curve(axis: Axes, rows: pd.DataFrame, method: Mapping[str, Any], linestyle: str = "-") -> None:
    """One operating point per model and target, means over images and seeds, joined by rate."""
    points = rows.groupby(["model", "target_lmbda"])[["bpp", "psnr"]].mean().sort_values("bpp")
    axis.plot(
        points["bpp"],
        points["psnr"],
        color=method["color"],
        marker=method["marker"],
        linestyle=linestyle,
        label=method["label"],
    )


def _without_outliers(records: pd.DataFrame, base: float) -> tuple[float, float]:
    """Limits that show every method's end, and cut off a curve that diverges far above the base model."""
    means = records.groupby(["method", "step"])["true_loss"].mean()
    low = means.min()
    high = min(means.max(), base + (base - low))
    margin = 0.05 * max(high - low, 1e-6)
    return low - margin, high + margin


def _legend_below(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))


FIGURES = {"loss_curves": loss_curves, "rate_distortion": rate_distortion}


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
