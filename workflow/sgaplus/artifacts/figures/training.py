"""Training curves."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from sgaplus.artifacts.figures.style import COLUMN, legend_below, log_ticks, panel_title


def training_curves(metrics: Mapping[str, pd.DataFrame]) -> Figure:
    """Loss, PSNR and rate over training steps, a line per model: training crops thin, evaluation images marked.

    Args:
        metrics: Tables of ``monitor.METRICS`` by the name of the model in print, in the order of the legend.
    """
    panels = [("loss", "R-D loss"), ("psnr", "PSNR (dB)"), ("bpp", "Rate (bpp)")]
    figure, axes = plt.subplots(1, 3, figsize=(2 * COLUMN, 2.8))
    colors = sns.color_palette("viridis", len(metrics))
    for axis, (column, label), letter in zip(axes.flat, panels, "abc", strict=True):
        for (model, table), color in zip(metrics.items(), colors, strict=True):
            smooth = table[column].rolling(max(1, len(table) // 30), min_periods=1, center=True).mean()
            axis.plot(table["step"] + 1, smooth, color=color, linewidth=0.8, label=model)
            tested = table.dropna(subset="test_loss")
            axis.plot(tested["step"] + 1, tested[f"test_{column}"], color=color, marker="o", markersize=3)
        axis.set(xlabel="Step", ylabel=label)
        log_ticks(axis)
        panel_title(axis, letter)
    log_ticks(axes[0], "y")
    legend_below(figure, axes[0], "Lines: training crops; points: evaluation images")
    return figure
