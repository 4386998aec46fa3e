from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns

from sgaplus import records
from sgaplus.analysis import published
from sgaplus.analysis.rd_curves import base_curve, kept, points
from sgaplus.analysis.selection import at_step
from sgaplus.artifacts import figures
from sgaplus.errors import ConfigError
from tests.synthetic import LMBDAS, METHODS, refined

ENTRY = {"dataset": "demo", "models": ["model_lmbda0.01"], "steps": [2000], "seeds": [0]}
STEPS = (0, 50, 100, 500, 1000, 2000)


@pytest.fixture(autouse=True)
def _styled():
    """As ``draw`` sets it; figures are closed afterwards."""
    with plt.rc_context():
        sns.set_theme(context="paper", style="ticks", rc=figures.STYLE)
        yield
    plt.close("all")


def lines(axis):
    return {line.get_label(): line for line in axis.lines}


def mean(rows, column, **where):
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows.groupby("step")[column].mean()


def assert_legible(figure):
    """Every axis is labelled, labels and legends lie within the figure, and legends over no axes."""
    figure.canvas.draw()
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
    assert all(axis.get_xlabel() for axis in panels)
    for text in (text for axis in panels for text in (axis.xaxis.label, axis.yaxis.label, axis.title)):
        inside = figure.bbox.padded(1).count_contains(text.get_window_extent().corners()) == 4
        assert inside or not text.get_text(), text.get_text()
    for legend in [*figure.legends, *(axis.get_legend() for axis in panels)]:
        if legend is not None:
            box = legend.get_window_extent()
            assert figure.bbox.x0 - 1 <= box.x0 < box.x1 <= figure.bbox.x1 + 1
            assert figure.bbox.y0 - 1 <= box.y0
            assert not any(box.overlaps(axis.get_window_extent()) for axis in panels)


def test_loss_curves_draw_each_method_in_its_colour_over_all_steps():
    rows = refined(steps=STEPS)
    figure = figures.loss_curves(rows, {**ENTRY, "methods": ["sga", "ssl"]}, METHODS)
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
    figure = figures.loss_curves(refined(steps=STEPS), {**ENTRY, "methods": ["ssl"], "panels": ["true_loss"]}, METHODS)
    (axis,) = figure.axes
    (band,) = axis.collections
    vertices = band.get_paths()[0].vertices
    y = lines(axis)["SSL"].get_ydata()
    at = [vertices[vertices[:, 0] == step, 1] for step in STEPS]
    np.testing.assert_allclose(at[0], y[0])
    assert at[-1].min() < y[-1] < at[-1].max()


def test_panels_are_those_asked_for_in_order():
    entry = {**ENTRY, "methods": ["ssl"], "panels": ["bpp", "difference"]}
    figure = figures.loss_curves(refined(), entry, METHODS)
    assert [axis.get_ylabel() for axis in figure.axes] == ["Rate (bpp)", "Method loss − true loss"]


def test_curves_end_where_the_experiment_does():
    figure = figures.loss_curves(refined(), {**ENTRY, "methods": ["ssl"], "steps": [500]}, METHODS)
    assert lines(figure.axes[0])["SSL"].get_xdata().max() == 500


def test_a_sweep_has_a_line_per_value_in_colours_of_its_own():
    sweep = {"a": [0.65, 1.3333, 2.3]}
    rows = refined(("ssl",), sweep=sweep)
    figure = figures.loss_curves(rows, {**ENTRY, "methods": ["ssl"], "sweep": sweep}, METHODS)
    drawn = lines(figure.axes[0])
    assert list(drawn) == ["a = 0.65", "a = 1.3333", "a = 2.3", "Base model"]
    np.testing.assert_allclose(drawn["a = 0.65"].get_ydata(), mean(rows, "true_loss", variant="ssl_a0.65"))
    assert len({tuple(drawn[name].get_color()) for name in list(drawn)[:3]}) == 3
    assert_legible(figure)


def test_a_sweep_of_several_methods_names_them():
    sweep = {"tau_max": [0.5, 1.0]}
    entry = {**ENTRY, "methods": ["sga", "ssl"], "sweep": sweep}
    drawn = lines(figures.loss_curves(refined(sweep=sweep), entry, METHODS).axes[0])
    assert len(drawn) == 5
    assert (
        drawn[r"SGA, $\tau_\mathrm{max}$ = 1"].get_linestyle() != drawn[r"SSL, $\tau_\mathrm{max}$ = 1"].get_linestyle()
    )


