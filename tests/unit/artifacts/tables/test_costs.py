from __future__ import annotations

import pandas as pd
import pytest

from sgaplus.artifacts.tables import costs
from tests.synthetic import LMBDAS, refined, results

ENTRY = {"dataset": "kodak", "models": ["model_lmbda0.01"], "steps": [2000], "seeds": [0]}
TAU_MAX = {"tau_max": [0.5, 1.0]}


def mean(records, **where):
    for column, value in where.items():
        records = records[records[column] == value]
    return records["true_loss"].mean()


def scaled(methods, factors, dataset="kodak", **more):
    """Records in which each method's rate is exactly this factor of the base model's."""
    records = refined(methods, lmbdas=LMBDAS, dataset=dataset, **more)
    base = records[records["step"] == 0].groupby(["model", "image"])["bpp"].first()
    for method, factor in zip(methods, factors, strict=True):
        own = (records["method"] == method) & (records["step"] > 0)
        records.loc[own, "bpp"] = (
            factor * base.loc[pd.MultiIndex.from_frame(records.loc[own, ["model", "image"]])].values
        )
    return records


def test_cost_shows_what_is_known():
    records = scaled(("sga", "ssl"), (0.9, 0.81), images=2)
    entry = {**ENTRY, "models": list(LMBDAS), "methods": ["sga", "ssl"], "steps": [500], "against": "sga"}
    table = costs.cost(results(records, entry))
    assert table.values.loc[("SSL", 500), "Bits saved (%)"] == pytest.approx(19)
    assert table.values.loc[("SSL", 500), "Bits saved against SGA (%)"] == pytest.approx(10)
    assert table.values.loc[("SSL", 500), "Seconds per image"] == pytest.approx(50)
    assert "Joules per image" not in table.values
    assert "Joules per image" in costs.cost(results(records.assign(joules=1.0), entry)).values
    assert table.bold.loc[("SSL", 500), "Bits saved (%)"]


def test_budget_has_the_excess_over_the_reference_by_model():
    records = refined(lmbdas=(0.01, 0.02), last={"ssl": 500})
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000], "against": "sga"}
    table = costs.budget(results(records, entry))
    assert list(table.values.index) == [("SGA", "500"), ("SGA", "2000"), ("SSL", "500")]
    ours = mean(records, method="ssl", step=500, model_lmbda=0.02)
    theirs = mean(records, method="sga", step=2000, model_lmbda=0.02)
    row = table.values.loc["SSL", "500"]
    assert row["model_lmbda0.02"] == pytest.approx(100 * (ours / theirs - 1))
    assert row["Mean"] == pytest.approx((row["model_lmbda0.01"] + row["model_lmbda0.02"]) / 2)
    assert row["Seconds per image"] == pytest.approx(50)
    assert table.low.loc[("SSL", "500"), "Mean"] < row["Mean"] < table.high.loc[("SSL", "500"), "Mean"]
    assert table.values.loc[("SGA", "2000"), "Mean"] == pytest.approx(0)
    assert table.notes == ("True R-D loss above that of SGA after 2000 steps, in %.",)
    assert "Mean" not in costs.budget(results(records[records["model_lmbda"] == 0.01], entry)).values
