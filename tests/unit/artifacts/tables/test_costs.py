from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgaplus.artifacts.tables import costs
from tests.synthetic import HEIGHT, LMBDAS, WIDTH, coded, decoded, refined, results

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


def speed(records, **beside):
    entry = {**ENTRY, "models": list(LMBDAS), "methods": ["ssl"], "steps": [500, 2000], "anchors": ["jxl"]}
    codecs = coded({"jxl": 1.2}, "kodak", images=2)
    return costs.speed(results(records, entry, **{"coded": codecs, "decoded": decoded(records)} | beside))


def test_speed_has_the_seconds_of_every_codec_per_megapixel_and_its_bits():
    records = scaled(("ssl",), (0.9,), images=2)
    table, megapixels = speed(records), WIDTH * HEIGHT / 1e6
    assert list(table.values.index) == [("JPEG XL", ""), ("Base model", ""), ("SSL", "500"), ("SSL", "2000")]
    encode, decode, rate = table.values.T.to_numpy()
    steps = 0.2 * np.array([500, 2000]) / 2  # a batch of two
    np.testing.assert_allclose(encode * megapixels, [0.1, 0.4, *(0.4 + steps)])
    np.testing.assert_allclose(decode * megapixels, [0.01, 0.8, 0.8, 0.8])
    real = records[records["step"] == 0].drop_duplicates(["image", "model"])
    overhead = (8 * real["bytes"].astype(float) / (WIDTH * HEIGHT) / real["bpp"]).mean()
    assert rate == pytest.approx([100 * (1.2 / overhead - 1), np.nan, -10, -10], abs=0.5, nan_ok=True)


def test_speed_says_what_was_measured_on_what():
    records = scaled(("ssl",), (0.9,), images=2)
    settings, classical, base, refinement = speed(records).notes
    assert settings.endswith("Settings encode in (s/MP): JPEG XL 0.254 to 0.254.")
    assert classical == "Classical codecs: one thread of a processor."
    assert base == "The base model: one thread of a processor."
    assert "on as many threads of a processor, an image's share of its batch." in refinement
    parallel = decoded(records).assign(threads=2)
    assert "The base model: 2 threads of a processor." in speed(records, decoded=parallel).notes
    assert "measurements on a GPU, an" in speed(records.assign(device="cuda", hardware="a GPU")).notes[-1]


def test_seconds_of_other_versions_records_are_unknown():
    records = scaled(("ssl",), (0.9,), images=2)
    values = speed(records, decoded=decoded(records).assign(encode_seconds=np.nan)).values
    assert values["Encode (s/MP)"].isna().tolist() == [False, True, True, True]