def test_a_diverging_method_does_not_squash_the_others_in_any_panel():
    rows = refined()
    rows.loc[(rows["method"] == "sga") & (rows["step"] == 2000), ["true_loss", "bpp"]] = 1e6
    for axis in figures.loss_curves(rows, {**ENTRY, "methods": ["sga", "ssl"]}, METHODS).axes:
        assert axis.get_ylim()[1] < 100


def test_rate_distortion_has_a_panel_per_step_count_and_a_point_per_model():
    rows = refined(lmbdas=LMBDAS)
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000]}
    figure = figures.rate_distortion(rows, entry, METHODS)
    assert len(figure.axes) == 2
    for axis, steps in zip(figure.axes, (500, 2000), strict=True):
        drawn = lines(axis)
        assert {"Base model", "SGA", "SSL"} <= set(drawn)
        own = points(at_step(rows[rows["method"] == "ssl"], steps))
        np.testing.assert_allclose(np.transpose(drawn["SSL"].get_data()), own)
        np.testing.assert_allclose(np.transpose(drawn["Base model"].get_data()), base_curve(rows).mean(axis=1))
        (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
        for line in (drawn["SSL"], drawn["Base model"]):
            assert left < line.get_xdata().min() < line.get_xdata().max() < right
            assert bottom < line.get_ydata().min() < line.get_ydata().max() < top
    assert_legible(figure)


def test_published_curves_lie_behind_those_of_the_same_data_set_only():
    rows = refined(lmbdas=LMBDAS)
    entry = {**ENTRY, "methods": ["ssl"]}
    drawn = lines(figures.rate_distortion(rows, {**entry, "dataset": "kodak"}, METHODS).axes[0])
    curve = published.curves("kodak")[published.SGA]
    np.testing.assert_allclose(np.transpose(drawn["SGA (Yang 2020)"].get_data()), curve)
    assert drawn["SGA (Yang 2020)"].get_zorder() < drawn["SSL"].get_zorder()
    ours = figures.rate_distortion(rows, entry, METHODS)
    assert not any("Yang" in name for name in lines(ours.axes[0]))
    one = figures.rate_distortion(rows, {**entry, "dataset": "kodak"}, METHODS)
    assert_legible(one)


def test_error_bars_are_those_of_the_change_from_the_base_model():
    rows = refined(("ssl",), lmbdas=(0.001, 0.01))
    axis = figures.rate_distortion(rows, {**ENTRY, "methods": ["ssl"]}, METHODS).axes[0]
    last, base = (at_step(rows[rows["model_lmbda"] == 0.001], step).set_index("image")["bpp"] for step in (2000, 0))
    segments = axis.collections[0].get_segments()[0]
    low, high = figures.interval((last - base).to_numpy())
    np.testing.assert_allclose(segments[:, 0], [base.mean() + low, base.mean() + high])


def test_the_actual_rate_is_drawn_where_it_is_known():
    rows = refined(("ssl",), lmbdas=LMBDAS)
    entry = {**ENTRY, "methods": ["ssl"], "bitrate": "actual"}
    axis = figures.rate_distortion(rows, entry, METHODS).axes[0]
    expected = at_step(rows, 2000).assign(rate=lambda r: 8 * r["bytes"].astype(float) / (r["width"] * r["height"]))
    np.testing.assert_allclose(lines(axis)["SSL"].get_xdata(), expected.groupby("model_lmbda")["rate"].mean())
    with pytest.raises(ConfigError, match="bitrate: actual"):
        figures.rate_distortion(rows, {**entry, "steps": [500]}, METHODS)


def test_multi_rate_leaves_out_what_lies_far_below_the_base_curve():
    rows = refined(("ssl",), lmbdas=LMBDAS, targets=LMBDAS)
    operating = points(at_step(rows, 2000)).reset_index()
    base = base_curve(rows).mean(axis=1)
    keep = kept(operating[["bpp", "psnr"]].to_numpy(), base, 0.05)
    assert 0 < keep.sum() < len(keep)
    for prune, expected in ((0.05, operating[keep]), (None, operating)):
        figure = figures.multi_rate(rows, {**ENTRY, "methods": ["ssl"], "prune": prune}, METHODS)
        drawn = lines(figure.axes[0])
        for lmbda in LMBDAS:
            own = expected[expected["model_lmbda"] == lmbda]
            np.testing.assert_allclose(np.transpose(drawn[f"λ = {lmbda:g}"].get_data()), own[["bpp", "psnr"]])
        np.testing.assert_allclose(np.transpose(drawn["Base models"].get_data()), base)
        assert_legible(figure)


def test_multi_rate_marks_the_model_that_is_refined_toward_its_own_lambda():
    rows = refined(("ssl",), lmbdas=LMBDAS, targets=LMBDAS)
    axis = figures.multi_rate(rows, {**ENTRY, "methods": ["ssl"]}, METHODS).axes[0]
    edged = [line for line in axis.lines if line.get_markeredgecolor() == "black" and line.get_linestyle() == "None"]
    own = points(at_step(rows, 2000)).reset_index().query("model_lmbda == target_lmbda")
    marked = np.concatenate([np.transpose(line.get_data()) for line in edged])
    np.testing.assert_allclose(marked, own[["bpp", "psnr"]])


def test_a_grid_shows_the_mean_loss_the_best_and_the_configured_setting():
    sweep = {"r": [0.8, 0.9, 0.98], "n": [1.0, 1.5]}
    rows = refined(("linear3", "ssl3"), sweep=sweep)
    rows.loc[rows["variant"] == "linear3_r0.8_n1", "true_loss"] -= 0.1
    figure = figures.grid(rows, {**ENTRY, "methods": ["linear3", "ssl3"], "sweep": sweep}, METHODS)
    axis = figure.axes[0]
    values = axis.images[0].get_array()
    assert values.shape == (2, 3)
    last = at_step(rows[rows["variant"] == "linear3_r0.9_n1"], 2000)
    assert values[0, 1] == pytest.approx(last["true_loss"].mean())
    assert f"{last['true_loss'].mean():.4f}" in [text.get_text() for text in axis.texts]
    centres = [patch.get_xy() + np.array([patch.get_width(), patch.get_height()]) / 2 for patch in axis.patches]
    np.testing.assert_allclose(centres, [[0, 0], [2, 1]])
    assert len(figure.axes[1].patches) == 1  # its configured r is not on the grid
    assert_legible(figure)


def test_cost_is_saving_against_seconds_per_image():
    rows = refined(lmbdas=LMBDAS, images=2)
    entry = {**ENTRY, "models": list(LMBDAS), "methods": ["sga", "ssl"], "steps": [100, 500, 2000]}
    figure = figures.cost(rows, entry, METHODS)
    (axis,) = figure.axes
    assert axis.get_xscale() == "log"
    np.testing.assert_allclose(lines(axis)["SSL"].get_xdata(), [10, 50, 200])
    assert (np.diff(lines(axis)["SSL"].get_ydata()) > 0).all()
    assert axis.get_ylabel() == "Bits saved at equal PSNR (%)"
    assert_legible(figure)


def test_cost_of_one_model_is_against_the_true_loss():
    axis = figures.cost(refined(images=2), {**ENTRY, "methods": ["ssl"], "steps": [500]}, METHODS).axes[0]
    assert axis.get_ylabel() == "True R-D loss saved (%)"


def test_budget_is_the_excess_over_the_reference_by_seconds_per_image():
    rows = refined(lmbdas=(0.01, 0.02), steps=STEPS, last={"ssl": 500})
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [100, 500, 2000], "against": "sga"}
    figure = figures.budget(rows, entry, METHODS)
    (axis,) = figure.axes
    x, y = lines(axis)["SSL"].get_data()
    np.testing.assert_allclose(x, [5, 10, 50])  # 0.2 s a step for two images
    losses = {lmbda: mean(rows, "true_loss", method="ssl", model_lmbda=lmbda)[500] for lmbda in (0.01, 0.02)}
    ends = {lmbda: mean(rows, "true_loss", method="sga", model_lmbda=lmbda)[2000] for lmbda in (0.01, 0.02)}
    assert y[-1] == pytest.approx(100 * (np.mean([losses[lmbda] / ends[lmbda] for lmbda in ends]) - 1))
    assert lines(axis)["SGA"].get_ydata()[-1] == pytest.approx(0, abs=1e-9)
    assert lines(axis)["SSL"].get_markevery() == [1, 2]
    assert_legible(figure)


