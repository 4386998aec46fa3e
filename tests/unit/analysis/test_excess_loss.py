from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgaplus.analysis import excess_loss
from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.selection import at_step
from tests.synthetic import refined

ENTRY = Experiment(title="", methods=("sga", "ssl"), steps=(500, 2000), against="ssl", seeds=(0,))


def test_the_reference_has_no_excess_over_itself():
    end = excess_loss.reference(refined(lmbdas=(0.01, 0.04)), ENTRY)
    found = excess_loss.excess(end, end)
    assert list(found) == ["model_lmbda0.01", "model_lmbda0.04", ""]
    assert all(value == pytest.approx((0, 0, 0)) for value in found.values())


def test_models_count_alike_however_large_their_losses():
    records = refined(("ssl",), lmbdas=(0.01, 0.04))
    end = excess_loss.reference(records, ENTRY)
    rows = end.assign(true_loss=end["true_loss"] * end["model_lmbda"].map({0.01: 1.01, 0.04: 1.03}))
    found = excess_loss.excess(rows, end)
    assert found["model_lmbda0.01"] == pytest.approx((1, 1, 1))
    assert found[""] == pytest.approx((2, 2, 2))


def test_an_interval_is_of_the_ratio_image_by_image():
    records = refined(("ssl",))
    end = excess_loss.reference(records, ENTRY)
    first = end["image"] == "image00"
    found = excess_loss.excess(end.assign(true_loss=end["true_loss"].where(~first, 2 * end["true_loss"])), end)[""]
    assert found.low == pytest.approx(0)  # a resample without that image
    assert found.low < found.value < found.high


def test_one_image_has_no_interval():
    end = excess_loss.reference(refined(images=1), ENTRY)
    assert np.isnan(excess_loss.excess(end, end)[""][1:]).all()


def test_a_course_begins_after_the_first_step_and_ends_with_the_most():
    records = refined(("ssl",), steps=(0, 100, 500, 2000, 3000))
    way = excess_loss.over_time(records, ENTRY, "ssl")
    assert list(way.index) == [100, 500, 2000]
    np.testing.assert_allclose(way["seconds"], [10, 50, 200])
    assert (way["value"].diff().dropna() < 0).all()
    assert way["value"].iloc[-1] == pytest.approx(0)
    assert excess_loss.seconds(at_step(records, 100)) == 10


def test_a_course_over_several_models_leaves_out_steps_that_one_of_them_lacks():
    fine, coarse = refined(("ssl",), steps=(0, 50, 500, 2000)), refined(("ssl",), (0.04,), steps=(0, 500, 2000))
    way = excess_loss.over_time(pd.concat([fine, coarse]), ENTRY, "ssl")
    assert list(way.index) == [500, 2000]
