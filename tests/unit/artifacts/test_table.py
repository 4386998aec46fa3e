from __future__ import annotations

import pandas as pd
import pytest

from sgaplus.analysis.intervals import interval
from sgaplus.analysis.selection import at_step
from sgaplus.artifacts import kinds
from sgaplus.artifacts.table import FORMATS, Table, printed
from sgaplus.artifacts.tables import costs, losses, rates
from tests.synthetic import LMBDAS, METHODS, refined, results

ENTRY = {"dataset": "kodak", "models": ["model_lmbda0.01"], "steps": [2000], "seeds": [0]}
TAU_MAX = {"tau_max": [0.5, 1.0]}


def mean(records, **where):
    for column, value in where.items():
        records = records[records[column] == value]
    return records["true_loss"].mean()


def test_a_method_that_ends_early_leaves_later_columns_empty():
    records = refined(lmbdas=LMBDAS, last={"ssl": 500})
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000], "against": "sga"}
    shown = printed(losses.steps(results(records, entry)), FORMATS["md"]).set_index("Steps")
    assert shown.loc["SSL", "500"] != ""
    assert shown.loc["SSL", "2000"] == ""
    for kind in (rates.bd, costs.cost):
        table = kind(results(records, {**entry, "models": list(LMBDAS)}))
        assert list(map(int, table.values.loc["SSL"].index)) == [500]


def test_intervals_stand_below_the_table_and_beside_the_numbers_of_the_csv(written):
    records = refined(("ssl",), images=4)
    csv, md, html, _ = written(losses.steps(results(records, {**ENTRY, "methods": ["ssl"]})))
    assert "Ranges of 4 images:" in md
    assert html.count("<table") == 2
    assert csv.splitlines()[0].startswith("Steps,2000,2000 low,2000 high")
    low, high = interval(at_step(records, 2000)["true_loss"].to_numpy())
    assert f"{low:.4f} to {high:.4f}" in md


def test_one_image_has_no_second_table(written):
    _, md, html, _ = written(losses.steps(results(refined(("ssl",), images=1), {**ENTRY, "methods": ["ssl"]})))
    assert "intervals" not in md
    assert html.count("<table") == 1


def test_numbers_keep_their_last_zero_and_the_best_is_bold_spreads_are_not(written):
    values = pd.DataFrame({"10": [0.5, 0.4], "10 s.d.": [0.1, 0.2]}, index=["SGA", "SSL"])
    bold = values[["10"]] == 0.4
    csv, md, html, _ = written(Table(values, bold=bold))
    assert "0.5000" in md
    assert "**0.4000**" in md
    assert md.count("**") == 2
    assert "<b>0.4000</b>" in html
    assert csv.splitlines()[2] == "SSL,0.400000,0.200000"


def test_two_methods_of_one_label_stay_two_rows(written):
    entry = {**ENTRY, "methods": ["sga", "ssl"]}
    same = {name: METHODS[name] | {"label": "Same"} for name in ("sga", "ssl")}
    csv, md, *_ = written(losses.steps(results(refined(("sga", "ssl")), entry, same)))
    assert csv.count("\nSame,") == 2
    assert md.count("**") == 2


@pytest.mark.parametrize("name", kinds.kinds("table"))
def test_every_kind_makes_a_table_of_the_same_records_and_writes_it(name, written):
    kind = kinds.find("table", name)
    sweep = {1: {"tau_max": [1.0]}, 2: {"r": [0.8, 0.98], "n": [1.0, 1.5]}, None: {}}[kind.swept]
    methods = ["linear", "linear3"] if kind.in_pairs else ["linear3"] if kind.swept == 2 else ["sga", "ssl"]
    methods = methods[: kind.most_methods]
    targets = LMBDAS[:2] if "targets" in kind.needs else ()
    records = refined(methods, lmbdas=LMBDAS[:2], targets=targets, images=2, sweep=sweep)
    entry = {**ENTRY, "models": ["low", "high"], "methods": methods, "steps": [500, 2000], "sweep": sweep}
    entry |= {"against": methods[-1]} if "against" in kind.needs else {}
    csv, md, html, tex = written(kind.function()(results(records, entry)))
    assert len(csv.splitlines()) >= 2
    assert md.startswith("|")
    assert "<table" in html
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") >= 1
    assert "nan" not in md + tex


def test_what_latex_and_html_take_for_their_own_is_escaped(written):
    values = pd.DataFrame({"50 %": ["a_b & c"], "λ": [1.0]}, index=pd.Index(["x < y"], name="name"))
    _, md, html, tex = written(Table(values, notes=("It is #1.",)))
    assert "a_b & c" in md
    assert '<td style="text-align: left">x &lt; y</td>' in html
    assert r"name & 50 \% & $\lambda$ \\" in tex
    assert r"x $<$ y & a\_b \& c & 1.0000 \\" in tex
    assert r"It is \#1." in tex


def test_texts_stand_to_the_left_and_numbers_to_the_right(written):
    values = pd.DataFrame({"text": ["a"], "number": [1.0]}, index=pd.Index(["x"], name="name"))
    _, md, _, tex = written(Table(values))
    assert md.splitlines()[1].replace("-", "") == "|:|:|:|"
    assert r"\begin{tabular}{llr}" in tex


def test_heads_are_for_people_and_hidden_columns_for_machines(written):
    values = pd.DataFrame({"jobs": [3], "key": ["k"]}, index=pd.Index(["x"], name="rule"))
    csv, md, *_ = written(Table(values, decimals={"jobs": 0}, heads={"jobs": "Jobs"}, hidden=("key",)))
    assert csv.splitlines() == ["rule,jobs,key", "x,3,k"]
    assert "Jobs" in md
    assert "key" not in md