@pytest.mark.parametrize("draw", [figures.budget, figures.cost])
def test_a_legend_of_every_method_leaves_room_for_the_labels(draw):
    methods = {f"{name}{i}": {**METHODS[name], "label": "A method of a long name"} for name in METHODS for i in "12"}
    rows = pd.concat([refined([name], lmbdas=LMBDAS).assign(method=f"{name}{i}") for name in METHODS for i in "12"])
    entry = {**ENTRY, "models": list(LMBDAS), "methods": list(methods), "steps": [100, 500, 2000], "against": "sga1"}
    assert_legible(draw(rows, entry, methods))


def test_curves_of_a_method_that_ends_early_are_drawn_where_it_has_them():
    rows = refined(lmbdas=LMBDAS, steps=(0, 500, 2000), last={"ssl": 500})
    figure = figures.rate_distortion(rows, {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000]}, METHODS)
    assert ["SSL" in lines(axis) for axis in figure.axes] == [True, False]


def test_gap_has_a_point_per_image_at_the_last_step():
    rows = refined(("ssl",), lmbdas=(0.001, 0.01), images=3)
    figure = figures.gap(rows, {**ENTRY, "methods": ["ssl"]}, METHODS)
    (axis,) = figure.axes
    last = at_step(rows, 2000)
    sizes = last["bpp"] * last["width"] * last["height"] / 8
    x, y = lines(axis)["SSL"].get_data()
    np.testing.assert_allclose(np.sort(x), np.sort(sizes))
    np.testing.assert_allclose(np.sort(y), np.sort(100 * (last["bytes"].astype(float) / sizes - 1)))
    allowed_x, allowed_y = lines(axis)["2 % + 64 bytes"].get_data()
    np.testing.assert_allclose(allowed_y * allowed_x / 100, 0.02 * allowed_x + 64)
    assert_legible(figure)


