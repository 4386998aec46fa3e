from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgaplus import figures, records

METHODS = {
    "sga": {"label": "SGA", "color": "#0072B2", "marker": "D", "rounding": "sga", "parameters": {}},
    "ssl": {"label": "SSL", "color": "#D55E00", "marker": "o", "rounding": "ssl", "parameters": {"a": 2.3}},
}


@pytest.fixture
def rows():
    table = []
    for model, lmbda in (("low", 0.001), ("high", 0.1)):
        for image in ("a", "b"):
            for method in METHODS:
                for step in (0, 10, 20):
                    gain = step * (2 if method == "ssl" else 1) / 1000
                    bpp, mse = lmbda * 5 - gain + 0.1, 40.0 - 100 * lmbda
                    table.append(
                        {
                            **{"dataset": "d", "image": image, "model": model, "model_lmbda": lmbda},
                            **{"target_lmbda": lmbda, "method": method, "variant": method, "step": step, "seed": 0},
                            **{"bpp": bpp, "mse": mse, "psnr": 10 * np.log10(255**2 / mse)},
                            **{"true_loss": bpp + lmbda * mse, "method_loss": bpp + lmbda * mse + 0.01},
                        }
                    )
    return pd.DataFrame(table)


def test_loss_curves_draw_each_method_in_its_colour_over_all_steps(rows):
    low = rows[rows["model"] == "low"]
    figure = figures.loss_curves(low, {"methods": ["sga", "ssl"]}, METHODS)
    assert len(figure.axes) == 4
    true_loss, difference, *_ = figure.axes
    curves = {line.get_label(): line for line in true_loss.lines}
    assert curves["SSL"].get_color() == "#D55E00"
    expected = low[low["method"] == "ssl"].groupby("step")["true_loss"].mean()
    np.testing.assert_allclose(curves["SSL"].get_ydata(), expected)
    np.testing.assert_allclose({line.get_label(): line for line in difference.lines}["SGA"].get_ydata(), 0.01)
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in figure.axes)


def test_a_diverging_method_does_not_squash_the_others(rows):
    low = rows[rows["model"] == "low"].copy()
    low.loc[(low["method"] == "sga") & (low["step"] == 20), "true_loss"] = 1e6
    figure = figures.loss_curves(low, {"methods": ["sga", "ssl"]}, METHODS)
    assert figure.axes[0].get_ylim()[1] < 10


def test_rate_distortion_has_a_panel_per_step_count_and_a_point_per_model(rows):
    figure = figures.rate_distortion(rows, {"methods": ["sga", "ssl"], "steps": [10, 20]}, METHODS)
    assert len(figure.axes) == 2
    at_20 = {line.get_label(): line for line in figure.axes[1].lines}
    assert set(at_20) == {"Base model", "SGA", "SSL"}
    np.testing.assert_allclose(at_20["SSL"].get_xdata(), [0.1 + 0.005 - 0.04, 0.1 + 0.5 - 0.04])
    np.testing.assert_allclose(at_20["Base model"].get_xdata(), [0.105, 0.6])


def test_probabilities_are_those_of_the_methods():
    figure = figures.probabilities({"methods": ["sga", "ssl"]}, METHODS)
    left, right = figure.axes
    ssl = next(line for line in left.lines if line.get_label() == "SSL")
    d = np.asarray(ssl.get_xdata())
    np.testing.assert_allclose(ssl.get_ydata(), 1 / (1 + (d / (1 - d)) ** 2.3), atol=1e-6)
    two_class = next(line for line in right.lines if line.get_label() == "r = 1, n = 1")
    v = np.asarray(two_class.get_xdata())
    np.testing.assert_allclose(two_class.get_ydata(), 1 - np.abs(v), atol=1e-4)


def test_drawing_writes_each_format_and_the_same_bytes_for_the_same_records(tmp_path, rows):
    records.write(rows.to_dict("records"), tmp_path / "r.parquet")
    experiment = {"figure": "rate_distortion", "methods": ["sga", "ssl"], "steps": [20]}
    for name in ("one", "two"):
        outputs = [str(tmp_path / f"{name}.pdf"), str(tmp_path / f"{name}.png")]
        figures.draw(tmp_path / "r.parquet", experiment, METHODS, outputs)
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


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
