from __future__ import annotations

import numpy as np
import pytest

from sgaplus.artifacts import kinds
from sgaplus.artifacts.figures import style
from tests.synthetic import HEIGHT, LMBDAS, WIDTH, refined, results

from .reading import ENTRY

DRAWN_FROM_RECORDS = [name for name, kind in kinds.kinds("figure").items() if kind.refines and not kind.bitstreams]


@pytest.mark.parametrize("name", DRAWN_FROM_RECORDS)
def test_drawing_writes_each_format_and_the_same_bytes_for_the_same_records(tmp_path, name):
    kind = kinds.find("figure", name)
    sweep = {"r": [0.8, 0.98], "n": [1.0, 1.5]} if kind.swept else {}
    methods = ["linear3"] if kind.swept else ["sga", "ssl"][: kind.most_methods]
    rows = refined(methods, lmbdas=LMBDAS[:3], images=2, sweep=sweep)
    entry = {**ENTRY, "figure": name, "models": ["low", "middle", "high"], "methods": methods, "sweep": sweep}
    shown = results(rows, entry | {"against": methods[-1]})
    for copy in ("one", "two"):
        style.save(lambda: kind.function()(shown), [tmp_path / f"{copy}.pdf", tmp_path / f"{copy}.png"])
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_colours_of_an_ordered_quantity_grow_lighter_but_stay_dark_enough():
    brightness = [np.dot(color, (0.299, 0.587, 0.114)) for color in style.sequential(7)]
    assert brightness == sorted(brightness)
    assert brightness[-1] < 0.8


def test_the_small_print_says_how_large_the_images_are_and_fits_the_figure():
    shown = results(refined(["sga"], images=2), ENTRY | {"methods": ["sga"]})
    figure, _ = style.panels_of(1, 1)
    style.heading(figure, shown, "points after 100, 300, 500, 1000, 2000 steps", "y axis: log scale beyond ±0.1 %")
    (title,) = [text for text in figure.texts if "Data set" in text.get_text()]
    assert title.get_text().startswith(f"Data set demo, 2 images of {WIDTH} × {HEIGHT} pixels; ")
    assert title.get_window_extent().x1 < figure.bbox.x1


def test_the_size_is_left_out_where_images_have_several():
    rows = refined(["sga"], images=2)
    rows.loc[rows["image"] == "image00", "width"] += 16
    figure, _ = style.panels_of(1, 1)
    style.heading(figure, results(rows, ENTRY | {"methods": ["sga"]}))
    assert [text.get_text() for text in figure.texts] == ["Data set demo, 2 images"]
