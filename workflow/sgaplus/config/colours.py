"""Whether Matplotlib knows a colour, without an import of it, which takes half a second."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

WRITTEN = re.compile(
    r"(?i:#([0-9a-f]{3}|[0-9a-f]{4}|[0-9a-f]{6}|[0-9a-f]{8}))|(?i:none)|C[0-9]+|0?\.[0-9]+|[01](\.0*)?"
)
"""Colours without a name: ``#0072B2`` and the like, none, the nth of the cycle, or a gray from 0 to 1."""


def is_known(colour: str) -> bool:
    """Whether Matplotlib has a colour of this name; true for any name where Matplotlib is not installed."""
    names = _names()
    name = colour if len(colour) == 1 else colour.lower().replace("grey", "gray")
    return bool(WRITTEN.fullmatch(colour)) or not names or name in names


@cache
def _names() -> frozenset[str]:
    """The names in Matplotlib's own file of colours, which imports nothing."""
    package = importlib.util.find_spec("matplotlib")  # finds it without running it
    if package is None or not package.submodule_search_locations:
        return frozenset()
    place = Path(package.submodule_search_locations[0]) / "_color_data.py"
    spec = importlib.util.spec_from_file_location("matplotlib_colours", place)
    if spec is None or spec.loader is None or not place.is_file():
        return frozenset()
    data = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(data)
    names = [*data.BASE_COLORS, *data.TABLEAU_COLORS, *data.CSS4_COLORS, *data.XKCD_COLORS]
    return frozenset(name.replace("grey", "gray") for name in names)
