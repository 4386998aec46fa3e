"""The verdict that intervals make, and how it is printed. The checks have tests of their own."""

from __future__ import annotations

import math

import pytest

from sgaplus.analysis.intervals import Estimate
from sgaplus.artifacts import claims
from sgaplus.artifacts.claims import HOLDS, NOT, NOT_JUDGED, UNDECIDED, Comparison

from .checks.judging import judged, losses

NAN = float("nan")


@pytest.mark.parametrize(
    ("estimates", "expected"),
    [
        ([(-1, -2, -0.5), (-3, -4, -1)], HOLDS),
        ([(-1, -2, 0.5), (-3, -4, -1)], UNDECIDED),
        ([(-1, -2, 0.5)], UNDECIDED),
        ([(1, -0.5, 2)], UNDECIDED),
        ([(1, 0.5, 2), (-3, -4, -1)], NOT),
        ([(1, 0.5, 2), (-1, -2, 0.5)], NOT),
        ([(-1, NAN, NAN)], UNDECIDED),
        ([(0, 0, 0)], UNDECIDED),
        ([(NAN, NAN, NAN)], UNDECIDED),
        ([(math.inf, math.inf, math.inf)], NOT),
    ],
)
def test_the_verdict_follows_the_intervals(estimates, expected):
    assert claims.verdict([Comparison("x", Estimate(*numbers)) for numbers in estimates]) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.5, 0.5, HOLDS),
        (-1.5, 0.5, UNDECIDED),
        (0.5, 1.5, UNDECIDED),
        (-2, 2, UNDECIDED),
        (1.5, 2, NOT),
        (-2, -1.5, NOT),
    ],
)
def test_a_region_of_two_ends_is_a_test_of_equivalence(low, high, expected):
    estimate = Estimate((low + high) / 2, low, high)
    assert claims.verdict([Comparison("x", estimate, below=1, above=-1)]) == expected


def test_a_comparison_is_printed_with_its_interval_and_what_is_asked():
    def printed(*numbers: float, unit: str = "", **region: float) -> str:
        return str(Comparison("a", Estimate(*numbers), unit, **region))

    assert printed(-0.5, -0.75, 0.25, unit=" dB") == "a: −0.50 dB [−0.75, +0.25]"
    assert printed(1, NAN, NAN) == "a: +1.0000"
    assert printed(-10, NAN, NAN, unit=" %", below=-15) == "a: −10.00 %, asked: below −15 %"
    assert printed(1, 0, 2, below=math.inf, above=0) == "a: +1.0000 [+0.0000, +2.0000], asked: above 0"
    assert printed(1, 0, 2, below=0.000365, above=-0.000365).endswith(", asked: within ±0.000365")
    assert printed(1, 0, 2, unit=" %", below=3, above=-1).endswith(", asked: from −1 % to 3 %")
    assert printed(math.inf, -1, NAN) == "a: out of reach"
    assert printed(NAN, NAN, NAN) == "a: not defined"


@pytest.mark.parametrize(("images", "expected"), [(7, NOT_JUDGED), (8, HOLDS)])
def test_a_claim_is_judged_by_eight_images_and_not_by_seven(images, expected):
    records = losses(ssl=1.0, sga=[1.1 + number / 100 for number in range(12)])
    records = records[records["image"] < f"image{images:02}"]
    one = judged(records, "lower_loss", method="ssl", than=["sga"])
    assert one.verdict == expected
    assert one.images == images


def test_what_is_not_judged_says_how_many_images_it_lacks_and_shows_their_range():
    records = losses(ssl=1.0, sga=[1.1, 1.3] * 6)
    one = judged(records[records["image"] < "image02"], "lower_loss", method="ssl", than=["sga"])
    assert one.printed == "not judged: 2 images, 8 are needed"
    assert one.evidence == "SSL − SGA: −0.2000 [−0.3000, −0.1000]. In brackets: ranges of 2 images. Seed 0"
    one = judged(records[records["image"] == "image00"], "lower_loss", method="ssl", than=["sga"])
    assert one.printed == "not judged: 1 image, 8 are needed"
    assert one.evidence == "SSL − SGA: −0.1000. Seed 0"


def test_the_evidence_names_the_seeds():
    one = judged(losses(ssl=1.0, sga=1.1), "lower_loss", {"seeds": [0, 1]}, method="ssl", than=["sga"])
    assert one.evidence.endswith(". In brackets: 95 % confidence intervals over 12 images. Seeds 0, 1")
