from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgaplus.analysis.bootstrap import RESAMPLES, interval, paired, resamples
from tests.synthetic import refined


def test_the_weights_of_a_resample_sum_to_one_and_are_the_same_every_time():
    weights = resamples(7)
    assert weights.shape == (RESAMPLES, 7)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_array_equal(weights, resamples.__wrapped__(7))


def test_the_interval_of_equal_values_has_no_width():
    np.testing.assert_allclose(interval(np.full(9, 0.7)), [0.7, 0.7])


def test_the_interval_is_that_of_the_normal_law_for_many_images():
    values = np.random.default_rng(1).normal(3, 2, size=400)
    low, high = interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_the_interval_is_taken_over_images_for_each_quantity_by_itself():
    values = np.random.default_rng(1).normal(size=(12, 3, 2))
    low, high = interval(values)
    assert low.shape == high.shape == (3, 2)
    assert (low[1, 0], high[1, 0]) == pytest.approx(interval(values[:, 1, 0]))


def test_one_image_says_nothing_of_a_spread():
    assert np.isnan(interval(np.ones((1, 3)))).all()


def test_a_paired_difference_leaves_out_what_images_have_in_common():
    records = refined(("sga", "ssl"), images=8, seeds=(0, 1))
    found = paired(records, "ssl", "sga", 2000)
    losses = records[records["step"] == 2000].groupby(["method", "image"])["true_loss"].mean()
    assert found.value == pytest.approx((losses["ssl"] - losses["sga"]).mean())
    assert found.low < found.value < found.high < 0
    ends = interval(losses["ssl"].to_numpy())
    assert found.high - found.low < (ends[1] - ends[0]) / 10


def test_a_constant_difference_is_certain():
    records = refined(("sga",), images=5)
    worse = records.assign(method="worse", true_loss=records["true_loss"] + 0.25)
    both = pd.concat([records, worse])
    assert paired(both, "worse", "sga", 500) == pytest.approx((0.25, 0.25, 0.25))
