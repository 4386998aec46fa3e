from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from sgaplus.analysis.bootstrap import interval
from sgaplus.analysis.selection import at_step
from sgaplus.artifacts import tables
from sgaplus.errors import ConfigError
from tests.synthetic import LABELS, LMBDAS, METHODS, refined

TAU_MAX = {"tau_max": [0.5, 1.0]}
ENTRY = {"dataset": "kodak", "models": ["model_lmbda0.01"], "steps": [2000], "seeds": [0]}


def mean(records, **where):
    for column, value in where.items():
        records = records[records[column] == value]
    return records["true_loss"].mean()


@pytest.fixture
def written(tmp_path):
    """Writes a table and returns its three texts."""

    def write(table):
        files = [tmp_path / f"table.{suffix}" for suffix in ("csv", "md", "html")]
        tables.write(table, *files)
        return [file.read_text() for file in files]

    return write


def test_a_sweep_has_a_row_per_method_and_the_mean_of_the_last_step():
    records = refined(("sga", "ssl"), seeds=(0, 1), sweep=TAU_MAX)
    entry = {**ENTRY, "methods": ["ssl", "sga"], "sweep": TAU_MAX, "steps": [500, 2000]}
    table = tables.sweep(records, entry, LABELS)
    assert list(table.values.index) == ["SSL", "SGA"]
    assert list(table.values.columns) == ["0.5", "1"]
    assert table.values.loc["SSL", "0.5"] == pytest.approx(mean(records, method="ssl", tau_max=0.5, step=2000))
    assert table.bold.loc[:, "1"].tolist() == [True, False]


def test_a_sweep_ends_with_the_differences_from_the_best_of_each_column():
    records = refined(("sga", "linear", "ssl"), sweep=TAU_MAX)
    entry = {**ENTRY, "methods": ["sga", "linear", "ssl"], "sweep": TAU_MAX, "differences": ["sga", "linear"]}
    table = tables.sweep(records, entry, LABELS)
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
    table = tables.sweep(refined(("sga", "ssl"), sweep=TAU_MAX), entry, LABELS)
    assert table.values.loc["SSL − best"].tolist() == table.high.loc["SSL − best"].tolist() == [0, 0]


def test_one_method_has_a_row_per_value():
    sweep = {"a": [0.65, 1.3333, 2.3]}
    records = refined(("ssl",), sweep=sweep)
    table = tables.sweep(records, {**ENTRY, "methods": ["ssl"], "sweep": sweep}, LABELS)
    assert table.values.index.tolist() == ["0.65", "1.3333", "2.3"]
    assert table.values.index.name == "a"
    assert table.values.loc["0.65", tables.LOSS] == pytest.approx(mean(records, variant="ssl_a0.65", step=2000))


def test_steps_has_the_base_model_and_the_spread_over_seeds():
    records = refined(("sga", "ssl"), seeds=(0, 1, 2))
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000], "seeds": [0, 1, 2]}
    values = tables.steps(records, entry, LABELS).values
    assert list(values.index) == ["Base model", "SGA", "SSL"]
    assert values.loc["Base model", "2000"] == pytest.approx(mean(records, step=0))
    assert values.loc["SSL", "500"] == pytest.approx(mean(records, method="ssl", step=500))
    own = at_step(records[records["method"] == "ssl"], 500)
    assert values.loc["SSL", "500 s.d."] == pytest.approx(own.groupby("seed")["true_loss"].mean().std())
    assert np.isnan(values.loc["Base model", "500 s.d."])


def test_an_image_counts_once_however_many_seeds_it_has():
    records = refined(("ssl",), images=2, seeds=(0, 1))
    records = records[(records["image"] == "image00") | (records["seed"] == 0)]
    values = tables.steps(records, {**ENTRY, "methods": ["ssl"]}, LABELS).values
    each = at_step(records, 2000).groupby("image")["true_loss"].mean()
    assert values.loc["SSL", "2000"] == pytest.approx(each.mean())


