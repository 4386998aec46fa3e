from __future__ import annotations

import pytest
import torch

from sgaplus.artifacts import values
from sgaplus.refinement import rounding


def test_a_value_is_written_short_unless_it_would_be_taken_for_another():
    assert values.texts([0.01, 1, 4 / 3, 2.25]) == {0.01: "0.01", 1: "1", 4 / 3: "1.33", 2.25: "2.25"}
    assert list(values.texts([1.3333, 1.3339]).values()) == ["1.3333", "1.3339"]


@pytest.mark.parametrize(
    ("name", "parameter", "value", "case"),
    [
        ("ssl", "a", 0.65, "about SGA"),
        ("ssl", "a", 1, "linear"),
        ("ssl", "a", 1.3333, "about cosine"),
        ("ssl", "a", 1.33, "about cosine"),
        ("ssl", "a", 1.4, ""),
        ("ssl3", "a", 1, ""),
        ("linear3", "r", 1, ""),
    ],
)
def test_some_shapes_of_ssl_are_other_roundings(name, parameter, value, case):
    assert values.special_case(name, parameter, value) == case


@pytest.mark.parametrize(("shape", "name"), list(zip(values.SHAPES, ("sga", "linear", "cosine"), strict=True)))
def test_they_are_near_to_them(shape, name):
    fractions = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    ssl, other = rounding.make("ssl", a=shape), rounding.make(name)
    for mine, theirs in zip(ssl.probabilities(fractions), other.probabilities(fractions), strict=True):
        assert (mine - theirs).abs().max() < 0.05
