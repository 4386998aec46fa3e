from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sgaplus.analysis import cost
from sgaplus.analysis.experiment import Experiment
from tests.synthetic import LMBDAS, refined

ONE = Experiment(title="", methods=("sga", "ssl"), models=("m",), steps=(2000, 500), seeds=(0,))
ALL = replace(ONE, models=tuple(map(str, LMBDAS)))


def test_time_is_per_image_of_a_batch():
    found = cost.costs(refined(), ONE)
    assert list(found.index) == [("sga", 500), ("sga", 2000), ("ssl", 500), ("ssl", 2000)]
    row = found.loc["ssl", 500]
    assert row["seconds"] == pytest.approx(0.2 * 500 / 2)  # 0.2 s a step for two images
    assert row["rate"] == pytest.approx(10)
    assert row["memory"] == 900
    assert np.isnan(row["joules"])
    assert row["price"] == pytest.approx(row["seconds"] / row["saved"])


def test_energy_is_per_image_of_a_batch():
    assert cost.costs(refined().assign(joules=30.0), ONE).loc["ssl", 500]["joules"] == 15


def test_one_model_saves_true_loss():
    records = refined()
    losses = records[records["method"] == "ssl"].groupby("step")["true_loss"].mean()
    found = cost.saving(records, ONE, "ssl", 500)
    assert found.value == pytest.approx(100 * (1 - losses[500] / losses[0]))
    assert found.low < found.value < found.high


def test_a_curve_of_models_saves_bits():
    records = refined(lmbdas=LMBDAS)
    last = records["step"] == 2000
    base = records[records["step"] == 0].set_index(["method", "model", "image"])["bpp"]
    keys = records.loc[last].set_index(["method", "model", "image"]).index
    records.loc[last, "bpp"] = 0.8 * base[keys].to_numpy()
    assert cost.saving(records, ALL, "ssl", 2000) == pytest.approx((20, 20, 20))
    assert cost.saving(records, ALL, "ssl", 2000, "sga") == pytest.approx((0, 0, 0))


def test_what_saves_nothing_has_no_price():
    records = refined()
    records.loc[records["step"] == 500, "true_loss"] += 1
    assert np.isnan(cost.costs(records, ONE).loc["ssl", 500]["price"])


def test_a_saving_of_one_image_has_no_interval():
    assert np.isnan(cost.saving(refined(images=1), ONE, "ssl", 500)[1:]).all()