def test_probabilities_are_those_of_the_methods():
    figure = figures.probabilities({"methods": ["sga", "ssl"]}, METHODS)
    left, right = figure.axes
    ssl = next(line for line in left.lines if line.get_label() == "SSL")
    d = np.asarray(ssl.get_xdata())
    np.testing.assert_allclose(ssl.get_ydata(), 1 / (1 + (d / (1 - d)) ** 2.3), atol=1e-6)
    two_class = next(line for line in right.lines if line.get_label() == "r = 1, n = 1")
    v = np.asarray(two_class.get_xdata())
    np.testing.assert_allclose(two_class.get_ydata(), 1 - np.abs(v), atol=1e-4)


@pytest.mark.parametrize("kind", sorted(figures.FIGURES))
def test_drawing_writes_each_format_and_the_same_bytes_for_the_same_records(tmp_path, monkeypatch, kind):
    sweep = {"r": [0.8, 0.98], "n": [1.0, 1.5]} if kind == "grid" else None
    methods = ["linear3"] if kind == "grid" else ["sga", "ssl"]
    rows = refined(methods, lmbdas=LMBDAS[:3], images=2, sweep=sweep)
    monkeypatch.setattr(records, "read", lambda paths: rows)
    entry = {**ENTRY, "figure": kind, "models": ["low", "middle", "high"], "methods": methods, "sweep": sweep}
    entry["against"] = "ssl"
    for name in ("one", "two"):
        outputs = [str(tmp_path / f"{name}.pdf"), str(tmp_path / f"{name}.png")]
        figures.draw("records.parquet", entry, METHODS, outputs)
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_pictures_stand_side_by_side_with_the_framed_part_enlarged_below():
    rng = np.random.default_rng(0)
    shown = {name: rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for name in ("Original", "Base", "Refined")}
    figure = figures.pictures(shown, [8, 16, 20, 10])
    for (name, picture), whole, part in zip(shown.items(), figure.axes[:3], figure.axes[3:], strict=True):
        assert whole.get_title() == name
        assert np.array_equal(whole.images[0].get_array(), picture)
        assert np.array_equal(part.images[0].get_array(), picture[16:26, 8:28])
        (frame,) = whole.patches
        assert (frame.get_x(), frame.get_y(), frame.get_width(), frame.get_height()) == (7.5, 15.5, 20, 10)


def test_without_a_crop_the_middle_is_enlarged():
    figure = figures.pictures({"one": np.zeros((48, 64, 3), np.uint8), "two": np.zeros((48, 64, 3), np.uint8)}, None)
    assert figure.axes[2].images[0].get_array().shape == (12, 16, 3)


def test_training_curves_have_a_line_per_model_and_a_point_per_evaluation():
    steps = np.arange(0, 1000, 100)
    metrics = {
        model: pd.DataFrame(
            {
                **{"step": steps, "loss": 5 - steps / 500, "psnr": 20 + steps / 100, "bpp": 0.5 + steps / 1e4},
                **{f"test_{name}": np.where(steps % 500 == 0, 1.0, np.nan) for name in ("loss", "psnr", "bpp")},
            }
        )
        for model in ("low", "high")
    }
    figure = figures.training_curves(metrics)
    assert len(figure.axes) == 3
    for axis in figure.axes:
        crops, points = axis.lines[::2], axis.lines[1::2]
        assert [line.get_label() for line in crops] == ["low", "high"]
        assert all(list(line.get_xdata()) == [1, 501] for line in points)
        assert axis.get_xlabel()
        assert axis.get_ylabel()
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), 20 + steps / 100)
