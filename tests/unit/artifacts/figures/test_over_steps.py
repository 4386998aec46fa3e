from __future__ import annotations

import numpy as np
import pandas as pd

from sgaplus.analysis.intervals import paired
from sgaplus.artifacts.figures import over_steps
from tests.synthetic import refined, results

from .reading import ENTRY, STEPS, assert_legible, lines, mean


def test_loss_curves_draw_each_method_in_its_colour_over_all_steps():
    rows = refined(steps=STEPS)
    papers = {"panels": ["true_loss", "difference", "psnr", "bpp"]}
    figure = over_steps.loss_curves(results(rows, {**ENTRY, "methods": ["sga", "ssl"], **papers}))
    assert len(figure.axes) == 4
    true_loss, difference, psnr, bpp = figure.axes
    assert lines(true_loss)["SSL"].get_color() == "#D55E00"
    for axis, column in ((true_loss, "true_loss"), (psnr, "psnr"), (bpp, "bpp")):
        np.testing.assert_allclose(lines(axis)["SSL"].get_ydata(), mean(rows, column, method="ssl"))
        np.testing.assert_allclose(lines(axis)["Base model"].get_ydata(), rows[rows["step"] == 0][column].mean())
    expected = mean(rows, "method_loss", method="sga") - mean(rows, "true_loss", method="sga")
    np.testing.assert_allclose(lines(difference)["SGA"].get_ydata(), expected)
    assert "Base model" not in lines(difference)
    assert_legible(figure)


def test_bands_hold_the_line_and_have_no_width_at_the_base_model():
    figure = over_steps.loss_curves(
        results(refined(steps=STEPS), {**ENTRY, "methods": ["ssl"], "panels": ["true_loss"]})
    )
    (axis,) = figure.axes
    (band,) = axis.collections
    low, high = band.get_segments()
    y = lines(axis)["SSL"].get_ydata()
    np.testing.assert_allclose([low[0], high[0]], [[STEPS[0], y[0]]] * 2)
    assert low[-1, 1] < y[-1] < high[-1, 1]


def test_panels_are_those_asked_for_in_order():
    entry = {**ENTRY, "methods": ["ssl"], "panels": ["bpp", "difference"]}
    figure = over_steps.loss_curves(results(refined(), entry))
    assert [axis.get_ylabel() for axis in figure.axes] == ["Rate (bpp)", "Method loss − true loss"]


def test_curves_end_where_the_experiment_does():
    figure = over_steps.loss_curves(results(refined(), {**ENTRY, "methods": ["ssl"], "steps": [500]}))
    assert lines(figure.axes[0])["SSL"].get_xdata().max() == 500


def test_a_sweep_has_a_line_per_value_in_colours_of_its_own():
    sweep = {"a": [0.65, 1.3333, 2.3]}
    rows = refined(("ssl",), sweep=sweep)
    figure = over_steps.loss_curves(results(rows, {**ENTRY, "methods": ["ssl"], "sweep": sweep}))
    drawn = lines(figure.axes[0])
    assert list(drawn) == ["a = 0.65 (about SGA)", "a = 1.33 (about cosine)", "a = 2.3", "Base model"]
    np.testing.assert_allclose(drawn["a = 0.65 (about SGA)"].get_ydata(), mean(rows, "true_loss", variant="ssl_a0.65"))
    assert len({tuple(drawn[name].get_color()) for name in list(drawn)[:3]}) == 3
    assert_legible(figure)


def test_a_sweep_of_several_methods_names_them():
    sweep = {"tau_max": [0.5, 1.0]}
    entry = {**ENTRY, "methods": ["sga", "ssl"], "sweep": sweep}
    drawn = lines(over_steps.loss_curves(results(refined(sweep=sweep), entry)).axes[0])
    assert len(drawn) == 5
    assert (
        drawn[r"SGA, $\tau_\mathrm{max}$ = 1"].get_linestyle() != drawn[r"SSL, $\tau_\mathrm{max}$ = 1"].get_linestyle()
    )


def test_a_diverging_method_does_not_squash_the_others_in_any_panel():
    rows = refined()
    rows.loc[(rows["method"] == "sga") & (rows["step"] == 2000), ["true_loss", "bpp"]] = 1e6
    for axis in over_steps.loss_curves(results(rows, {**ENTRY, "methods": ["sga", "ssl"]})).axes:
        assert axis.get_ylim()[1] < 100


PAIRED = ["true_loss", "from_base", "from_best"]


def test_differences_are_taken_image_by_image_from_the_base_model_and_from_the_lowest_line():
    rows = refined(steps=STEPS, images=9)
    figure = over_steps.loss_curves(results(rows, {**ENTRY, "methods": ["sga", "ssl"], "panels": PAIRED}))
    _, from_base, from_best = figure.axes
    loss = {method: mean(rows, "true_loss", method=method) for method in ("sga", "ssl")}
    np.testing.assert_allclose(lines(from_base)["SGA"].get_ydata(), loss["sga"] - loss["sga"][0])
    np.testing.assert_allclose(lines(from_best)["SGA"].get_ydata(), loss["sga"] - loss["ssl"], atol=1e-12)
    assert from_best.get_ylabel() == "True R-D loss − that of\nSSL"
    *_, last = from_best.collections[0].get_segments()  # SGA's bars
    found = paired(rows, "sga", "ssl", STEPS[-1])
    np.testing.assert_allclose(last[:, 1], found[1:])
    assert found.low > 0
    assert_legible(figure)


def test_many_lines_have_no_bands_and_their_long_bars_only_in_the_end():
    sweep = {"a": [0.5, 0.65, 1, 1.3333, 2.3]}
    rows = refined(("ssl",), sweep=sweep, images=9)
    entry = {**ENTRY, "methods": ["ssl"], "sweep": sweep, "panels": PAIRED}
    true_loss, from_base, from_best = over_steps.loss_curves(results(rows, entry)).axes
    assert not true_loss.collections
    assert {len(bars.get_segments()) for bars in from_base.collections} == {1}
    assert {len(bars.get_segments()) for bars in from_best.collections} == {4}


def test_a_method_loss_far_from_the_true_one_does_not_squash_the_others():
    rows = pd.concat([refined(), refined(["linear", "ste"])])
    rows.loc[rows["method"] == "ste", "method_loss"] += 10
    entry = {**ENTRY, "methods": ["ste", "sga", "linear", "ssl"], "panels": ["difference"]}
    (axis,) = over_steps.loss_curves(results(rows, entry)).axes
    assert axis.get_ylim()[1] < 1


def test_lines_can_be_told_apart_without_colours():
    methods = ["ste", "uniform", "sga", "ssl"]
    drawn = lines(over_steps.loss_curves(results(refined(methods), {**ENTRY, "methods": methods})).axes[0])
    assert len({line.get_marker() for name, line in drawn.items() if name != "Base model"}) == 4
