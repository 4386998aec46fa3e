from __future__ import annotations

import re
import shutil
import subprocess

import pandas as pd
import pytest

from sgaplus.analysis.intervals import interval
from sgaplus.analysis.selection import at_step
from sgaplus.artifacts import kinds
from sgaplus.artifacts.table import FORMATS, Table, best, printed, write
from sgaplus.artifacts.tables import costs, losses, rates
from tests.synthetic import LMBDAS, METHODS, decoded, refined, results

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


def test_intervals_stand_behind_their_numbers_and_beside_those_of_the_csv(written):
    records = refined(("ssl",), images=4)
    csv, md, html, _ = written(losses.steps(results(records, {**ENTRY, "methods": ["ssl"]})))
    assert "In brackets: ranges of 4 images." in md
    assert html.count("<table") == 1
    assert csv.splitlines()[0].startswith("Steps,2000,2000 low,2000 high")
    low, high = interval(at_step(records, 2000)["true_loss"].to_numpy())
    assert f" [{low:.4f}, {high:.4f}] |" in md


def test_one_image_has_no_intervals(written):
    _, md, html, _ = written(losses.steps(results(refined(("ssl",), images=1), {**ENTRY, "methods": ["ssl"]})))
    assert "intervals" not in md
    assert "[" not in md
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


def table_of(name):
    """A table of this kind, of made-up records."""
    kind = kinds.find("table", name)
    sweep = {1: {"tau_max": [1.0]}, 2: {"r": [0.8, 0.98], "n": [1.0, 1.5]}, None: {}}[kind.swept]
    methods = ["linear", "linear3"] if kind.in_pairs else ["linear3"] if kind.swept == 2 else ["sga", "ssl"]
    methods = methods[: kind.most_methods]
    targets = LMBDAS[:2] if "targets" in kind.needs else ()
    records = refined(methods, lmbdas=LMBDAS[:2], targets=targets, images=2, sweep=sweep)
    entry = {**ENTRY, "models": ["low", "high"], "methods": methods, "steps": [500, 2000], "sweep": sweep}
    entry |= {"against": methods[-1]} if "against" in kind.needs else {}
    return kind.function()(results(records, entry, decoded=decoded(records)))


@pytest.mark.parametrize("name", kinds.kinds("table"))
def test_every_kind_makes_a_table_of_the_same_records_and_writes_it(name, written):
    csv, md, html, tex = written(table_of(name))
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


def test_latex_breaks_the_lines_of_long_texts(written):
    values = pd.DataFrame({"text": ["word " * 20]}, index=pd.Index(["x"], name="name"))
    *_, tex = written(Table(values))
    assert r"\begin{tabular}{lp{0.3\linewidth}}" in tex


def test_heads_are_for_people_and_hidden_columns_for_machines(written):
    values = pd.DataFrame({"jobs": [3], "key": ["k"]}, index=pd.Index(["x"], name="rule"))
    csv, md, *_ = written(Table(values, decimals={"jobs": 0}, heads={"jobs": "Jobs"}, hidden=("key",)))
    assert csv.splitlines() == ["rule,jobs,key", "x,3,k"]
    assert "Jobs" in md
    assert "key" not in md


def test_the_best_is_bold_as_it_is_printed_with_all_that_tie_and_for_each_step_count(written):
    rows = pd.MultiIndex.from_product([["a", "b", "c"], ["50", "200"]], names=["Method", "Steps"])
    values = pd.DataFrame({"saved": [1.111, 9.0, 1.114, 8.0, 1.0, 9.004]}, index=rows)
    bold = best(values, lowest=False, decimals=2, within="Steps")
    _, md, *_ = written(Table(values, bold=bold, decimals={"saved": 2}))
    assert md.count("**1.11**") == 2
    assert md.count("**9.00**") == 2
    assert md.count("**") == 8


def test_minus_signs_are_in_print_and_hyphens_in_the_csv(written):
    csv, md, _, tex = written(Table(pd.DataFrame({"x": [-0.5]}, index=pd.Index(["a"], name="name"))))
    assert "a,-0.500000" in csv
    assert "−0.5000" in md
    assert "$-$0.5000" in tex


def test_keys_are_for_machines_and_names_for_people(written):
    values = pd.DataFrame({"low": [1.0], "of": ["lower"]}, index=pd.Index(["low"], name="key"))
    names = {"low": "λ = 1", "lower": "λ = 0.5"}
    table = Table(values, heads={"key": "Model"}, names=names, notes=("lower is below low.",))
    csv, md, *_ = written(table)
    assert csv.splitlines() == ["key,low,of", "low,1.000000,lower"]
    head, _, row, _, note = md.splitlines()
    assert [cell.strip() for cell in head.split("|")[1:-1]] == ["Model", "λ = 1", "of"]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == ["λ = 1", "1.0000", "λ = 0.5"]
    assert note == "λ = 0.5 is below λ = 1."


def test_what_is_the_same_for_all_images_has_no_interval(written):
    values = pd.DataFrame({"x": [0.0, 1.0]}, index=pd.Index(["a", "b"], name="name"))
    half = pd.DataFrame({"x": [0.0, 0.5]}, index=values.index)
    _, md, *_ = written(Table(values, values - half, values + half, images=9))
    assert "| 0.0000 |" in re.sub(" +", " ", md)
    assert "| 1.0000 [0.5000, 1.5000] |" in md


def test_a_table_that_is_opened_by_itself_has_a_title(tmp_path):
    write(Table(pd.DataFrame({"x": [1.0]})), {"html": tmp_path / "t.html"}, "Bits < saved")
    page = (tmp_path / "t.html").read_text()
    assert "<title>Bits &lt; saved</title>" in page
    assert page.index("<h1>Bits &lt; saved</h1>") < page.index("<table")


@pytest.mark.parametrize("name", kinds.kinds("table"))
def test_latex_compiles(name, written, tmp_path):
    compilers = {"pdflatex": ["-halt-on-error", "-interaction=nonstopmode"], "tectonic": []}
    compiler = next((command for command in compilers if shutil.which(command)), None)
    if compiler is None:
        pytest.skip(
            "NOT TESTED: no TeX to compile tables with. On Debian or Ubuntu: apt install texlive-latex-recommended"
        )
    *_, tex = written(table_of(name))
    head = "\\documentclass{article}\n\\usepackage[utf8]{inputenc}\n\\usepackage{booktabs}\n\\begin{document}\n"
    (tmp_path / "page.tex").write_text(f"{head}{tex}\\end{{document}}\n")
    command = [compiler, *compilers[compiler], "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