def test_classes_set_the_larger_step_count_in_brackets(written):
    methods = ["linear", "linear3", "sga", "ssl3"]
    records = refined(methods)
    table = tables.classes(records, {**ENTRY, "methods": methods, "steps": [2000, 500]}, LABELS)
    losses = {(name, step): mean(records, method=name, step=step) for name in methods for step in (500, 2000)}
    csv, md, _ = written(table)
    row = "| Linear     | {:.4f} ({:.4f}) | {:.4f} ({:.4f}) |".format(
        *(losses[name, step] for name in ("linear", "linear3") for step in (500, 2000))
    )
    assert re.sub(" +", " ", row) in re.sub(" +", " ", md)
    best = f"**{losses['ssl3', 500]:.4f}** (**{losses['ssl3', 2000]:.4f}**)"
    assert md.count("**") == 4
    assert best in md
    assert "Three-class, 500 (2000) steps" in md
    assert "Three-class 2000,Three-class 2000 low,Three-class 2000 high" in csv
    assert f"{losses['linear3', 2000]:.6f}" in csv


def test_a_grid_names_the_best_setting_and_what_the_configured_one_loses():
    sweep = {"r": [0.8, 0.98], "n": [1.0, 1.5]}
    records = refined(("linear3",), sweep=sweep)
    entry = {**ENTRY, "methods": ["linear3"], "sweep": sweep}
    values = tables.grid(records, entry, LABELS).values
    assert values.loc["Three-class linear", ["r", "n"]].tolist() == ["0.98", "1.5"]
    assert values.loc["Three-class linear", "Gain"] == 0
    records.loc[records["variant"] == "linear3_n1", "true_loss"] -= 0.1
    values = tables.grid(records, entry, LABELS).values
    assert values.loc["Three-class linear", ["r", "n"]].tolist() == ["0.98", "1"]
    last = at_step(records, 2000)
    assert values.loc["Three-class linear", "Best"] == pytest.approx(mean(last, variant="linear3_n1"))
    assert values.loc["Three-class linear", "As configured"] == pytest.approx(mean(last, variant="linear3"))


def test_a_configured_setting_off_the_grid_is_left_empty():
    sweep = {"r": [0.7, 0.8], "n": [1.0, 2.0]}
    table = tables.grid(refined(("linear3",), sweep=sweep), {**ENTRY, "methods": ["linear3"], "sweep": sweep}, LABELS)
    assert table.values.loc["Three-class linear", ["As configured", "Gain"]].isna().all()


def scaled(methods, factors, dataset="kodak", **more):
    """Records in which each method's rate is exactly this factor of the base model's."""
    records = refined(methods, lmbdas=LMBDAS, dataset=dataset, **more)
    base = records[records["step"] == 0].groupby(["model", "image"])["bpp"].first()
    for method, factor in zip(methods, factors, strict=True):
        own = (records["method"] == method) & (records["step"] > 0)
        records.loc[own, "bpp"] = (
            factor * base.loc[pd.MultiIndex.from_frame(records.loc[own, ["model", "image"]])].values
        )
    return records


def test_bd_is_exact_for_scaled_rates_against_the_base_model_and_another_method():
    records = scaled(("sga", "ssl"), (0.9, 0.81), dataset="demo", images=3)
    entry = {**ENTRY, "dataset": "demo", "methods": ["sga", "ssl"], "steps": [500, 2000], "against": "sga"}
    table = tables.bd(records, entry, LABELS)
    assert list(table.values.index) == [("SGA", "500"), ("SSL", "500"), ("SGA", "2000"), ("SSL", "2000")]
    row = table.values.loc["SSL", "500"]
    assert row["BD-rate vs Base model (%)"] == pytest.approx(-19)
    assert row["BD-rate vs SGA (%)"] == pytest.approx(-10)
    assert row["BD-PSNR vs SGA (dB)"] > 0
    assert np.isnan(table.values.loc[("SGA", "500"), "BD-rate vs SGA (%)"])
    low, high = (frame.loc[("SSL", "500"), "BD-rate vs SGA (%)"] for frame in (table.low, table.high))
    assert (low, high) == pytest.approx((-10, -10))
    assert not any("Yang" in name for name in table.values)


def test_bd_stands_beside_what_is_published_for_the_data_set():
    records = scaled(("sga",), (0.9,), images=2)
    table = tables.bd(records, {**ENTRY, "methods": ["sga"]}, LABELS)
    ours, theirs = "BD-rate vs Base model (%)", "BD-rate vs base (Yang 2020) (%)"
    assert table.values.loc[("SGA (Yang 2020)", ""), ours] == pytest.approx(-15.2, abs=0.05)
    assert table.values.loc[("SGA", "2000"), ours] == pytest.approx(-10)
    assert np.isfinite(table.values.loc[("Base model", ""), theirs])
    assert not table.bold.loc[[("SGA (Yang 2020)", ""), ("Base model", "")]].any(axis=None)


