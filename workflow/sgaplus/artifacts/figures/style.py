"""How all figures look, and their saving."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import Transform, offset_copy

from sgaplus.artifacts.results import Results
from sgaplus.files import replacing

plt.switch_backend("Agg")

Style = Mapping[str, Any]
"""Arguments of a Matplotlib function."""

COLUMN = 3.4
"""Width of a panel in inches, about a column of a paper."""

LETTERS = 21
"""Letters of the small print in an inch."""

BAND: Style = {"alpha": 0.15, "linewidth": 0}
EDGES: Style = {"linewidth": 0.5, "alpha": 0.7}
BAR: Style = {"elinewidth": 0.9, "capsize": 2, "capthick": 0.9}
"""Bands, bands that would hide one another, and error bars."""

ZERO: Style = {"color": "0.5", "linewidth": 0.7, "zorder": 0}
"""A line at zero."""

ASIDE = 2.0
"""Points from a line to the next where they stand side by side."""

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
"""Of lines that have none of their own: on paper without colours they tell lines apart."""

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

LEGEND: Style = {"columnspacing": 1.2, "handlelength": 1.8, "title_fontsize": 7}

SUBS = {8: (1, 1.5, 2, 3, 4, 5, 7), 200: (1, 2, 5), np.inf: (1,)}
"""Numbers of a decade on a logarithmic axis, by the ratio of its ends."""

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


def heading(figure: Figure, results: Results, *more: str) -> None:
    """Small print above the panels: data set, number of images, their size if they have one, and what else there is."""
    images = results.records["image"].nunique()
    what = f"Data set {results.experiment.dataset}, {images} image{'s' * (images > 1)}"
    sizes = results.records[["width", "height"]].drop_duplicates()
    if len(sizes) == 1:
        what += " of {} × {} pixels".format(*sizes.iloc[0])
    text = fill("; ".join([what, *more]), int(LETTERS * figure.get_figwidth()))
    figure.suptitle(text, fontsize=6.5, color="0.35", x=0.01, ha="left")


def panel_title(axis: Axes, letter: str, text: str = "") -> None:
    """A panel's letter in bold and its title, to the left."""
    axis.set_title(rf"$\bf{{({letter})}}$ {text}".rstrip(), loc="left")


def aside(axis: Axes, place: int, count: int) -> Transform:
    """The place of one of so many lines that stand side by side by a little, so that bars hide no bars."""
    moved = ASIDE * (place - (count - 1) / 2)
    return offset_copy(axis.transData, axis.get_figure(root=True), x=moved, units="points")


def legend_below(figure: Figure, axis: Axes, title: str | None = None) -> None:
    """A panel's legend below the figure, in as few rows as its width allows; panels keep their height."""
    handles, labels = axis.get_legend_handles_labels()
    for rows in range(1, len(labels) + 1):
        columns = -(-len(labels) // rows)
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns, title=title, **LEGEND)
        if legend.get_window_extent().width <= figure.bbox.width or rows == len(labels):
            figure.set_figheight(figure.get_figheight() + (rows - 1) * LEGEND_ROW)
            return
        legend.remove()


def log_ticks(axis: Axes, which: str = "x") -> None:
    """A logarithmic axis with plain numbers, the fewer the more decades there are; its label says that it is one."""
    axis.set(**{f"{which}scale": "log"})
    low, high = axis.get_xlim() if which == "x" else axis.get_ylim()
    of_axis = axis.xaxis if which == "x" else axis.yaxis
    subs = next(subs for decades, subs in SUBS.items() if high / low < decades)
    of_axis.set_major_locator(LogLocator(subs=subs))
    of_axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    of_axis.set_minor_formatter(NullFormatter())
    of_axis.set_label_text(f"{of_axis.get_label_text()}, log scale")


def sequential(count: int) -> list[tuple[float, float, float]]:
    """Colours of an ordered quantity: colour-blind safe, and dark enough on white at the light end."""
    return [plt.get_cmap("viridis")(place)[:3] for place in np.linspace(0, 0.88, count)]


def rate_label(bitrate: str) -> str:
    """The label of an axis of ``estimated`` or ``actual`` rates."""
    return "Rate (bpp)" if bitrate == "estimated" else "Rate of the bitstream (bpp)"
