from __future__ import annotations

import subprocess
import sys

from matplotlib.colors import get_named_colors_mapping, is_color_like

from sgaplus.config import colours

NAMED = [*get_named_colors_mapping(), "Red", "TAB:BLUE", "xkcd:Sky Blue"]
WRITTEN = [
    "#fff",
    "#FFFF",
    "#0072B2",
    "#0072b2ff",
    "none",
    "None",
    "C0",
    "C12",
    "0",
    "1",
    "0.5",
    ".5",
    "1.0",
    "0.",
    "1.",
]
WRONG = ["nocolour", "", " red", "#ff", "#fffff", "#gggggg", "0072B2", "R", "c0", "C", "1.5", "-0.5", "rgb(1, 2, 3)"]


def test_a_colour_is_known_where_matplotlib_knows_it():
    for colour in (*NAMED, *WRITTEN, *WRONG):
        assert colours.is_known(colour) == is_color_like(colour), colour


def test_matplotlib_is_not_imported():
    code = "import sys; from sgaplus.config.colours import is_known; assert is_known('teal'); "
    subprocess.run([sys.executable, "-c", code + "assert 'matplotlib' not in sys.modules"], check=True)


def test_without_matplotlib_any_name_will_do(monkeypatch):
    monkeypatch.setattr(colours, "_names", frozenset)
    assert colours.is_known("nocolour")
