from __future__ import annotations

import pytest

from sgaplus.qualities import decibels


@pytest.mark.parametrize(("value", "expected"), [(0.9, 10), (0.99, 20), (0.0, 0), (1.0, 100)])
def test_a_similarity_in_decibels(value, expected):
    assert decibels(value) == pytest.approx(expected)
