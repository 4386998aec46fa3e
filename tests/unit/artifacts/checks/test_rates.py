"""Verdicts on constructed curves, of which it is known what holds."""

from __future__ import annotations

import pandas as pd
import pytest

from sgaplus.artifacts.claims import HOLDS, NOT, UNDECIDED

from .judging import LMBDAS, MODELS, NOISE, curve, judged, row, verdict


def test_bits_saved_are_a_bd_rate():
    rows = [*curve("ssl", 0, 1), *curve("sga", 0, 1), *curve("ssl", 10, 0.8), *curve("sga", 10, 0.9)]
    records = pd.DataFrame(rows)
    one = judged(records, "fewer_bits", MODELS, method="ssl", than=["base", "sga"])
    assert one.verdict == HOLDS
    assert "BD-rate of SSL against the base model: −20.00 %" in one.evidence
    assert verdict(records, "fewer_bits", MODELS, method="ssl", than=["base"], at_most=-15) == HOLDS
    one = judged(records, "fewer_bits", MODELS, method="ssl", than=["base"], at_most=-25)
    assert one.verdict == NOT
    assert "−20.00 %, asked: below −25 %" in one.evidence
    assert verdict(records, "fewer_bits", MODELS, method="sga", than=["base", "ssl"]) == NOT
    assert verdict(records, "more_bits", MODELS, method="sga", than=["ssl"]) == HOLDS
    assert verdict(records, "more_bits", MODELS, method="sga", than=["base"]) == NOT


def test_bits_are_fewer_or_more_than_those_of_an_anchor():
    records = pd.DataFrame([*curve("ssl", 0, 1), *curve("ssl", 10, 0.8)])
    rows = pd.DataFrame(curve("webp", 0, 1.6)).assign(dataset="demo", codec="webp", variant="")
    coded = rows.rename(columns={"model_lmbda": "setting"})
    experiment = MODELS | {"anchors": ["webp"]}
    one = judged(records, "fewer_bits", experiment, coded, method="ssl", than=["base", "webp"])
    assert one.verdict == HOLDS
    assert "BD-rate of SSL against WebP: −50.00 %" in one.evidence
    assert judged(records, "more_bits", experiment, coded, method="ssl", than=["webp"]).verdict == NOT


def test_bits_that_are_saved_on_some_images_only_are_undecided():
    records = pd.DataFrame([*curve("ssl", 0, 1), *curve("ssl", 10, 0.99 + 0.3 * NOISE)])
    for check in ("fewer_bits", "more_bits"):
        assert verdict(records, check, MODELS, method="ssl", than=["base"]) == UNDECIDED


def test_curves_that_share_no_quality_leave_it_undecided():
    records = pd.DataFrame([*curve("ssl", 0, 1), *curve("ssl", 10, 1, psnr=20)])
    one = judged(records, "fewer_bits", MODELS, method="ssl", than=["base"])
    assert one.verdict == UNDECIDED
    assert "against the base model: not defined" in one.evidence


COUNTS = MODELS | {"steps": [5, 10]}


@pytest.mark.parametrize(("late", "expected"), [(0.7, HOLDS), (0.9, NOT), (0.8 + 0.3 * NOISE, UNDECIDED)])
def test_fewer_bits_later_compares_a_method_with_itself(late, expected):
    records = pd.DataFrame([*curve("ste", 5, 0.8), *curve("ste", 10, late)])
    assert verdict(records, "fewer_bits_later", COUNTS, method="ste") == expected


@pytest.mark.parametrize(("late", "expected"), [(0.6, HOLDS), (0.75, NOT), (0.7 + 0.3 * NOISE, UNDECIDED)])
def test_a_lead_grows_with_the_steps(late, expected):
    rows = [*curve("sga", 5, 0.9), *curve("ssl", 5, 0.81), *curve("sga", 10, 0.8), *curve("ssl", 10, late)]
    one = judged(pd.DataFrame(rows), "lead_grows", COUNTS, method="ssl", than=["sga"])  # from 10 to 25 or to 6 %
    assert one.verdict == expected
    assert one.evidence.startswith("BD-rate of SSL against SGA after 10 steps − after 5: ")


