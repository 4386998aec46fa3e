"""Values of swept parameters in print."""

from __future__ import annotations

from collections.abc import Iterable

HEADS = {"tau_max": "Highest temperature", "cooling": "Cooling", "lr": "Learning rate"}
"""Swept parameters as heads of a table; the others are written as their keys."""

SHAPES = {0.65: "about SGA", 1.0: "linear", 4 / 3: "about cosine"}
"""Shapes a at which SSL is another two-class rounding, or nearly so (Section 3.1)."""


def texts(values: Iterable[float]) -> dict[float, str]:
    """Each value with three digits, as the paper writes 1.33 for 4/3; with more where two would look alike."""
    short = {value: f"{value:.3g}" for value in values}
    return short if len(set(short.values())) == len(short) else {value: f"{value:g}" for value in short}


def special_case(rounding: str, parameter: str, value: float) -> str:
    """The rounding that another one is, or nearly is, at a value of its parameter; empty if none."""
    if (rounding, parameter) != ("ssl", "a"):
        return ""
    return next((name for shape, name in SHAPES.items() if abs(value - shape) < 0.005), "")
