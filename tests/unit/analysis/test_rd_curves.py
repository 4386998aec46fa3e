from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaplus.analysis import rd_curves
from sgaplus.analysis.selection import at_step
from tests.synthetic import LMBDAS, refined

CURVE = np.array([[0.1, 27.0], [0.2, 29.5], [0.4, 32.0], [0.8, 35.0]])


@given(st.floats(0.2, 3.0))
def test_a_curve_of_scaled_rates_has_exactly_that_bd_rate(scale):
    assert rd_curves.bd_rate(CURVE, CURVE * [scale, 1]) == pytest.approx(100 * (scale - 1))


def test_ten_per_cent_less_is_minus_ten_per_cent():
    assert rd_curves.bd_rate(CURVE, CURVE * [0.9, 1]) == pytest.approx(-10)


def test_a_curve_half_a_decibel_higher_has_that_bd_psnr():
    assert rd_curves.bd_psnr(CURVE, np.add(CURVE, [0, 0.5])) == pytest.approx(0.5)


def test_bd_does_not_depend_on_the_order_of_points_or_on_equal_counts():
    test = CURVE * [0.9, 1]
    assert rd_curves.bd_rate(CURVE[::-1], test[[2, 0, 3, 1]]) == pytest.approx(-10)
    assert np.isfinite(rd_curves.bd_rate(CURVE, test[1:]))


@given(st.floats(27, 35), st.floats(0.5, 1.0))
def test_bits_are_saved_against_the_rate_of_the_same_psnr(psnr, share):
    rate = rd_curves.rate_at(CURVE, np.array([psnr]))
    saved = rd_curves.bits_saved(CURVE, np.array([[share * rate[0], psnr]]))
    assert saved == pytest.approx(100 * (1 - share))


def test_the_rate_of_a_psnr_is_the_inverse_at_the_points_and_goes_on_along_the_outermost_two():
    np.testing.assert_allclose(rd_curves.rate_at(CURVE, CURVE[:, 1]), CURVE[:, 0])
    beyond = rd_curves.rate_at(CURVE, np.array([38.0, 24.5]))
    np.testing.assert_allclose(beyond, [1.6, 0.05])


def test_curves_that_share_no_range_have_no_bd():
    assert np.isnan(rd_curves.bd_rate(CURVE, np.add(CURVE, [0, 20])))
    assert np.isnan(rd_curves.bd_psnr(CURVE, CURVE * [100, 1]))
    assert np.isnan(rd_curves.bd_rate(CURVE, CURVE[:1]))


def test_points_and_curves_are_the_same_means():
    records = at_step(refined(("ssl",), lmbdas=(0.01, 0.001), targets=(0.02, 0.005), images=3, seeds=(0, 1)), 500)
    curve, points = rd_curves.curve(records), rd_curves.points(records)
    assert curve.shape == (4, 3, 2)
    np.testing.assert_allclose(curve.mean(axis=1), points)
    assert list(points.index.get_level_values("model_lmbda")) == [0.001, 0.001, 0.01, 0.01]
    one = records[(records["model_lmbda"] == 0.01) & (records["target_lmbda"] == 0.02)]
    assert points.loc[(0.01, "model_lmbda0.01", 0.02), "psnr"] == pytest.approx(one["psnr"].mean())


def test_the_base_curve_has_a_point_per_model_whatever_the_targets():
    records = refined(("ssl",), lmbdas=LMBDAS, targets=(0.001, 0.01), images=2)
    assert rd_curves.base_curve(records).shape == (7, 2, 2)


def test_an_estimate_lies_in_its_interval_and_is_certain_where_images_agree():
    records = refined(("sga",), lmbdas=LMBDAS, images=5)
    base = rd_curves.base_curve(records)
    found = rd_curves.estimate(rd_curves.bd_rate, base, rd_curves.curve(at_step(records, 2000)))
    assert found.low < found.value < found.high < 0
    assert rd_curves.estimate(rd_curves.bd_rate, base, base * [0.9, 1]) == pytest.approx((-10, -10, -10))


def test_a_published_curve_has_no_images_to_resample_but_ours_has():
    base = rd_curves.base_curve(refined(("sga",), lmbdas=LMBDAS, images=5))
    found = rd_curves.estimate(rd_curves.bd_rate, base.mean(axis=1), base)
    assert found.value == pytest.approx(0)
    assert found.low < 0 < found.high


def test_one_image_has_no_interval():
    base = rd_curves.base_curve(refined(("sga",), lmbdas=LMBDAS, images=1))
    assert np.isnan(rd_curves.estimate(rd_curves.bd_rate, base, base * [0.9, 1])[1:]).all()


def test_psnr_at_a_rate_goes_through_the_points_and_straight_on_beyond_them():
    np.testing.assert_allclose(rd_curves.psnr_at(CURVE[::-1], CURVE[:, 0]), CURVE[:, 1])
    # half and double a rate at the ends: 2.5 dB and 3 dB per octave
    np.testing.assert_allclose(rd_curves.psnr_at(CURVE, np.array([0.05, 1.6])), [24.5, 38.0])


def test_a_curve_of_one_model_is_refused():
    with pytest.raises(ValueError, match="at least two points"):
        rd_curves.psnr_at(CURVE[:1], np.array([0.1]))


def test_points_further_below_the_base_curve_than_allowed_are_pruned():
    points = np.array([[0.1, 27.1], [0.2, 29.2], [0.4, 31.4], [0.05, 24.1], [1.6, 37.4]])
    assert rd_curves.kept(points, CURVE, 0.5).tolist() == [True, True, False, True, False]
    assert rd_curves.kept(points, CURVE, 0).tolist() == [True, False, False, False, False]
    assert rd_curves.kept(points, CURVE, None).all()


def test_the_bits_of_a_point_are_those_against_the_curve_at_its_psnr():
    anchor = np.array([[0.1, 25.0], [0.2, 28.0], [0.4, 31.0]])
    assert rd_curves.bits_at(anchor, np.array([[0.1, 28.0]])) == pytest.approx(-50)
    assert rd_curves.bits_at(anchor[::-1], np.array([[0.3, 28.0]])) == pytest.approx(50)
    assert np.isnan(rd_curves.bits_at(anchor, np.array([[0.1, 31.1]])))
    assert np.isnan(rd_curves.bits_at(anchor[:1], np.array([[0.1, 25.0]])))
