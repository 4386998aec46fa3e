"""Verdicts on constructed sweeps, of which it is known what holds."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from sgaplus.artifacts.claims import HOLDS, NOT, UNDECIDED

from .judging import IMAGES, NOISE, SWEEP, judged, row, swept, verdict


def test_sensitivity_is_the_range_over_the_sweep():
    records = swept(linear={0.2: 1.0, 0.5: 1.01, 1.0: 1.02}, sga={0.2: 0.9, 0.5: 0.8, 1.0: 1.2})
    assert verdict(records, "less_sensitive", SWEEP, method="linear", than=["sga"]) == HOLDS
    one = judged(records, "less_sensitive", SWEEP, method="sga", than=["linear"])
    assert one.verdict == NOT
    assert "range of SGA − Linear: +0.3800" in one.evidence
    unclear = swept(linear={0.2: 1.0, 0.5: 1.0, 1.0: 1.1 + NOISE}, sga={0.2: 1.0, 0.5: 1.0, 1.0: 1.2})
    assert verdict(unclear, "less_sensitive", SWEEP, method="linear", than=["sga"]) == UNDECIDED


def test_a_rise_is_from_the_highest_value_to_the_lowest():
    records = swept(ssl={1.0: 1.0, 0.5: 1.1, 0.2: 1.4}, sga={0.2: 1.2, 0.5: 1.6, 1.0: 1.1})
    one = judged(records, "rises_most", SWEEP, method="ssl", than=["sga"])
    assert one.verdict == HOLDS
    assert "rise of SSL − SGA: +0.3000, asked: above 0" in one.evidence
    assert verdict(records, "rises_most", SWEEP, method="sga", than=["ssl"]) == NOT
    unclear = swept(ssl={0.2: 1.1 + NOISE, 0.5: 1, 1.0: 1.0}, sga={0.2: 1.0, 0.5: 1, 1.0: 1.0})
    assert verdict(unclear, "rises_most", SWEEP, method="ssl", than=["sga"]) == UNDECIDED


def test_a_lower_loss_may_be_asked_at_some_values():
    records = swept(ssl={0.2: 1.3, 0.5: 1.0, 1.0: 1.0}, sga={0.2: 1.1, 0.5: 1.1, 1.0: 1.1})
    claim = {"method": "ssl", "than": ["sga"]}
    assert verdict(records, "lower_loss_at", SWEEP, **claim, values=[0.5, 1.0]) == HOLDS
    assert verdict(records, "lower_loss_at", SWEEP, **claim, values=[0.2, 1.0]) == NOT
    unclear = swept(ssl={0.5: 1.0 + NOISE}, sga={0.5: 1.1})
    assert verdict(unclear, "lower_loss_at", {"sweep": {"tau_max": [0.5]}}, **claim, values=[0.5]) == UNDECIDED


def test_near_the_best_at_every_value():
    experiment = SWEEP | {"methods": ["linear", "sga", "ssl"]}
    records = swept(
        linear={0.2: 1.0, 0.5: 1.01, 1.0: 1.0}, sga={0.2: 1.1, 0.5: 1.0, 1.0: 1.1}, ssl={0.2: 1.2, 0.5: 1.1, 1.0: 0.99}
    )
    assert verdict(records, "near_best", experiment, method="linear", within=0.01) == HOLDS  # of 1.56
    assert verdict(records, "near_best", experiment, method="linear", within=0.005) == NOT
    noisy = records.assign(true_loss=records["true_loss"] + 0.1 * NOISE[records["image"].str[-2:].astype(int)])
    noisy.loc[records["method"] != "linear", "true_loss"] = records["true_loss"]
    assert verdict(noisy, "near_best", experiment, method="linear", within=0.01) == UNDECIDED


def test_the_best_value_is_no_worse_than_the_others_by_more_than_the_margin():
    records = swept(linear={0.2: 1.2, 0.5: 1.0, 1.0: 1.0005}, ssl={0.2: 1.3, 0.5: 1.0, 1.0: 1.1})
    best = {"within": 0.001}
    assert verdict(records, "best_value", SWEEP, methods=["linear"], values=[1.0], **best) == HOLDS  # of a loss of 1.55
    assert verdict(records, "best_value", SWEEP, methods=["linear"], values=[1.0], within=0.0001) == NOT
    assert verdict(records, "best_value", SWEEP, methods=["linear", "ssl"], values=[1.0], **best) == NOT
    assert verdict(records, "best_value", SWEEP, methods=["linear", "ssl"], values=[0.5, 1.0], **best) == HOLDS
    unclear = swept(linear={0.2: 1.2, 0.5: 1.0, 1.0: 1.0 + 0.1 * NOISE})
    assert verdict(unclear, "best_value", SWEEP, methods=["linear"], values=[1.0], **best) == UNDECIDED


def test_the_worst_value_is_worse_by_a_factor():
    records = swept(linear={0.2: 3.0, 0.5: 1.1, 1.0: 1.0})  # 3.55 to 1.65
    claim = {"methods": ["linear"], "values": [0.2]}
    one = judged(records, "worst_value", SWEEP, **claim, factor=1.5)
    assert one.verdict == HOLDS
    assert "Linear at 0.2 above the worst other: +115.15 %" in one.evidence
    assert "asked: above 50 %" in one.evidence
    assert verdict(records, "worst_value", SWEEP, **claim, factor=4) == NOT
    assert verdict(records, "worst_value", SWEEP, **claim, factor=2.15) == UNDECIDED


def test_a_value_of_the_roundings_own_is_found_in_its_parameters():
    ends = {0.01: 2.0, 1: 1.0, 2.3: 0.9}
    records = pd.DataFrame(
        [
            row("ssl", image, 10, loss, parameters=json.dumps({"a": a}))
            for a, loss in ends.items()
            for image in range(IMAGES)
        ]
    )
    sweep = {"sweep": {"a": [0.01, 1, 2.3]}}
    assert verdict(records, "worst_value", sweep, methods=["ssl"], values=[0.01], factor=1.2) == HOLDS
    assert verdict(records, "best_value", sweep, methods=["ssl"], values=[2.3], within=0.001) == HOLDS


def test_equal_values_are_each_near_every_other():
    records = swept(linear={0.2: 1.2, 0.5: 1.0, 1.0: 1.001})
    claim = {"methods": ["linear"], "within": 0.001}
    assert verdict(records, "equal_values", SWEEP, **claim, values=[0.5, 1.0]) == HOLDS
    one = judged(records, "equal_values", SWEEP, **claim, values=[0.2, 0.5, 1.0])
    assert one.verdict == NOT
    assert one.evidence.count("asked: within ±") == 3
    unclear = swept(linear={0.2: 1.2, 0.5: 1.0, 1.0: 1.0 + 0.1 * NOISE})
    assert verdict(unclear, "equal_values", SWEEP, **claim, values=[0.5, 1.0]) == UNDECIDED


def test_above_most_is_above_the_median_of_the_others():
    sweep = {"sweep": {"tau_max": [0.1, 0.2, 0.5, 1.0]}}
    records = swept(ssl={0.1: 2.0, 0.2: 1.0, 0.5: 1.1, 1.0: 1.2})
    assert verdict(records, "above_most", sweep, methods=["ssl"], values=[1.0]) == HOLDS
    assert verdict(records, "above_most", sweep, methods=["ssl"], values=[0.2]) == NOT
    unclear = swept(ssl={0.1: 2.0, 0.2: 1.0, 0.5: 1.1, 1.0: 1.2 + NOISE})
    assert verdict(unclear, "above_most", sweep, methods=["ssl"], values=[1.0]) == UNDECIDED


def test_the_first_to_converge_is_ahead_early():
    early = swept(5, ssl={0.2: 1.2, 0.5: 1.3, 1.0: 1.1})
    records = pd.concat([early, swept(10, ssl={0.2: 1.0, 0.5: 1.0, 1.0: 1.05})])
    claim = {"methods": ["ssl"], "steps": 5}
    one = judged(records, "first_to_converge", SWEEP, **claim, values=[1.0])
    assert one.verdict == HOLDS
    assert "SSL at 1 after 5 steps − best other: −0.1000" in one.evidence
    assert verdict(records, "first_to_converge", SWEEP, **claim, values=[0.2]) == NOT
    unclear = swept(5, ssl={0.2: 1.2, 0.5: 1.3, 1.0: 1.1 + NOISE})
    assert verdict(unclear, "first_to_converge", SWEEP, **claim, values=[1.0]) == UNDECIDED


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ((2.0, 1.5, 1.2, 1.0), HOLDS),
        ((2.0, 1.5, 1.6, 1.0), NOT),
        ((2.0, 1.5, 1.505, 1.0), HOLDS),
        ((2.0, 1.5, 1.51 + 0.1 * NOISE, 1.0), UNDECIDED),
    ],
)
def test_a_steady_curve_does_not_turn_back_by_more_than_the_margin(course, expected):
    steps = (0, 3, 6, 10)
    records = pd.concat([swept(step, ssl={0.5: loss, 1.0: 1.0}) for step, loss in zip(steps, course, strict=True)])
    claim = {"methods": ["ssl"], "values": [0.5, 1.0], "within": 0.01}  # of 1.55
    assert verdict(records, "steady_values", {"sweep": {"tau_max": [0.5, 1.0]}}, **claim) == expected


def test_a_value_that_is_measured_at_more_steps_is_judged_by_those_that_it_has():
    records = pd.concat([swept(0, ssl={0.5: 2.0, 1.0: 2.0}), swept(5, ssl={1.0: 1.5}), swept(10, ssl={0.5: 1, 1.0: 1})])
    claim = {"methods": ["ssl"], "values": [0.5, 1.0], "within": 0.01}
    assert verdict(records, "steady_values", {"sweep": {"tau_max": [0.5, 1.0]}}, **claim) == HOLDS
