from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgaplus.analysis import cost as analysis
from sgaplus.analysis.selection import at_step
from sgaplus.artifacts.figures import costs
from tests.synthetic import LMBDAS, METHODS, refined, results

from .reading import ENTRY, STEPS, assert_legible, lines, mean


def test_saving_has_the_method_that_saves_most_at_the_top_and_its_number_after_the_most_steps():
    entry = {**ENTRY, "models": list(LMBDAS), "methods": ["ssl", "sga"], "steps": [500, 2000]}
    shown = results(refined(lmbdas=LMBDAS, images=3), entry)
    figure = costs.saving(shown)
    (axis,) = figure.axes
    found = analysis.costs(shown.records, shown.experiment)["saved"]
    best, worst = sorted(entry["methods"], key=lambda method: -found[method, 2000])
    names = [METHODS[method]["label"] for method in (worst, best)]
    assert [label.get_text() for label in axis.get_yticklabels()] == names
    assert [text.get_text() for text in axis.texts] == [f"{found[method, 2000]:.1f} %" for method in (worst, best)]
    drawn = [points.get_offsets()[:, 0] for points in axis.collections if len(points.get_offsets()) == 2]
    np.testing.assert_allclose(drawn, [found[worst], found[best]])
    assert_legible(figure)


def test_saving_of_one_model_is_of_the_true_loss():
    axis = costs.saving(results(refined(images=2), {**ENTRY, "methods": ["ssl"], "steps": [500]})).axes[0]
    assert axis.get_xlabel() == "True R-D loss saved (%)"


def test_cost_is_saving_against_seconds_per_image():
    rows = refined(lmbdas=LMBDAS, images=2)
    entry = {**ENTRY, "models": list(LMBDAS), "methods": ["sga", "ssl"], "steps": [100, 500, 2000]}
    figure = costs.cost(results(rows, entry))
    (axis,) = figure.axes
    assert axis.get_xscale() == "log"
    np.testing.assert_allclose(lines(axis)["SSL"].get_xdata(), [10, 50, 200])
    assert (np.diff(lines(axis)["SSL"].get_ydata()) > 0).all()
    assert axis.get_ylabel() == "Bits saved at equal PSNR (%)"
    assert_legible(figure)


def test_cost_of_one_model_is_against_the_true_loss():
    axis = costs.cost(results(refined(images=2), {**ENTRY, "methods": ["ssl"], "steps": [500]})).axes[0]
    assert axis.get_ylabel() == "True R-D loss saved (%)"


def test_budget_is_the_excess_over_the_reference_by_seconds_per_image():
    rows = refined(lmbdas=(0.01, 0.02), steps=STEPS, last={"ssl": 500})
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [100, 500, 2000], "against": "sga"}
    figure = costs.budget(results(rows, entry))
    (axis,) = figure.axes
    x, y = lines(axis)["SSL"].get_data()
    np.testing.assert_allclose(x, [5, 10, 50])  # 0.2 s a step for two images
    losses = {lmbda: mean(rows, "true_loss", method="ssl", model_lmbda=lmbda)[500] for lmbda in (0.01, 0.02)}
    ends = {lmbda: mean(rows, "true_loss", method="sga", model_lmbda=lmbda)[2000] for lmbda in (0.01, 0.02)}
    assert y[-1] == pytest.approx(100 * (np.mean([losses[lmbda] / ends[lmbda] for lmbda in ends]) - 1))
    assert lines(axis)["SGA"].get_ydata()[-1] == pytest.approx(0, abs=1e-9)
    assert lines(axis)["SSL"].get_markevery() == [1, 2]
    assert_legible(figure)


@pytest.mark.parametrize("draw", [costs.budget, costs.cost])
def test_a_legend_of_every_method_leaves_room_for_the_labels(draw):
    methods = {f"{name}{i}": {**METHODS[name], "label": "A method of a long name"} for name in METHODS for i in "12"}
    rows = pd.concat([refined([name], lmbdas=LMBDAS).assign(method=f"{name}{i}") for name in METHODS for i in "12"])
    entry = {**ENTRY, "models": list(LMBDAS), "methods": list(methods), "steps": [100, 500, 2000], "against": "sga1"}
    assert_legible(draw(results(rows, entry, methods)))


def test_gap_has_a_point_per_image_at_the_last_step():
    rows = refined(("ssl",), lmbdas=(0.001, 0.01), images=3)
    figure = costs.gap(results(rows, {**ENTRY, "methods": ["ssl"]}))
    (axis,) = figure.axes
    last = at_step(rows, 2000)
    sizes = last["bpp"] * last["width"] * last["height"] / 8
    x, y = lines(axis)["SSL"].get_data()
    np.testing.assert_allclose(np.sort(x), np.sort(sizes))
    np.testing.assert_allclose(np.sort(y), np.sort(100 * (last["bytes"].astype(float) / sizes - 1)))
    allowed_x, allowed_y = lines(axis)["2 % + 64 bytes"].get_data()
    np.testing.assert_allclose(allowed_y * allowed_x / 100, 0.02 * allowed_x + 64)
    assert_legible(figure)
