from __future__ import annotations

import re

import pandas as pd
from PIL import Image

from sgaplus.artifacts import claims_page
from sgaplus.artifacts.claims import HOLDS, NOT, NOT_JUDGED, UNDECIDED, Judged


def test_the_page_shows_each_verdict_with_its_figure_and_escapes_texts(tmp_path):
    picture = tmp_path / "e.png"
    Image.new("RGB", (4, 4)).save(picture)
    one = Judged("a < b", HOLDS, "x: −1", "Section 1", "e", 24)
    two = Judged("c", NOT, "y: +1", "Section 2", "t", 24)
    three = Judged("d", UNDECIDED, "y: +1", "Section 2", "t", 24)
    four = Judged("e", NOT_JUDGED, "y: +1", "Section 2", "t", 2, "2 images, 8 are needed")
    page = claims_page.page([one, two, three, four], {"e": str(picture), "t": "tables/t.html"})
    assert "a &lt; b" in page
    assert page.count("data:image/png;base64,") == 1
    assert "Of 4 claims 1 hold in this run, 1 do not, 1 are undecided and 1 are not judged." in page
    assert ">not judged: 2 images, 8 are needed</span>" in page
    assert len(set(re.findall('background: (.*?)[;"]', page))) == 4


def test_the_page_says_what_verdicts_are_conditional_on():
    page = claims_page.page([], {})
    for condition in ("trained once", "seeds of the refinements", "their choice", "images that were judged"):
        assert condition in page


def test_a_notice_stands_above_the_table(written):
    judged = [Judged("a", HOLDS, "x: −1", "Section 1", "e", 24)]
    csv, md, html, tex = written(claims_page.table(judged, "Only a < demo."))
    assert md.splitlines()[0] == "Only a < demo."
    assert html.index("Only a &lt; demo.") < html.index("<table")
    assert tex.index("Only a $<$ demo.") < tex.index("tabular")
    assert csv.startswith("claim,verdict,")


def test_the_claims_are_a_table_for_machines_and_for_people(written, tmp_path):
    judged = [
        Judged("a", HOLDS, "x: −1", "Section 1", "e", 24),
        Judged("|c|", NOT_JUDGED, "y: +1", "Section 2", "t", 2, "2 images, 8 are needed"),
    ]
    csv, md, *_ = written(claims_page.table(judged))
    (tmp_path / "claims.csv").write_text(csv)
    table = pd.read_csv(tmp_path / "claims.csv")
    assert list(table.columns) == ["claim", "verdict", "evidence", "source", "experiment", "images"]
    assert list(table["verdict"]) == [HOLDS, "not judged: 2 images, 8 are needed"]
    assert list(table["images"]) == [24, 2]
    assert md.startswith("| claim")
    assert r"\|c\|" in md
    assert "experiment" not in md


def test_in_markdown_claims_stand_under_their_verdict_each_with_its_numbers_as_a_list():
    judged = [
        Judged("b", NOT, "x: +1; y: +2", "Section 2", "t", 9, "", ("x: +1", "y: +2"), "Seed 0"),
        Judged("a", HOLDS, "x: −1", "Section 1", "e", 9),
    ]
    lines = claims_page.markdown(judged, {"e": "Figure 1", "t": "Table 1"}, "A demo.").splitlines()
    assert lines[0] == "A demo."
    assert max(map(len, lines[:1] + lines[9:])) < 80
    assert [line for line in lines if line.startswith("## ")] == ["## Holds", "## Does not hold"]
    end = lines[lines.index("**b**") :]
    assert end == ["**b**", "", "Section 2. Judged by: Table 1. Seed 0.", "", "- x: +1", "- y: +2"]
