from __future__ import annotations

import re

import numpy as np
import pytest

from sgaplus.analysis.intervals import interval
from sgaplus.analysis.selection import at_step
from sgaplus.artifacts.tables import losses
from tests.synthetic import METHODS, refined, results

ENTRY = {"dataset": "kodak", "models": ["model_lmbda0.01"], "steps": [2000], "seeds": [0]}
TAU_MAX = {"tau_max": [0.5, 1.0]}


def mean(records, **where):
    for column, value in where.items():
        records = records[records[column] == value]
    return records["true_loss"].mean()


def test_a_sweep_has_a_row_per_method_and_the_mean_of_the_last_step():
    records = refined(("sga", "ssl"), seeds=(0, 1), sweep=TAU_MAX)
    entry = {**ENTRY, "methods": ["ssl", "sga"], "sweep": TAU_MAX, "steps": [500, 2000]}
    table = losses.sweep(results(records, entry))
    assert list(table.values.index) == ["SSL", "SGA"]
    assert list(table.values.columns) == ["0.5", "1"]
    assert table.values.loc["SSL", "0.5"] == pytest.approx(mean(records, method="ssl", tau_max=0.5, step=2000))
    assert table.bold.loc[:, "1"].tolist() == [True, False]


def test_a_sweep_ends_with_the_differences_from_the_best_of_each_column():
    records = refined(("sga", "linear", "ssl"), sweep=TAU_MAX)
    entry = {**ENTRY, "methods": ["sga", "linear", "ssl"], "sweep": TAU_MAX, "differences": ["sga", "linear"]}
    table = losses.sweep(results(records, entry))
    values = table.values
    assert list(values.index) == ["SGA", "Linear", "SSL", "SGA − best", "Linear − best"]
    for column in values:
        best = values[column].iloc[:3].min()
        assert values.loc["SGA − best", column] == pytest.approx(values.loc["SGA", column] - best)
        assert values.loc["Linear − best", column] == pytest.approx(values.loc["Linear", column] - best)
    assert not table.bold.loc[["SGA − best", "Linear − best"]].any(axis=None)
    last = at_step(records[records["tau_max"] == 1.0], 2000).pivot(index="image", columns="method", values="true_loss")
    assert (table.low.loc["SGA − best", "1"], table.high.loc["SGA − best", "1"]) == pytest.approx(
        interval((last["sga"] - last["ssl"]).to_numpy())
    )


def test_the_best_method_is_0_from_the_best():
    entry = {**ENTRY, "methods": ["sga", "ssl"], "sweep": TAU_MAX, "differences": ["ssl"]}
    table = losses.sweep(results(refined(("sga", "ssl"), sweep=TAU_MAX), entry))
    assert table.values.loc["SSL − best"].tolist() == table.high.loc["SSL − best"].tolist() == [0, 0]


def test_one_method_has_a_row_per_value():
    sweep = {"a": [0.65, 1.3333, 2.3]}
    records = refined(("ssl",), sweep=sweep)
    table = losses.sweep(results(records, {**ENTRY, "methods": ["ssl"], "sweep": sweep}))
    assert table.values.index.tolist() == ["0.65", "1.33", "2.3"]
    assert table.values.index.name == "a"
    assert table.values.loc["0.65", losses.LOSS] == pytest.approx(mean(records, variant="ssl_a0.65", step=2000))


def test_a_sweep_of_ssls_shape_names_the_roundings_that_it_contains(written):
    sweep = {"a": [0.65, 1, 1.3333, 2.3]}
    table = losses.sweep(results(refined(("ssl",), sweep=sweep), {**ENTRY, "methods": ["ssl"], "sweep": sweep}))
    assert table.values[losses.SPECIAL_CASE].tolist() == ["about SGA", "linear", "about cosine", ""]
    csv, md, html, tex = written(table)
    assert "1.33,about cosine,0." in csv
    assert re.search(r"\| 1\.33 +\| about cosine +\| ", md)
    assert '1.33</td><td style="text-align: left">about cosine</td>' in html
    assert "1.33 & about cosine & " in tex
    other = losses.sweep(results(refined(("ssl",), sweep=TAU_MAX), {**ENTRY, "methods": ["ssl"], "sweep": TAU_MAX}))
    assert losses.SPECIAL_CASE not in other.values


def test_steps_has_the_base_model_and_the_spread_over_seeds():
    records = refined(("sga", "ssl"), seeds=(0, 1, 2))
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000], "seeds": [0, 1, 2]}
    values = losses.steps(results(records, entry)).values
    assert list(values.index) == ["Base model", "SGA", "SSL"]
    assert values.loc["Base model", "2000"] == pytest.approx(mean(records, step=0))
    assert values.loc["SSL", "500"] == pytest.approx(mean(records, method="ssl", step=500))
    own = at_step(records[records["method"] == "ssl"], 500)
    assert values.loc["SSL", "500 s.d."] == pytest.approx(own.groupby("seed")["true_loss"].mean().std())
    assert np.isnan(values.loc["Base model", "500 s.d."])


def test_an_image_counts_once_however_many_seeds_it_has():
    records = refined(("ssl",), images=2, seeds=(0, 1))
    records = records[(records["image"] == "image00") | (records["seed"] == 0)]
    values = losses.steps(results(records, {**ENTRY, "methods": ["ssl"]})).values
    each = at_step(records, 2000).groupby("image")["true_loss"].mean()
    assert values.loc["SSL", "2000"] == pytest.approx(each.mean())