def refined(*gains: float, noise: float = 0) -> pd.DataFrame:
    """Every model reaches the whole curve, with the same gain in dB toward each target."""
    rows = curve("ssl", 0, 1)
    for model, gain in zip(LMBDAS, gains, strict=True):
        rows += [
            r | {"model": f"m{model}", "model_lmbda": model, "target_lmbda": r["model_lmbda"]}
            for r in curve("ssl", 10, 1, gain)
        ]
    records = pd.DataFrame(rows)
    records["psnr"] += noise * NOISE[records["image"].str[-2:].astype(int)] * (records["step"] > 0)
    return records


def test_models_cover_the_curve_if_they_beat_it_at_every_rate():
    experiment = MODELS | {"cover": 1}
    assert verdict(refined(0.5, 0.5, 0.5), "covers", experiment) == HOLDS
    one = judged(refined(-0.5, -0.5, -0.5), "covers", experiment)
    assert one.verdict == NOT
    assert one.evidence.count("base − refined at") == 3
    assert verdict(refined(0.1, 0.1, 0.1, noise=1), "covers", experiment) == UNDECIDED


def test_a_rate_out_of_reach_is_not_covered():
    records = refined(0.5, 0.5, 0.5)
    high = records[(records["step"] == 0) | (records["bpp"] > 0.15)]
    one = judged(high, "covers", MODELS | {"cover": 1})
    assert one.verdict == NOT
    assert "base − refined at 0.100 bpp: out of reach" in one.evidence


def test_every_model_has_to_beat_the_base_somewhere():
    assert verdict(refined(0.5, 0.5, 0.5), "every_model_beats_the_base", MODELS) == HOLDS
    one = judged(refined(0.5, 0.5, -0.5), "every_model_beats_the_base", MODELS)
    assert one.verdict == NOT
    assert "best gain of m0.04: −0.50 dB, asked: above 0 dB" in one.evidence
    assert verdict(refined(0.5, 0.5, 0.5, noise=2), "every_model_beats_the_base", MODELS) == UNDECIDED


def test_one_good_target_of_a_model_is_enough_and_one_far_target_too_bad():
    records = refined(0.5, 0.5, 0.5)
    own = records["model_lmbda"] == records["target_lmbda"]
    records.loc[(records["step"] > 0) & ~own, "psnr"] -= 2
    assert verdict(records, "every_model_beats_the_base", MODELS) == HOLDS
    one = judged(records, "far_targets_lose", MODELS)
    assert one.verdict == HOLDS
    assert "gain of m0.01 toward λ = 0.04: −1.50 dB" in one.evidence
    assert "gain of m0.04 toward λ = 0.01: −1.50 dB" in one.evidence
    assert verdict(refined(0.5, 0.5, 0.5), "far_targets_lose", MODELS) == NOT
    assert verdict(refined(-0.1, -0.1, -0.1, noise=1), "far_targets_lose", MODELS) == UNDECIDED


@pytest.mark.parametrize(
    ("bpp", "psnr", "expected"),
    [(0.1, 33.0, HOLDS), (0.1, 30.0, NOT), (0.15, 33.0, NOT), (0.15, 30.0, NOT)],
)
def test_figure_5_asks_for_a_better_image_at_no_more_bits(bpp, psnr, expected):
    """A better image at more bits is no part of the claim that holds: the rate is what the claim stands on."""
    rows = [
        row("ssl", 0, 0, 1, model="low", model_lmbda=0.01, bpp=0.1, psnr=31.0),
        row("ssl", 0, 10, 1, model="high", model_lmbda=0.04, bpp=bpp, psnr=psnr),
    ]
    experiment = {"image": "image00", "models": ["low", "high"]}
    one = judged(pd.DataFrame(rows), "better_at_its_rate", experiment, method="ssl")
    assert one.verdict == expected
    assert one.printed == f"{expected}: one image, by its nature"
    assert one.images == 1
    assert "[" not in one.evidence
