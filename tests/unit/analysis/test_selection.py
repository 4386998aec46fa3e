from __future__ import annotations

import numpy as np
import pytest

from sgaplus.analysis import selection
from sgaplus.errors import RecordError
from tests.synthetic import HEIGHT, WIDTH, decoded, refined


def test_the_base_model_counts_each_image_once():
    assert len(selection.base_model(refined(("sga", "ssl"), images=2, seeds=(0, 1)))) == 2


def test_swept_parameters_become_columns_wherever_they_are_recorded():
    records = refined(("ssl",), images=1, sweep={"a": [1.0, 2.3, 5.0], "tau_max": [0.5, 1.0]})
    found = selection.with_swept(records, {"a": [1, 2.3], "tau_max": [1]})
    assert set(found["a"]) == {1.0, 2.3}
    assert set(found["tau_max"]) == {1.0}
    assert found["a"].tolist() == [{"ssl": 2.3, "ssl_a1": 1.0}[variant] for variant in found["variant"]]


def test_changes_are_from_the_base_model_of_the_same_image_and_model():
    records = refined(("ssl",), lmbdas=(0.001, 0.01), images=3)
    rows = selection.at_step(records, 500)
    found = selection.changes(rows, records, ["bpp"]).set_index(["model", "image"])["bpp"]
    keys = ["model", "image"]
    expected = rows.set_index(keys)["bpp"] - selection.at_step(records, 0).set_index(keys)["bpp"]
    np.testing.assert_allclose(found, expected[found.index])


def test_means_of_an_image_are_over_its_seeds():
    records = selection.at_step(refined(("ssl",), images=2, seeds=(0, 1)), 500)
    values = selection.by_image(records, ["method"], "true_loss")
    assert values.shape == (2, 1)
    assert values.loc["image01", "ssl"] == pytest.approx(records[records["image"] == "image01"]["true_loss"].mean())


def test_the_actual_rate_is_that_of_the_bitstream():
    rows = selection.at_step(refined(images=2), 2000)
    actual = selection.with_rate(rows, "actual")
    np.testing.assert_allclose(actual["bpp"], 8 * rows["bytes"].astype(float) / (WIDTH * HEIGHT))
    assert selection.with_rate(rows, "estimated") is rows


def test_a_bitstream_that_was_not_written_is_named():
    rows = selection.at_step(refined(images=2), 500)
    with pytest.raises(RecordError, match=r"no bitstream was written after \[500\] steps"):
        selection.with_rate(rows, "actual")
    with pytest.raises(RecordError, match="no bitstream was written"):
        selection.with_rate(rows.drop(columns="bytes"), "actual")


@pytest.mark.parametrize(("quality", "share"), [("ms_ssim", 2), ("haarpsi", 3), ("lpips", 4)])
def test_a_similarity_or_distance_stands_at_the_base_model_and_after_the_last_step(quality, share):
    records = refined(("sga", "ssl"), lmbdas=(0.001, 0.01), images=2, seeds=(0, 1))
    found = selection.with_quality(records, decoded(records), quality)
    assert set(found["step"]) == {0, 2000}
    assert len(found) == (records["step"].isin([0, 2000])).sum()
    np.testing.assert_allclose(found[f"{quality}_decibels"], found["psnr"] / share)
    assert selection.with_quality(records, decoded(records), "psnr") is records


@pytest.mark.parametrize(
    ("quality", "said"),
    [
        ("ms_ssim", "161 pixels, so there is no MS-SSIM"),
        ("haarpsi", "16 pixels.*no HaarPSI"),
        ("lpips", "32 pixels, or it was not measured, so there is no LPIPS"),
    ],
)
def test_pictures_without_similarity_or_bitstream_are_named(quality, said):
    records = refined(("ssl",), images=2)
    known = decoded(records)
    small = known.assign(**{quality: known[quality].where(known["image"] != "image01")})
    with pytest.raises(RecordError, match=f"image01: a side has fewer than {said}"):
        selection.with_quality(records, small, quality)
    for kept in (known["step"] > 0, known["image"] != "image01"):
        with pytest.raises(RecordError, match="image01: no bitstream was written"):
            selection.with_quality(records, known[kept], quality)


def test_ms_ssim_in_decibels_is_unknown_where_ms_ssim_is():
    rows = selection.with_decibels(decoded(refined(("ssl",), images=1)).assign(ms_ssim=[0.9, None]))
    assert rows["ms_ssim_decibels"].tolist() == pytest.approx([10, np.nan], nan_ok=True)