def test_bd_of_real_bitstreams_counts_their_bytes():
    records = refined(("ssl",), lmbdas=LMBDAS, dataset="demo", images=2)
    last = records["step"] == 2000
    records.loc[last, "bytes"] = 0.7 * records[records["step"] == 0]["bytes"].to_numpy()
    entry = {**ENTRY, "dataset": "demo", "methods": ["ssl"], "bitrate": "actual"}
    table = tables.bd(records, entry, LABELS)
    assert table.values.loc[("SSL", "2000"), "BD-rate vs Base model (%)"] == pytest.approx(-30)
    with pytest.raises(ConfigError, match="bitrate: actual"):
        tables.bd(records, {**entry, "steps": [500]}, LABELS)


def test_cover_has_the_gain_at_the_rate_of_each_base_model():
    records = refined(("ssl",), lmbdas=LMBDAS, targets=LMBDAS)
    table = tables.cover(records, {**ENTRY, "methods": ["ssl"], "cover": 3}, LABELS)
    values = table.values.loc["SSL"]
    assert list(values.index) == [f"model_lmbda{lmbda:g}" for lmbda in LMBDAS]
    np.testing.assert_allclose(values["Gain (dB)"], values["Refined PSNR (dB)"] - values["Base PSNR (dB)"])
    base = records[records["step"] == 0].groupby("model_lmbda")[["bpp", "psnr"]].mean()
    np.testing.assert_allclose(values[["Rate (bpp)", "Base PSNR (dB)"]], base)
    (note,) = table.notes
    assert set(values["From model"]) <= set(re.findall(r"model_lmbda[\d.]*\d", note))
    assert (table.low["Gain (dB)"] <= values["Gain (dB)"].to_numpy() + 1e-12).all()


def test_cost_shows_what_is_known():
    records = scaled(("sga", "ssl"), (0.9, 0.81), images=2)
    entry = {**ENTRY, "models": list(LMBDAS), "methods": ["sga", "ssl"], "steps": [500], "against": "sga"}
    table = tables.cost(records, entry, LABELS)
    assert table.values.loc[("SSL", 500), "Bits saved (%)"] == pytest.approx(19)
    assert table.values.loc[("SSL", 500), "Bits saved against SGA (%)"] == pytest.approx(10)
    assert table.values.loc[("SSL", 500), "Seconds per image"] == pytest.approx(50)
    assert "Joules per image" not in table.values
    assert "Joules per image" in tables.cost(records.assign(joules=1.0), entry, LABELS).values
    assert table.bold.loc[("SSL", 500), "Bits saved (%)"]


def test_budget_has_the_excess_over_the_reference_by_model():
    records = refined(lmbdas=(0.01, 0.02), last={"ssl": 500})
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000], "against": "sga"}
    table = tables.budget(records, entry, LABELS)
    assert list(table.values.index) == [("SGA", "500"), ("SGA", "2000"), ("SSL", "500")]
    ours = mean(records, method="ssl", step=500, model_lmbda=0.02)
    theirs = mean(records, method="sga", step=2000, model_lmbda=0.02)
    row = table.values.loc["SSL", "500"]
    assert row["model_lmbda0.02"] == pytest.approx(100 * (ours / theirs - 1))
    assert row["Mean"] == pytest.approx((row["model_lmbda0.01"] + row["model_lmbda0.02"]) / 2)
    assert row["Seconds per image"] == pytest.approx(50)
    assert table.low.loc[("SSL", "500"), "Mean"] < row["Mean"] < table.high.loc[("SSL", "500"), "Mean"]
    assert table.values.loc[("SGA", "2000"), "Mean"] == pytest.approx(0)
    assert table.notes == ("True R-D loss above that of SGA after 2000 steps, in %.",)
    assert "Mean" not in tables.budget(records[records["model_lmbda"] == 0.01], entry, LABELS).values


def test_a_method_that_ends_early_leaves_later_columns_empty():
    records = refined(lmbdas=LMBDAS, last={"ssl": 500})
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000], "against": "sga"}
    shown = tables.printed(tables.steps(records, entry, LABELS), "{}").set_index("Steps")
    assert shown.loc["SSL", "500"] != ""
    assert shown.loc["SSL", "2000"] == ""
    for kind in (tables.bd, tables.cost):
        table = kind(records, {**entry, "models": list(LMBDAS)}, LABELS)
        assert list(map(int, table.values.loc["SSL"].index)) == [500]


