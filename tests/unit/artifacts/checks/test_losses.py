"""Verdicts on constructed losses, of which it is known what holds."""

from __future__ import annotations

import pandas as pd
import pytest

from sgaplus.artifacts.claims import HOLDS, NOT, UNDECIDED

from .judging import LMBDAS, NOISE, at_steps, judged, losses, row, verdict


def test_a_lower_loss_holds_only_over_all_others():
    records = losses(ssl=1.0, sga=1.1, ste=1.2)
    one = judged(records, "lower_loss", method="ssl", than=["sga", "ste"])
    assert one.verdict == HOLDS
    assert one.evidence.startswith("SSL − SGA: −0.1000; SSL − STE: −0.2000")
    assert verdict(records, "lower_loss", method="sga", than=["ssl", "ste"]) == NOT
    assert verdict(records, "lower_loss", method="ste", than=["ssl", "sga"]) == NOT


def test_a_lower_loss_on_some_images_only_is_undecided():
    mixed = [0.9] * 7 + [1.09] * 5
    one = judged(losses(ssl=mixed, sga=1.0), "lower_loss", method="ssl", than=["sga"])
    assert one.verdict == UNDECIDED
    assert "SSL − SGA: −0.0208 [−0.0830, +0.0413]. In brackets: 95 % confidence intervals over 12 im" in one.evidence


def test_one_part_that_is_undecided_leaves_the_claim_so_and_one_that_fails_settles_it():
    records = losses(ssl=1.0, sga=1.1, linear=1.0 + 0.01 * NOISE, ste=0.9)
    assert verdict(records, "lower_loss", method="ssl", than=["sga", "linear"]) == UNDECIDED
    assert verdict(records, "lower_loss", method="ssl", than=["sga", "linear", "ste"]) == NOT


def test_an_earlier_step_may_be_judged():
    records = losses(ssl=1.0, sga=1.1)
    records.loc[(records["method"] == "ssl") & (records["step"] == 0), "true_loss"] += 1
    assert verdict(records, "lower_loss", method="ssl", than=["sga"], steps=0) == NOT


def test_the_gap_is_that_of_method_and_true_loss_in_either_direction():
    records = losses(ssl=1.0, sga=1.0)
    records.loc[records["method"] == "sga", "method_loss"] -= 0.2
    records.loc[records["method"] == "ssl", "method_loss"] += 0.1
    assert verdict(records, "smaller_gap", method="ssl", than=["sga"]) == HOLDS
    assert verdict(records, "smaller_gap", method="sga", than=["ssl"]) == NOT


@pytest.mark.parametrize(("above", "expected"), [(0.1, HOLDS), (-0.1, NOT), (0.0, UNDECIDED)])
def test_an_overestimate_has_a_sign(above, expected):
    records = losses(uniform=1.0)
    records["method_loss"] += above
    records.loc[records["image"] == "image00", "method_loss"] += 0.05
    later = records.assign(step=records["step"] + 20, method_loss=0)  # beyond the experiment's last step
    labelled = pd.concat([records, later]).assign(method="ste")
    one = judged(labelled, "overestimates", method="ste")
    assert one.verdict == expected
    assert ", asked: above 0" in one.evidence


@pytest.mark.parametrize(("late", "expected"), [(1.2, HOLDS), (0.9, NOT), (1.0 + NOISE, UNDECIDED)])
def test_a_method_diverges_if_its_loss_rises_again(late, expected):
    assert verdict(at_steps(0, 5, 10, ste=(2.0, 1.0, late)), "diverges", method="ste", steps=5) == expected


def test_who_converges_sooner_has_more_of_its_own_gain_early():
    records = at_steps(0, 5, 10, ste=(2.0, 1.5, 1.4), sga=(2.0, 1.4, 1.0))  # 83 and 60 %
    one = judged(records, "converges_sooner", method="ste", than=["sga"], steps=5)
    assert one.verdict == HOLDS
    assert "share of its gain that STE has after 5 steps − SGA: +23.33 %" in one.evidence
    assert verdict(records, "converges_sooner", method="sga", than=["ste"], steps=5) == NOT
    unclear = at_steps(0, 5, 10, ste=(2.0, 1.5 + 0.3 * NOISE, 1.0), sga=(2.0, 1.5, 1.0))
    assert verdict(unclear, "converges_sooner", method="ste", than=["sga"], steps=5) == UNDECIDED


@pytest.mark.parametrize(("share", "expected"), [(0.5, HOLDS), (0.7, NOT), (0.6, UNDECIDED)])
def test_an_early_gain_is_a_share_of_the_whole(share, expected):
    records = at_steps(0, 5, 10, ssl=(2.0, 1.4 + 0.1 * NOISE, 1.0), linear=(2.0, 1.2, 1.0))
    assert verdict(records, "early_gain", methods=["ssl", "linear"], steps=5, at_least=share) == expected


TWO_COUNTS = {"steps": [5, 10], "models": ["low", "high"]}


