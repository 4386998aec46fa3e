from __future__ import annotations

import pandas as pd
from PIL import Image

from sgaplus.artifacts import claims_page
from sgaplus.artifacts.claims import HOLDS, NOT, Judged


def test_the_page_shows_each_verdict_with_its_figure_and_escapes_texts(tmp_path):
    picture = tmp_path / "e.png"
    Image.new("RGB", (4, 4)).save(picture)
    one = Judged("a < b", HOLDS, "x: −1", "Section 1", "e")
    two = Judged("c", NOT, "y: +1", "Section 2", "t")
    page = claims_page.page([one, two], {"e": str(picture), "t": "tables/t.html"})
    assert "a &lt; b" in page
    assert page.count("data:image/png;base64,") == 1
    assert "Of 2 claims of the paper, 1 hold in this run, 0 hold in part and 1 do not." in page


def test_the_claims_are_a_table_for_machines_and_for_people(written, tmp_path):
    judged = [Judged("a", HOLDS, "x: −1", "Section 1", "e"), Judged("|c|", NOT, "y: +1", "Section 2", "t")]
    csv, md, *_ = written(claims_page.table(judged))
    (tmp_path / "claims.csv").write_text(csv)
    table = pd.read_csv(tmp_path / "claims.csv")
    assert list(table.columns) == ["claim", "verdict", "evidence", "source", "experiment"]
    assert list(table["verdict"]) == [HOLDS, NOT]
    assert md.startswith("| claim")
    assert r"\|c\|" in md
    assert "experiment" not in md
