"""How all figures look, and their saving."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from sgaplus.files import replacing

plt.switch_backend("Agg")

Style = Mapping[str, Any]
"""Arguments of a Matplotlib function."""

COLUMN = 3.4
"""Width of a panel in inches, about a column of a paper."""

BAND: Style = {"alpha": 0.15, "linewidth": 0}
BAR: Style = {"elinewidth": 2.5, "alpha": 0.3}
"""Bands and error bars."""

SYMBOLS = {"tau_max": r"$\tau_\mathrm{max}$", "cooling": "cooling", "lr": "learning rate"}
"""Swept parameters as they are written in the paper, where their key differs."""

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

LEGEND: Style = {"columnspacing": 1.2, "handlelength": 1.8}

LEGEND_ROW = 0.16
"""Inches of height."""


def save(draw: Callable[[], Figure], outputs: Sequence[str | Path], theme: str = "ticks") -> None:
    """Draw a figure in the common style, and save it under every name, the format by its suffix.

    Args:
        draw: Makes the figure.
        outputs: File names, such as one PDF and one PNG.
        theme: Seaborn's style: ``white`` for pictures.
    """
    sns.set_theme(context="paper", style=theme, rc=STYLE)
    figure = draw()
    sns.despine(figure)
    for output in outputs:
        with replacing(output) as temporary:
            # no creation date: the same records give the same file
            metadata = {"CreationDate": None} if str(output).endswith(".pdf") else {}
            figure.savefig(temporary, dpi=200, metadata=metadata)
    plt.close(figure)


def panels_of(count: int, columns: int, height: float = 2.2, share: bool = False) -> tuple[Figure, Sequence[Axes]]:
    """A figure with this many panels in rows of ``columns``, each a column wide and ``height`` inches high."""
    rows = -(-count // columns)
    size = (columns * COLUMN, rows * height + 0.4)
    figure, axes = plt.subplots(
        rows, columns, figsize=size, sharex=share, sharey=share, squeeze=False, layout="constrained"
    )
    for axis in axes.flat[count:]:
        axis.remove()
    return figure, list(axes.flat[:count])


def legend_below(figure: Figure, axis: Axes) -> None:
    """A panel's legend below the figure, in as few rows as its width allows; panels keep their height."""
    handles, labels = axis.get_legend_handles_labels()
    for rows in range(1, len(labels) + 1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=-(-len(labels) // rows), **LEGEND)
        if legend.get_window_extent().width <= figure.bbox.width or rows == len(labels):
            figure.set_figheight(figure.get_figheight() + (rows - 1) * LEGEND_ROW)
            return
        legend.remove()


def log_ticks(axis: Axes) -> None:
    """A logarithmic x axis with plain numbers at 1, 2 and 5, or over many decades at 1 only."""
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 200 else (1,)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def sequential(count: int) -> list[tuple[float, float, float]]:
    """Colours of an ordered quantity: colour-blind safe, and dark enough on white at the light end."""
    return [plt.get_cmap("viridis")(place)[:3] for place in np.linspace(0, 0.88, count)]


def rate_label(bitrate: str) -> str:
    """The label of an axis of ``estimated`` or ``actual`` rates."""
    return "Rate (bpp)" if bitrate == "estimated" else "Rate of the bitstream (bpp)"