@pytest.mark.parametrize(("late", "expected"), [(0.9, HOLDS), (1.1, NOT), (1.0 + NOISE, UNDECIDED)])
def test_gaining_later_at_the_lowest_lambda_leaves_the_other_models_out(late, expected):
    low = at_steps(5, 10, ste=(1.0, late))
    high = at_steps(5, 10, ste=(1.0, 1.05)).assign(model="high", model_lmbda=0.04, target_lmbda=0.04)
    assert verdict(pd.concat([low, high]), "gains_later_at_lowest_lambda", TWO_COUNTS, method="ste") == expected


def leads(*shares) -> pd.DataFrame:
    """Records of three models: SGA's loss is 1 plus the image's level, and SSL's lower by a share under each."""
    rows = []
    for lmbda, share in zip(LMBDAS, shares, strict=True):
        same = {"model": f"m{lmbda}", "model_lmbda": lmbda, "target_lmbda": lmbda}
        for image in range(12):
            level = 1 + image / 10
            lead = share[image] if isinstance(share, list) else share
            rows += [row("sga", image, 10, 0, **same) | {"true_loss": level}]
            rows += [row("ssl", image, 10, 0, **same) | {"true_loss": level * (1 - lead)}]
    return pd.DataFrame(rows)


def test_a_lead_at_both_ends_is_above_that_between():
    experiment = {"models": ["m0.01", "m0.02", "m0.04"]}
    claim = {"method": "ssl", "than": ["sga"]}
    one = judged(leads(0.04, 0.02, 0.03), "gains_most_at_the_ends", experiment, **claim)
    assert one.verdict == HOLDS
    assert "lead over SGA at λ = 0.01 − between the ends: +2.00 %" in one.evidence
    assert verdict(leads(0.04, 0.02, 0.01), "gains_most_at_the_ends", experiment, **claim) == NOT
    unclear = leads(0.04, 0.02, list(0.02 + 0.01 * NOISE))
    assert verdict(unclear, "gains_most_at_the_ends", experiment, **claim) == UNDECIDED


PAIRS = {"methods": ["linear", "linear3", "ssl", "ssl3"], "steps": [5, 10]}


def test_what_a_third_class_gains():
    records = at_steps(5, 10, linear=(1.2, 1.0), linear3=(1.1, 1.0), ssl=(1.15, 1.0), ssl3=(1.14, 1.0001))
    assert verdict(records, "gains_most", PAIRS, method="linear") == HOLDS
    assert verdict(records, "gains_most", PAIRS, method="ssl") == NOT
    unclear = at_steps(5, 10, linear=(1.2, 1.0), linear3=(1.1 + NOISE, 1.0), ssl=(1.15, 1.0), ssl3=(1.14, 1.0))
    assert verdict(unclear, "gains_most", PAIRS, method="linear") == UNDECIDED


def test_what_a_third_class_gains_may_be_asked_later():
    records = at_steps(5, 10, linear=(1.2, 1.0), linear3=(1.1, 1.0), ssl=(1.15, 1.0), ssl3=(1.14, 0.9))
    assert verdict(records, "gains_most", PAIRS, method="ssl", steps=10) == HOLDS


def test_alike_is_less_apart_than_the_tolerance_in_either_direction():
    records = at_steps(5, 10, ssl=(1.2, 1.0), ssl3=(1.1, 1.001))
    for pair in (["ssl", "ssl3"], ["ssl3", "ssl"]):
        assert verdict(records, "alike", PAIRS, methods=pair, within=0.001) == HOLDS  # the mean loss is 1.55
        assert verdict(records, "alike", PAIRS, methods=pair, within=0.0001) == NOT
        assert verdict(records, "alike", PAIRS, methods=pair, steps=5, within=0.001) == NOT


def test_alike_is_a_test_of_equivalence_that_prints_its_interval():
    records = losses(ssl=1.0 + 0.01 * NOISE, ssl3=1.0)
    one = judged(records, "alike", methods=["ssl", "ssl3"], within=0.004)
    assert one.verdict == HOLDS
    assert one.evidence.startswith("SSL − SSL 3: +0.0000 [−0.0042, +0.0042], asked: within ±0.0062")
    # not to be told apart is not to be alike
    assert verdict(records, "alike", methods=["ssl", "ssl3"], within=0.002) == UNDECIDED


def test_methods_converge_if_their_spread_shrinks():
    together = at_steps(5, 10, linear=(1.2, 1.0), ssl=(1.1, 0.99))
    assert verdict(together, "converge", PAIRS, methods=["linear", "ssl"]) == HOLDS
    apart = at_steps(5, 10, linear=(1.2, 1.0), ssl=(1.1, 0.8))
    assert verdict(apart, "converge", PAIRS, methods=["linear", "ssl"]) == NOT
    unclear = at_steps(5, 10, linear=(1.2, 1.0), ssl=(1.1, 0.92 + 0.3 * NOISE))
    assert verdict(unclear, "converge", PAIRS, methods=["linear", "ssl"]) == UNDECIDED