def test_classes_set_the_larger_step_count_in_brackets(written):
    methods = ["linear", "linear3", "sga", "ssl3"]
    records = refined(methods)
    table = losses.classes(results(records, {**ENTRY, "methods": methods, "steps": [2000, 500]}))
    means = {(name, step): mean(records, method=name, step=step) for name in methods for step in (500, 2000)}
    csv, md, *_ = written(table)
    row = "| Linear     | {:.4f} ({:.4f}) | {:.4f} ({:.4f}) |".format(
        *(means[name, step] for name in ("linear", "linear3") for step in (500, 2000))
    )
    assert re.sub(" +", " ", row) in re.sub(" +", " ", md)
    best = f"**{means['ssl3', 500]:.4f}** (**{means['ssl3', 2000]:.4f}**)"
    assert md.count("**") == 4
    assert best in md
    assert "Three-class, 500 (2000) steps" in md
    assert "Three-class 2000,Three-class 2000 low,Three-class 2000 high" in csv
    assert f"{means['linear3', 2000]:.6f}" in csv


def test_a_grid_names_the_best_setting_and_what_the_configured_one_loses():
    sweep = {"r": [0.8, 0.98], "n": [1.0, 1.5]}
    records = refined(("linear3",), sweep=sweep)
    entry = {**ENTRY, "methods": ["linear3"], "sweep": sweep}
    values = losses.grid(results(records, entry)).values
    assert values.loc["Three-class linear", ["r", "n"]].tolist() == ["0.98", "1.5"]
    assert values.loc["Three-class linear", "Gain"] == 0
    records.loc[records["variant"] == "linear3_n1", "true_loss"] -= 0.1
    values = losses.grid(results(records, entry)).values
    assert values.loc["Three-class linear", ["r", "n"]].tolist() == ["0.98", "1"]
    last = at_step(records, 2000)
    assert values.loc["Three-class linear", "Best"] == pytest.approx(mean(last, variant="linear3_n1"))
    assert values.loc["Three-class linear", "As configured"] == pytest.approx(mean(last, variant="linear3"))


def test_a_grid_says_whether_its_best_setting_lies_on_the_edge():
    sweep = {"r": [0.7, 0.98, 1.0], "n": [1.0, 1.5]}
    records = refined(("linear3",), sweep=sweep)
    entry = {**ENTRY, "methods": ["linear3"], "sweep": sweep}
    table = losses.grid(results(records, entry))
    assert table.values[losses.EDGE].tolist() == ["n"]
    assert table.notes == (losses.BEYOND,)
    sweep["n"] = [1.0, 1.5, 2.0]
    table = losses.grid(results(refined(("linear3",), sweep=sweep), entry | {"sweep": sweep}))
    assert table.values[losses.EDGE].tolist() == ["-"]
    assert not table.notes


@pytest.mark.parametrize(("settings", "said"), [("paper", "the paper's"), ("searched", "found by the search")])
def test_classes_say_where_their_settings_come_from(settings, said):
    entry = {**ENTRY, "methods": ["linear", "linear3"], "steps": [500, 2000]}
    chosen = {name: METHODS[name] for name in ("linear", "linear3")}
    records = refined(("linear", "linear3"))
    assert not losses.classes(results(records, entry, chosen)).notes
    chosen["linear3"] = chosen["linear3"] | {"settings": settings}
    (note,) = losses.classes(results(records, entry, chosen)).notes
    assert note == f"Settings: Three-class linear: r = 0.98, n = 1.5 ({said})."


def test_a_configured_setting_off_the_grid_is_left_empty():
    sweep = {"r": [0.7, 0.8], "n": [1.0, 2.0]}
    table = losses.grid(results(refined(("linear3",), sweep=sweep), {**ENTRY, "methods": ["linear3"], "sweep": sweep}))
    assert table.values.loc["Three-class linear", ["As configured", "Gain"]].isna().all()


def test_a_published_loss_stands_beside_ours_only_where_it_is_comparable(written):
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000]}
    records = refined(("sga", "ssl"))
    csv, md, html, _ = written(losses.steps(results(records, entry)))
    ours = mean(records, method="ssl", step=2000)
    expected = (
        "Published for SSL after 2000 steps: 0.7380 (Perugachi-Diaz et al. 2024, Table 3). "
        f"Ours (SSL, 2000) is {ours:.4f}, a difference of {ours - 0.738:+.4f}."
    )
    assert expected in md
    assert f"<p>{expected}</p>" in html
    assert "2000 published" in csv
    assert "500 published" not in csv
    for text in written(losses.steps(results(records.assign(dataset="demo"), entry))):
        assert "ublished" not in text


def test_in_a_sweep_the_published_loss_stands_beside_its_own_temperature_and_shape_alone():
    sweep = {"tau_max": [0.5, 1.0]}
    table = losses.sweep(
        results(refined(("sga", "ssl"), sweep=sweep), {**ENTRY, "methods": ["sga", "ssl"], "sweep": sweep})
    )
    assert table.published[["row", "column"]].values.tolist() == [["SSL", "1"]]
    sweep = {"a": [0.65, 2.25]}
    table = losses.sweep(results(refined(("ssl",), sweep=sweep), {**ENTRY, "methods": ["ssl"], "sweep": sweep}))
    assert table.published.empty
    sweep = {"a": [0.65, 2.3]}
    table = losses.sweep(results(refined(("ssl",), sweep=sweep), {**ENTRY, "methods": ["ssl"], "sweep": sweep}))
    assert table.published["row"].tolist() == ["2.3"]
