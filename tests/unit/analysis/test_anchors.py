from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgaplus.analysis import anchors
from sgaplus.analysis.published import Published
from sgaplus.analysis.rd_curves import base_curve, bd_rate
from sgaplus.errors import RecordError
from tests.synthetic import LMBDAS, PUBLISHED, coded, refined

VTM = "VTM (CompressAI)"


def row(setting: float, bpp: float, psnr: float, variant: str = "", image: str = "a") -> dict:
    where = {"dataset": "demo", "codec": "jpeg", "variant": variant, "setting": setting, "image": image}
    return where | {"bpp": bpp, "psnr": psnr}


def test_measured_and_published_codecs_are_curves_by_their_names_in_print():
    found = anchors.curves(["jpeg", VTM], "kodak", PUBLISHED, coded({"jpeg": 1.5, "webp": 1.2}, "kodak", images=3))
    assert list(found) == ["JPEG", VTM]
    assert found["JPEG"].shape == (len(LMBDAS), 3, 2)
    np.testing.assert_array_equal(found[VTM], PUBLISHED.curves("kodak")[VTM])


def test_a_classical_codec_has_the_images_of_the_base_models_in_their_order():
    records = refined(("ssl",), LMBDAS, images=3)
    base = base_curve(records)
    curve = anchors.curves(["webp"], "demo", Published.none(), coded({"webp": 1.2}, images=3))["WebP"]
    np.testing.assert_allclose(curve[..., 0], 1.2 * base[..., 0])
    np.testing.assert_allclose(curve[..., 1], base[..., 1])


def test_without_names_all_that_is_published_for_the_data_set_counts():
    assert anchors.curves(None, "kodak", PUBLISHED, pd.DataFrame()).keys() == PUBLISHED.curves("kodak").keys()
    assert anchors.curves(None, "demo", PUBLISHED, pd.DataFrame()) == {}


def test_no_names_are_for_no_curves():
    assert anchors.curves([], "kodak", PUBLISHED, pd.DataFrame()) == {}


def test_records_of_another_codec_or_data_set_are_no_curve():
    for codec, dataset in (("webp", "demo"), ("jpeg", "kodak")):
        with pytest.raises(KeyError, match="no records of jpeg on demo"):
            anchors.curves(["jpeg"], "demo", PUBLISHED, coded({codec: 1.0}, dataset))


def test_a_codec_that_was_not_measured_by_a_quality_is_named():
    rows = coded({"jpeg": 1.0})
    curve = anchors.curves(["jpeg"], "demo", PUBLISHED, rows, "lpips")["JPEG"]
    np.testing.assert_allclose(curve[..., 1], anchors.classical_curve(rows)[..., 1] / 4)
    with pytest.raises(RecordError, match="JPEG on demo: some pictures have no DISTS"):
        anchors.curves(["jpeg"], "demo", PUBLISHED, rows, "dists")


def test_of_two_ways_of_coding_the_better_one_counts_at_each_rate():
    rows = coded({"jpeg": 1.0}, variants=("4:2:0", "4:4:4"))
    curve = anchors.classical_curve(rows).mean(axis=1)
    assert (np.diff(curve, axis=0) > 0).all()
    for variant in ("4:2:0", "4:4:4"):
        alone = anchors.classical_curve(rows[rows["variant"] == variant]).mean(axis=1)
        assert bd_rate(alone, curve) < -1


def test_a_setting_that_needs_more_bits_for_no_more_quality_does_not_count():
    rows = [row(1, 0.2, 25), row(2, 0.3, 24), row(3, 0.3, 28), row(4, 0.3, 28), row(5, 0.4, 28), row(6, 0.5, 30)]
    curve = anchors.classical_curve(pd.DataFrame(rows))
    np.testing.assert_array_equal(curve[:, 0], [[0.2, 25], [0.3, 28], [0.5, 30]])


def test_settings_that_all_make_one_file_are_one_point():
    rows = [row(1, 0.2, 25, way) for way in ("4:2:0", "4:4:4")]
    np.testing.assert_array_equal(anchors.classical_curve(pd.DataFrame(rows))[:, 0], [[0.2, 25]])


def test_models_have_the_quality_of_each_codec_at_their_rate_beside_them():
    names = dict.fromkeys(anchors.CODECS, 1.0)
    curve = anchors.classical_curve(coded({"jpeg": 1.0})).mean(axis=1)
    models = pd.DataFrame({"model": ["low", "in", "high"], "bpp": [0.9 * curve[0, 0], curve[2, 0], 2 * curve[-1, 0]]})
    found = anchors.beside(models, "demo", coded(names))
    labels = ["JPEG", "JPEG 2000", "WebP", "AVIF", "JPEG XL"]
    assert list(found.columns[2:]) == [*labels, *(f"{label} MS-SSIM" for label in labels)]
    assert found["JPEG"].isna().tolist() == [True, False, True]
    assert found.loc[1, "JPEG"] == pytest.approx(curve[2, 1])
    assert found["JPEG MS-SSIM"].isna().tolist() == [True, False, True]
    rows = coded({"jpeg": 1.0})
    decibels = rows.loc[rows["setting"] == sorted(rows["setting"].unique())[2], "psnr"].mean() / 2
    assert found.loc[1, "JPEG MS-SSIM"] == pytest.approx(1 - 10 ** (-decibels / 10))
    small = anchors.beside(models, "demo", coded(names).assign(ms_ssim=None))
    assert small["JPEG MS-SSIM"].isna().all()
    assert small["JPEG"].notna().any()
