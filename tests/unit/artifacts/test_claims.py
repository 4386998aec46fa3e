"""Verdicts on constructed records, of which it is known what holds."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from sgaplus.analysis.experiment import Claim
from sgaplus.analysis.intervals import Estimate
from sgaplus.artifacts import claims
from sgaplus.artifacts.claims import HOLDS, IN_PART, NOT, Comparison
from tests.synthetic import results

LABELS = {"ste": "STE", "sga": "SGA", "ssl": "SSL", "linear": "Linear", "linear3": "Linear 3", "ssl3": "SSL 3"}
IMAGES = [f"image{number}" for number in range(12)]


def row(method: str, image: str, step: int, loss: float, **fields) -> dict:
    same = {"dataset": "photos", "model": "m", "model_lmbda": 0.01, "target_lmbda": 0.01, "seed": 0, "parameters": "{}"}
    level = IMAGES.index(image) / 10  # images differ far more than methods do
    losses = {"true_loss": level + loss, "method_loss": level + loss}
    return same | {"method": method, "image": image, "step": step, **losses} | fields


def losses(**ends: float | list[float]) -> pd.DataFrame:
    """Records of step 0 and 10: each method ends at a loss, the same for all images or one for each."""
    rows = []
    for method, end in ends.items():
        each = end if isinstance(end, list) else [end] * len(IMAGES)
        for image, loss in zip(IMAGES, each, strict=True):
            rows += [row(method, image, 0, 2.0), row(method, image, 10, loss)]
    return pd.DataFrame(rows)


def judged(records: pd.DataFrame, check: str, experiment: dict | None = None, **claim) -> claims.Judged:
    entry = {"text": "So it is.", "source": "Section 1", "experiment": "e", "check": check}
    methods = {name: {"label": label} for name, label in LABELS.items()}
    shown = results(records, {"steps": [10], "models": ["m"], "methods": list(LABELS)} | (experiment or {}), methods)
    return claims.judge(shown, Claim.of(entry | claim))


NAN = float("nan")


@pytest.mark.parametrize(
    ("estimates", "expected"),
    [
        ([(-1, -2, -0.5), (-3, -4, -1)], HOLDS),
        ([(-1, -2, 0.5), (-3, -4, -1)], IN_PART),
        ([(-1, -2, 0.5)], IN_PART),
        ([(1, 0.5, 2), (-3, -4, -1)], IN_PART),
        ([(-1, NAN, NAN)], IN_PART),  # one image: nothing is known of the spread
        ([(1, -1, 2), (0, 0, 0)], NOT),
        ([(NAN, NAN, NAN)], NOT),
    ],
)
def test_the_verdict_follows_the_intervals(estimates, expected):
    assert claims.verdict([Comparison("x", Estimate(*numbers)) for numbers in estimates]) == expected


def test_a_comparison_is_printed_with_its_interval_if_it_has_one():
    assert str(Comparison("a − b", Estimate(-0.5, -0.75, 0.25), " dB")) == "a − b: −0.50 dB [−0.75, +0.25]"
    assert str(Comparison("a", Estimate(1, NAN, NAN))) == "a: +1.0000"
    assert str(Comparison("a", Estimate(-10, NAN, NAN), " %", -15)) == "a: −10.00 %, asked: −15 %"
    assert str(Comparison("a", Estimate(float("inf"), -1, NAN))) == "a: out of reach"


def test_a_lower_loss_holds_only_over_all_others():
    records = losses(ssl=1.0, sga=1.1, ste=1.2)
    one = judged(records, "lower_loss", method="ssl", than=["sga", "ste"])
    assert one.verdict == HOLDS
    assert one.evidence.startswith("SSL − SGA: −0.1000")
    assert "; SSL − STE: −0.2000" in one.evidence
    assert judged(records, "lower_loss", method="sga", than=["ssl", "ste"]).verdict == IN_PART
    assert judged(records, "lower_loss", method="ste", than=["ssl", "sga"]).verdict == NOT


def test_a_lower_loss_on_some_images_only_holds_in_part():
    mixed = [0.9] * 7 + [1.09] * 5
    assert judged(losses(ssl=mixed, sga=1.0), "lower_loss", method="ssl", than=["sga"]).verdict == IN_PART


def test_an_earlier_step_may_be_judged():
    records = losses(ssl=1.0, sga=1.1)
    records.loc[(records["method"] == "ssl") & (records["step"] == 0), "true_loss"] += 1
    assert judged(records, "lower_loss", method="ssl", than=["sga"], steps=0).verdict == NOT


def test_the_gap_is_that_of_method_and_true_loss_in_either_direction():
    records = losses(ssl=1.0, sga=1.0)
    records.loc[records["method"] == "sga", "method_loss"] -= 0.2
    records.loc[records["method"] == "ssl", "method_loss"] += 0.1
    assert judged(records, "smaller_gap", method="ssl", than=["sga"]).verdict == HOLDS
    assert judged(records, "smaller_gap", method="sga", than=["ssl"]).verdict == NOT


def swept(**ends: dict[float, float]) -> pd.DataFrame:
    """Records of step 10: the loss of each method at each value of tau_max."""
    return pd.DataFrame(
        [
            row(method, image, 10, loss, tau_max=value)
            for method, values in ends.items()
            for value, loss in values.items()
            for image in IMAGES
        ]
    )


SWEEP = {"sweep": {"tau_max": [0.2, 0.5, 1.0]}}


def test_sensitivity_is_the_range_over_the_sweep():
    records = swept(linear={0.2: 1.0, 0.5: 1.01, 1.0: 1.02}, sga={0.2: 0.9, 0.5: 0.8, 1.0: 1.2})
    assert judged(records, "less_sensitive", SWEEP, method="linear", than=["sga"]).verdict == HOLDS
    one = judged(records, "less_sensitive", SWEEP, method="sga", than=["linear"])
    assert one.verdict == NOT
    assert "range of SGA − Linear: +0.3800" in one.evidence


def test_the_best_and_the_worst_value_of_a_sweep():
    records = swept(linear={0.2: 1.2, 0.5: 1.1, 1.0: 1.0}, ssl={0.2: 1.3, 0.5: 1.0, 1.0: 1.1})
    assert judged(records, "best_value", SWEEP, methods=["linear"], value=1.0).verdict == HOLDS
    assert judged(records, "best_value", SWEEP, methods=["linear", "ssl"], value=1.0).verdict == IN_PART
    assert judged(records, "best_value", SWEEP, methods=["ssl"], value=0.2).verdict == NOT
    assert judged(records, "worst_value", SWEEP, methods=["linear", "ssl"], value=0.2).verdict == HOLDS
    assert judged(records, "worst_value", SWEEP, methods=["ssl"], value=1.0).verdict == NOT


def test_a_value_of_the_roundings_own_is_found_in_its_parameters():
    ends = {0.01: 2.0, 1: 1.0, 2.3: 0.9}
    records = pd.DataFrame(
        [row("ssl", image, 10, loss, parameters=json.dumps({"a": a})) for a, loss in ends.items() for image in IMAGES]
    )
    sweep = {"sweep": {"a": [0.01, 1, 2.3]}}
    assert judged(records, "worst_value", sweep, methods=["ssl"], value=0.01).verdict == HOLDS
    assert judged(records, "best_value", sweep, methods=["ssl"], value=2.3).verdict == HOLDS


def at_steps(**ends: tuple[float, float]) -> pd.DataFrame:
    """Records of step 5 and 10."""
    return pd.DataFrame(
        [
            row(method, image, step, loss)
            for method, both in ends.items()
            for step, loss in zip((5, 10), both, strict=True)
            for image in IMAGES
        ]
    )


PAIRS = {"methods": ["linear", "linear3", "ssl", "ssl3"], "steps": [5, 10]}


def test_what_a_third_class_gains():
    records = at_steps(linear=(1.2, 1.0), linear3=(1.1, 1.0), ssl=(1.15, 1.0), ssl3=(1.14, 1.0001))
    assert judged(records, "gains_most", PAIRS, method="linear").verdict == HOLDS
    assert judged(records, "gains_most", PAIRS, method="ssl").verdict == IN_PART


def test_alike_is_less_apart_than_the_tolerance_in_either_direction():
    records = at_steps(ssl=(1.2, 1.0), ssl3=(1.1, 1.001))
    for pair in (["ssl", "ssl3"], ["ssl3", "ssl"]):
        assert judged(records, "alike", PAIRS, methods=pair, within=0.001).verdict == HOLDS
        assert judged(records, "alike", PAIRS, methods=pair, within=0.0001).verdict == NOT


def test_methods_converge_if_their_spread_shrinks():
    together = at_steps(linear=(1.2, 1.0), ssl=(1.1, 0.99))
    assert judged(together, "converge", PAIRS, methods=["linear", "ssl"]).verdict == HOLDS
    apart = at_steps(linear=(1.2, 1.0), ssl=(1.1, 0.8))
    assert judged(apart, "converge", PAIRS, methods=["linear", "ssl"]).verdict == NOT


def curve(method: str, step: int, rate: float, psnr: float = 0.0) -> list[dict]:
    """A curve of three models: rates are this share of 0.1, 0.2 and 0.4 bpp, and PSNR is so much higher."""
    return [
        row(
            *(method, image, step, 1.0),
            **{"model": f"m{lmbda}", "model_lmbda": lmbda, "target_lmbda": lmbda, "bpp": rate * bpp},
            psnr=30 + 10 * bpp + number / 10 + psnr,
        )
        for lmbda, bpp in ((0.01, 0.1), (0.02, 0.2), (0.04, 0.4))
        for number, image in enumerate(IMAGES)
    ]


def test_bits_saved_are_a_bd_rate():
    rows = [*curve("ssl", 0, 1), *curve("sga", 0, 1), *curve("ssl", 10, 0.8), *curve("sga", 10, 0.9)]
    records, models = pd.DataFrame(rows), {"models": ["m0.01", "m0.02", "m0.04"]}
    one = judged(records, "fewer_bits", models, method="ssl", than=["base", "sga"])
    assert one.verdict == HOLDS
    assert "BD-rate of SSL against the base model: −20.00 %" in one.evidence
    assert judged(records, "fewer_bits", models, method="ssl", than=["base"], at_most=-15).verdict == HOLDS
    assert judged(records, "fewer_bits", models, method="ssl", than=["base"], at_most=-25).verdict == NOT
    assert judged(records, "fewer_bits", models, method="sga", than=["base", "ssl"]).verdict == IN_PART


def test_models_cover_the_curve_if_they_beat_it_at_every_rate():
    def refined(gain: float) -> pd.DataFrame:
        rows = curve("ssl", 0, 1)
        for model in (0.01, 0.02, 0.04):  # every model reaches the whole curve
            rows += [
                r | {"model": f"m{model}", "model_lmbda": model, "target_lmbda": r["model_lmbda"]}
                for r in curve("ssl", 10, 1, gain)
            ]
        return pd.DataFrame(rows)

    experiment = {"models": ["m0.01", "m0.02", "m0.04"], "cover": 1}
    assert judged(refined(0.5), "covers", experiment).verdict == HOLDS
    one = judged(refined(-0.5), "covers", experiment)
    assert one.verdict == NOT
    assert one.evidence.count("base − refined at") == 3


@pytest.mark.parametrize(
    ("bpp", "psnr", "expected"),
    [(0.1, 33.0, HOLDS), (0.1, 30.0, IN_PART), (0.15, 33.0, IN_PART), (0.15, 30.0, NOT)],
)
def test_figure_5_asks_for_a_better_image_at_no_more_bits(bpp, psnr, expected):
    rows = [
        row("ssl", "image0", 0, 1, model="low", model_lmbda=0.01, bpp=0.1, psnr=31.0),
        row("ssl", "image0", 10, 1, model="high", model_lmbda=0.04, bpp=bpp, psnr=psnr),
    ]
    experiment = {"image": "image0", "models": ["low", "high"]}
    assert judged(pd.DataFrame(rows), "better_at_its_rate", experiment, method="ssl").verdict == expected
