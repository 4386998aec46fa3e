from __future__ import annotations

import pandas as pd
import pytest

from sgaplus import tables

LABELS = {"sga": "SGA", "ssl": "SSL"}


@pytest.fixture
def rows():
    """Two images, two methods, two temperatures, two seeds; losses that are easy to average by hand."""
    table = []
    for image, of_image in (("a", 0.0), ("b", 1.0)):
        for method, of_method in (("sga", 0.2), ("ssl", 0.1)):
            for tau_max, of_tau in ((0.5, 0.01), (1.0, 0.02)):
                for seed in (0, 1):
                    for step in (0, 10, 20):
                        loss = 5 + of_image if step == 0 else of_image + of_method + of_tau + 0.004 * seed - step / 100
                        table.append(("d", image, "m", 0.01, method, tau_max, seed, step, loss))
    columns = ["dataset", "image", "model", "target_lmbda", "method", "tau_max", "seed", "step", "true_loss"]
    return pd.DataFrame(table, columns=columns)


def test_a_sweep_has_a_row_per_method_and_the_mean_of_the_last_step(rows):
    experiment = {"sweep": {"tau_max": [0.5, 1.0]}, "methods": ["ssl", "sga"], "steps": [10, 20]}
    table = tables.sweep(rows, experiment, LABELS)
    assert list(table.index) == ["SSL", "SGA"]
    assert list(table.columns) == ["0.5", "1"]
    # mean over images 0.5, over seeds 0.002
    assert table.loc["SSL", "0.5"] == pytest.approx(0.5 + 0.1 + 0.01 + 0.002 - 0.2)
    assert table.loc["SGA", "1"] == pytest.approx(0.5 + 0.2 + 0.02 + 0.002 - 0.2)


def test_a_sweep_of_a_roundings_own_parameter_reads_it_from_the_parameters(rows):
    rows = rows.assign(parameters=['{"a": %g}' % (2 * tau) for tau in rows["tau_max"]]).drop(columns="tau_max")
    experiment = {"sweep": {"a": [1.0, 2.0]}, "methods": ["ssl"], "steps": [20]}
    table = tables.sweep(rows, experiment, LABELS)
    assert table.loc["SSL", "2"] == pytest.approx(0.5 + 0.1 + 0.02 + 0.002 - 0.2)


def test_steps_has_the_base_model_and_the_spread_over_seeds(rows):
    rows = rows[rows["tau_max"] == 0.5]
    experiment = {"methods": ["sga", "ssl"], "steps": [10, 20], "seeds": [0, 1]}
    table = tables.steps(rows, experiment, LABELS)
    assert list(table.index) == ["Base model", "SGA", "SSL"]
    assert table.loc["Base model", "20"] == pytest.approx(5.5)
    assert table.loc["SSL", "10"] == pytest.approx(0.5 + 0.1 + 0.01 + 0.002 - 0.1)
    assert table.loc["SSL", "10 s.d."] == pytest.approx(0.004 / 2**0.5)


def test_the_base_model_counts_each_image_once(rows):
    assert len(tables.base_model(rows)) == 2


def test_the_lowest_loss_of_each_column_is_bold_and_spreads_are_not(tmp_path):
    table = pd.DataFrame({"10": [0.5, 0.4], "10 s.d.": [0.1, 0.2]}, index=["SGA", "SSL"])
    tables.write(table, tmp_path / "t.csv", tmp_path / "t.md", tmp_path / "t.html")
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert "**0.4000**" in lines[3]
    assert "**" not in lines[2]
    assert "<b>0.4000</b>" in (tmp_path / "t.html").read_text()
    assert pd.read_csv(tmp_path / "t.csv", index_col=0).loc["SSL", "10"] == 0.4
