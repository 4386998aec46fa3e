"""Figure 1: the probabilities of rounding, from the methods' own functions."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgaplus.artifacts.figures.style import COLUMN, panel_title
from sgaplus.artifacts.kinds import figure
from sgaplus.artifacts.results import Results
from sgaplus.refinement import rounding

COLORS = {-1: "#332288", 0: "#000000", 1: "#AA4499"}
"""Of the integers that a value is rounded to; those of methods mean methods."""


@figure(refines=False, takes=("r", "n"), paper="Figure 1")
def probabilities(results: Results) -> Figure:
    """Probability of each candidate of rounding.

    (a) two-class methods: P(down) solid and P(up) dashed, over the fraction v - floor(v).
    (b) three-class linear over v in [-1, 1], a colour per integer: two-class special case solid, the third class
    let in by the experiment's ``r`` dashed, its power ``n`` dotted.
    """
    methods, experiment = results.methods, results.experiment
    figure, (left, right) = plt.subplots(1, 2, figsize=(2 * COLUMN, 3.0), sharey=True)
    fraction = torch.linspace(0.001, 0.999, 500, dtype=torch.float64)
    for name in experiment.methods:
        method = rounding.make(methods[name]["rounding"], **methods[name]["parameters"])
        if isinstance(method, rounding.TwoClass):
            down, up = method.probabilities(fraction)
            left.plot(fraction, down, color=methods[name]["color"], label=methods[name]["label"])
            left.plot(fraction, up, color=methods[name]["color"], linestyle="--")
    left.set(xlabel=r"$v - \lfloor v \rfloor$", ylabel="Probability")
    panel_title(left, "a", "two classes: down solid, up dashed")
    _legend_under(left, 4)

    v = torch.linspace(-0.999, 0.999, 1001, dtype=torch.float64)
    for r, n, line in ((1.0, 1.0, "-"), (experiment.r, 1.0, "--"), (1.0, experiment.n, ":")):
        for integer, chances in _by_integer(rounding.ThreeClassLinear(r=r, n=n), v).items():
            label = f"r = {r:g}, n = {n:g}" if integer == 0 else None
            right.plot(v, chances, color=COLORS[integer], linestyle=line, label=label)
    for integer, color in COLORS.items():
        right.text(0.93 * integer, 1.05, f"$P({integer})$", color=color, ha="center", fontsize=7)
    right.set_ylim(top=1.12)
    right.set_xlabel("$v$")
    right.set_xticks([-1, -0.5, 0, 0.5, 1], ["−1", "−0.5", "0", "0.5", "1"])
    panel_title(right, "b", "three classes, extended linear")
    _legend_under(right, 3)
    return figure


def _legend_under(axis: Axes, columns: int) -> None:
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=columns, handlelength=1.5, columnspacing=1)


def _by_integer(method: Any, v: Any) -> dict[int, np.ndarray]:
    """P(v is rounded to k) for k = -1, 0, 1, whichever of the method's candidates k is."""
    candidates, chances = method.candidates(v).numpy(), method.probabilities(v).numpy()
    return {k: np.where(candidates == k, chances, 0).sum(axis=0) for k in (-1, 0, 1)}
