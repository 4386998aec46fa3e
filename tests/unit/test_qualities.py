from __future__ import annotations

import pytest

from sgaplus.qualities import DISTANCES, QUALITIES, SIMILARITIES, decibels, of_decibels


@pytest.mark.parametrize(("value", "expected"), [(0.9, 10), (0.99, 20), (0.0, 0), (1.0, 100)])
def test_a_similarity_in_decibels(value, expected):
    assert decibels("ms_ssim", value) == pytest.approx(expected)


@pytest.mark.parametrize(("value", "expected"), [(0.1, 10), (0.01, 20), (1.0, 0), (0.0, 100), (-1e-9, 100)])
def test_a_distance_in_decibels_rises_as_it_falls(value, expected):
    assert decibels("lpips", value) == pytest.approx(expected)


@pytest.mark.parametrize("name", [*SIMILARITIES, *DISTANCES])
def test_decibels_lead_back(name):
    assert of_decibels(name, decibels(name, 0.3)) == pytest.approx(0.3)


def test_a_quality_but_the_first_is_a_similarity_or_a_distance():
    assert list(QUALITIES) == ["psnr", *SIMILARITIES, *DISTANCES]