def test_a_published_loss_stands_beside_ours_only_where_it_is_comparable(written):
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000]}
    records = refined(("sga", "ssl"))
    csv, md, html = written(tables.steps(records, entry, LABELS))
    ours = mean(records, method="ssl", step=2000)
    expected = (
        "Published for SSL after 2000 steps: 0.7380 (Perugachi-Diaz et al. 2024, Table 3). "
        f"Ours (SSL, 2000) is {ours:.4f}, a difference of {ours - 0.738:+.4f}."
    )
    assert expected in md
    assert f"<p>{expected}</p>" in html
    assert "2000 published" in csv
    assert "500 published" not in csv
    for text in written(tables.steps(records.assign(dataset="demo"), entry, LABELS)):
        assert "ublished" not in text


def test_in_a_sweep_the_published_loss_stands_beside_its_own_temperature_and_the_best_shape():
    sweep = {"tau_max": [0.5, 1.0]}
    table = tables.sweep(
        refined(("sga", "ssl"), sweep=sweep), {**ENTRY, "methods": ["sga", "ssl"], "sweep": sweep}, LABELS
    )
    assert table.published[["row", "column"]].values.tolist() == [["SSL", "1"]]
    sweep = {"a": [0.65, 2.25]}
    table = tables.sweep(refined(("ssl",), sweep=sweep), {**ENTRY, "methods": ["ssl"], "sweep": sweep}, LABELS)
    assert table.published["row"].tolist() == ["2.25"]


def test_intervals_stand_below_the_table_and_beside_the_numbers_of_the_csv(written):
    records = refined(("ssl",), images=4)
    csv, md, html = written(tables.steps(records, {**ENTRY, "methods": ["ssl"]}, LABELS))
    assert "95 % bootstrap intervals over 4 images:" in md
    assert html.count("<table") == 2
    assert csv.splitlines()[0].startswith("Steps,2000,2000 low,2000 high")
    low, high = interval(at_step(records, 2000)["true_loss"].to_numpy())
    assert f"{low:.4f} to {high:.4f}" in md


def test_one_image_has_no_second_table(written):
    _, md, html = written(tables.steps(refined(("ssl",), images=1), {**ENTRY, "methods": ["ssl"]}, LABELS))
    assert "intervals" not in md
    assert html.count("<table") == 1


def test_numbers_keep_their_last_zero_and_the_best_is_bold_spreads_are_not(written):
    values = pd.DataFrame({"10": [0.5, 0.4], "10 s.d.": [0.1, 0.2]}, index=["SGA", "SSL"])
    bold = values[["10"]] == 0.4
    csv, md, html = written(tables.Table(values, bold=bold))
    assert "0.5000" in md
    assert "**0.4000**" in md
    assert md.count("**") == 2
    assert "<b>0.4000</b>" in html
    assert csv.splitlines()[2] == "SSL,0.400000,0.200000"


def test_two_methods_of_one_label_stay_two_rows(written):
    entry = {**ENTRY, "methods": ["sga", "ssl"]}
    csv, md, _ = written(tables.steps(refined(("sga", "ssl")), entry, {"sga": "Same", "ssl": "Same"}))
    assert csv.count("\nSame,") == 2
    assert md.count("**") == 2


@pytest.mark.parametrize("kind", sorted(tables.TABLES))
def test_every_kind_makes_a_table_of_the_same_records_and_writes_it(kind, written):
    sweep = {"tau_max": [1.0]} if kind == "sweep" else {"r": [0.8, 0.98], "n": [1.0, 1.5]} if kind == "grid" else None
    methods = ["linear", "linear3"] if kind == "classes" else ["linear3"] if kind == "grid" else ["sga", "ssl"]
    targets = LMBDAS[:2] if kind == "cover" else ()
    records = refined(methods, lmbdas=LMBDAS[:2], targets=targets, images=2, sweep=sweep)
    entry = {**ENTRY, "models": ["low", "high"], "methods": methods, "steps": [500, 2000], "sweep": sweep}
    entry |= {"against": "ssl"} if kind == "budget" else {}
    csv, md, html = written(tables.TABLES[kind](records, entry, {name: METHODS[name]["label"] for name in methods}))
    assert len(csv.splitlines()) >= 2
    assert md.startswith("|")
    assert "<table" in html
    assert "nan" not in md
