from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from sgaplus.artifacts.tables import rates
from sgaplus.errors import RecordError
from tests.synthetic import LMBDAS, coded, decoded, refined, results

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


def test_bd_is_exact_for_scaled_rates_against_the_base_model_and_another_method():
    records = scaled(("sga", "ssl"), (0.9, 0.81), dataset="demo", images=3)
    entry = {**ENTRY, "dataset": "demo", "methods": ["sga", "ssl"], "steps": [500, 2000], "against": "sga"}
    table = rates.bd(results(records, entry))
    assert list(table.values.index) == [("SGA", "500"), ("SSL", "500"), ("SGA", "2000"), ("SSL", "2000")]
    row = table.values.loc["SSL", "500"]
    assert row["BD-rate vs Base model (%)"] == pytest.approx(-19)
    assert row["BD-rate vs SGA (%)"] == pytest.approx(-10)
    assert row["BD-PSNR vs SGA (dB)"] > 0
    assert np.isnan(table.values.loc[("SGA", "500"), "BD-rate vs SGA (%)"])
    low, high = (frame.loc[("SSL", "500"), "BD-rate vs SGA (%)"] for frame in (table.low, table.high))
    assert (low, high) == pytest.approx((-10, -10))
    assert not any("Yang" in name for name in table.values)


def test_bd_stands_beside_what_is_published_for_the_data_set():
    records = scaled(("sga",), (0.9,), images=2)
    table = rates.bd(results(records, {**ENTRY, "methods": ["sga"], "against": "sga"}))
    ours, theirs = "BD-rate vs Base model (%)", "BD-rate vs base (Yang 2020) (%)"
    assert table.values.loc[("SGA (Yang 2020)", ""), ours] == pytest.approx(-15.2, abs=0.05)
    assert table.values.loc[("SGA", "2000"), ours] == pytest.approx(-10)
    assert np.isfinite(table.values.loc[("Base model", ""), theirs])
    assert not table.bold.loc[[("SGA (Yang 2020)", ""), ("Base model", "")]].any(axis=None)


def test_bd_of_real_bitstreams_counts_their_bytes():
    records = refined(("ssl",), lmbdas=LMBDAS, dataset="demo", images=2)
    last = records["step"] == 2000
    records.loc[last, "bytes"] = 0.7 * records[records["step"] == 0]["bytes"].to_numpy()
    entry = {**ENTRY, "dataset": "demo", "methods": ["ssl"], "against": "ssl", "bitrate": "actual"}
    table = rates.bd(results(records, entry))
    assert table.values.loc[("SSL", "2000"), "BD-rate vs Base model (%)"] == pytest.approx(-30)
    with pytest.raises(RecordError, match="no bitstream was written"):
        rates.bd(results(records, {**entry, "steps": [500]}))


def test_bd_against_anchors_has_intervals_where_they_are_measured():
    records = scaled(("ssl",), (0.9,), images=8)
    entry = {**ENTRY, "methods": ["ssl"], "against": "ssl", "anchors": ["jxl", "VTM (CompressAI)"]}
    table = rates.bd(results(records, entry, coded=coded({"jxl": 1.2}, "kodak", images=8)))
    against = "BD-rate vs JPEG XL (%)"
    assert table.values.loc[("SSL", "2000"), against] == pytest.approx(-25)
    assert table.values.loc[("Base model", ""), against] == pytest.approx(100 * (1 / 1.2 - 1))
    assert (table.low.loc[("SSL", "2000"), against], table.high.loc[("SSL", "2000"), against]) == pytest.approx(
        (-25, -25)
    )
    vtm = "BD-rate vs VTM (CompressAI) (%)"
    assert np.isfinite(table.values.loc[("SSL", "2000"), vtm])
    assert table.low.loc[("SSL", "2000"), vtm] < table.values.loc[("SSL", "2000"), vtm]  # over our images
    assert not any("Yang" in str(name) for name in (*table.values, *table.values.index))


@pytest.mark.parametrize(("measure", "name", "share"), [("ms_ssim", "MS-SSIM", 2), ("lpips", "LPIPS", 4)])
def test_bd_by_a_similarity_or_a_distance_is_of_what_was_decoded(measure, name, share):
    records = scaled(("sga", "ssl"), (0.9, 0.81), dataset="demo", images=3)
    entry = {**ENTRY, "dataset": "demo", "methods": ["sga", "ssl"], "against": "sga"}
    entry |= {"anchors": ["avif"], "quality": measure}
    table = rates.bd(results(records, entry, coded=coded({"avif": 1.2}, images=3), decoded=decoded(records)))
    row = table.values.loc["SSL", "2000"]
    assert row["BD-rate vs Base model (%)"] == pytest.approx(-19)
    assert row["BD-rate vs AVIF (%)"] == pytest.approx(100 * (0.81 / 1.2 - 1))
    assert row[f"BD-{name} vs SGA (dB)"] > 0
    assert f"{name} in dB" in table.notes[0]
    by_psnr = rates.bd(results(records, {**entry, "anchors": None, "quality": "psnr"}))
    in_psnr = by_psnr.values.loc["SSL", "2000"]["BD-PSNR vs SGA (dB)"]
    assert row[f"BD-{name} vs SGA (dB)"] == pytest.approx(in_psnr / share)


def test_cover_has_the_gain_at_the_rate_of_each_base_model():
    records = refined(("ssl",), lmbdas=LMBDAS, targets=LMBDAS)
    table = rates.cover(results(records, {**ENTRY, "methods": ["ssl"], "cover": 3}))
    values = table.values.loc["SSL"]
    assert list(values.index) == [f"model_lmbda{lmbda:g}" for lmbda in LMBDAS]
    np.testing.assert_allclose(values["Gain (dB)"], values["Refined PSNR (dB)"] - values["Base PSNR (dB)"])
    base = records[records["step"] == 0].groupby("model_lmbda")[["bpp", "psnr"]].mean()
    np.testing.assert_allclose(values[["Rate (bpp)", "Base PSNR (dB)"]], base)
    (note,) = table.notes
    assert set(values["From model"]) <= set(re.findall(r"model_lmbda[\d.]*\d", note))
    assert (table.low["Gain (dB)"] <= values["Gain (dB)"].to_numpy() + 1e-12).all()


def test_cover_names_the_fewest_models_that_do_where_its_own_do_not():
    records = refined(("ssl",), lmbdas=LMBDAS, targets=LMBDAS)
    low = records["model_lmbda"] < 0.01
    far = np.where(low, records["target_lmbda"] > 0.01, records["target_lmbda"] < 0.005)
    records["psnr"] += (0.5 - 3 * far) * (records["step"] > 0)  # neither half reaches the other's end
    one, two = (rates.cover(results(records, {**ENTRY, "methods": ["ssl"], "cover": count})) for count in (1, 2))
    assert "do not. " in one.notes[0]
    assert " 2 models do: " in one.notes[0]
    assert "models do: " not in two.notes[0]


def test_cover_says_so_where_all_models_together_do_not():
    records = refined(("ssl",), lmbdas=LMBDAS, targets=LMBDAS)
    records["psnr"] -= 9 * (records["step"] > 0)
    table = rates.cover(results(records, {**ENTRY, "methods": ["ssl"], "cover": 1}))
    assert table.notes[0].endswith("All of them together do not cover it.")
