from __future__ import annotations

import numpy as np
import pytest

from sgaplus.analysis import covering

BASE = np.array([[0.1, 26.0], [0.2, 28.0], [0.4, 30.0], [0.8, 32.0]])  # 2 dB per octave


def above(gain, *rates):
    """A curve that lies ``gain`` dB above the base curve at these rates."""
    return np.array([[rate, 26 + 2 * np.log2(rate / 0.1) + gain] for rate in rates])


def test_a_model_reaches_what_lies_on_its_curve():
    curve = above(0.5, 0.2, 0.4)
    np.testing.assert_allclose(covering.reach(curve, np.array([0.2, 0.4])), [28.5, 30.5])
    # fewer bits than allowed may be sent, more may not
    np.testing.assert_allclose(covering.reach(curve, np.array([0.19, 0.8])), [-np.inf, 30.5])


def test_one_target_is_a_single_point():
    np.testing.assert_allclose(covering.reach(above(0, 0.2), np.array([0.1, 0.2, 0.8])), [-np.inf, 28, 28])


def test_the_choice_maximises_the_smallest_gain():
    curves = {
        "low": above(0.5, 0.1, 0.2),
        "middle": above(2.0, 0.15, 0.4),  # best in its range, but leaves the ends to the others
        "all": above(0.1, 0.1, 0.8),
        "high": above(0.4, 0.2, 0.8),
    }
    two = covering.choose(curves, BASE, 2)
    assert two.models == ("low", "high")
    assert two.smallest == pytest.approx(0.4)
    assert two.ends == pytest.approx((0.1, 0.8))
    assert covering.choose(curves, BASE, 1).models == ("all",)
    assert covering.choose(curves, BASE, 1).smallest == pytest.approx(0.1)


def test_among_equal_smallest_gains_the_larger_mean_decides():
    curves = {"low": above(0.5, 0.1, 0.4), "better": above(0.7, 0.1, 0.4), "high": above(0.5, 0.4, 0.8)}
    assert covering.choose(curves, BASE, 2).models == ("better", "high")


def test_all_models_are_taken_where_there_are_no_more():
    assert covering.choose({"low": above(0.5, 0.1, 0.8)}, BASE, 3).models == ("low",)


def test_the_fewest_models_above_the_whole_curve():
    curves = {"low": above(0.5, 0.1, 0.2), "middle": above(0.3, 0.2, 0.5), "high": above(0.4, 0.5, 0.8)}
    assert covering.choose(curves, BASE, 2).smallest < 0
    assert covering.fewest(curves, BASE).models == ("low", "middle", "high")
    assert covering.fewest({"all": above(0.1, 0.1, 0.8)} | curves, BASE).models == ("all",)
    assert covering.fewest({"below": above(-0.1, 0.1, 0.8)}, BASE) is None


def test_the_range_that_is_judged_is_what_some_refinement_reaches():
    curves = {"low": above(0.5, 0.1, 0.2), "high": above(0.5, 0.4, 0.8)}
    one = covering.choose(curves, BASE, 1)
    assert one.models == ("low",)  # beyond its range the last point stands
    assert one.smallest == pytest.approx(0.5 - 4)
    two = {"high": curves["high"], "middle": above(0.5, 0.3, 0.4)}
    assert covering.choose(two, BASE, 2).ends[0] == pytest.approx(0.3)


def test_gain_is_that_of_the_best_model_at_the_rate_of_each_base_model():
    gain = covering.gain([above(0.5, 0.1, 0.4), above(0.3, 0.2, 0.8)], BASE)
    np.testing.assert_allclose(gain, [0.5, 0.5, 0.5, 0.3])


def test_a_gain_that_all_images_share_is_certain():
    base, curve = (np.stack([values, np.add(values, [0.0, 1.0])], axis=1) for values in (BASE, above(0.5, 0.1, 0.8)))
    for ends in covering.gain_interval([curve], base):
        np.testing.assert_allclose(ends, 0.5)
    assert np.isnan(covering.gain_interval([curve[:, :1]], base[:, :1])).all()
