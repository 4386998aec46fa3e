from __future__ import annotations

import numpy as np
import pytest

from sgaplus.analysis import published
from sgaplus.analysis.intervals import interval
from sgaplus.analysis.rd_curves import base_curve, bits_saved, curve_after, kept, points
from sgaplus.analysis.selection import at_step
from sgaplus.artifacts.figures import curves
from sgaplus.errors import RecordError
from tests.synthetic import LMBDAS, PUBLISHED, coded, decoded, refined, results

from .reading import ENTRY, assert_legible, lines


def test_rate_distortion_has_a_panel_per_step_count_and_a_point_per_model():
    rows = refined(lmbdas=LMBDAS)
    entry = {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000]}
    figure = curves.rate_distortion(results(rows, entry))
    assert len(figure.axes) == 4
    for axis, steps in zip(figure.axes[:2], (500, 2000), strict=True):
        drawn = lines(axis)
        assert {"Base model", "SGA", "SSL"} <= set(drawn)
        own = points(at_step(rows[rows["method"] == "ssl"], steps))
        np.testing.assert_allclose(np.transpose(drawn["SSL"].get_data()), own)
        np.testing.assert_allclose(np.transpose(drawn["Base model"].get_data()), base_curve(rows).mean(axis=1))
        (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
        for line in (drawn["SSL"], drawn["Base model"]):
            assert left < line.get_xdata().min() < line.get_xdata().max() < right
            assert bottom < line.get_ydata().min() < line.get_ydata().max() < top
    assert_legible(figure)


def test_beside_psnr_stand_the_bits_that_are_saved_at_equal_psnr_image_by_image():
    rows = refined(lmbdas=LMBDAS, images=9)
    figure = curves.rate_distortion(results(rows, {**ENTRY, "methods": ["sga", "ssl"]}))
    _, axis = figure.axes
    base, own = (curve.mean(axis=1) for curve in (base_curve(rows), curve_after(rows, "ssl", 2000)))
    x, y = lines(axis)["SSL"].get_data()
    np.testing.assert_allclose(x, own[:, 0])
    np.testing.assert_allclose(y, bits_saved(base, own))
    bars = axis.collections[1].get_segments()  # SSL's
    assert all(bar[0, 1] < saved < bar[1, 1] for bar, saved in zip(bars, y, strict=True))
    assert_legible(figure)


def test_one_model_is_no_curve_to_save_bits_against():
    assert len(curves.rate_distortion(results(refined(), {**ENTRY, "methods": ["ssl"]})).axes) == 1


def test_published_curves_lie_behind_those_of_the_same_data_set_only():
    rows = refined(lmbdas=LMBDAS)
    entry = {**ENTRY, "methods": ["ssl"]}
    drawn = lines(curves.rate_distortion(results(rows, {**entry, "dataset": "kodak"})).axes[0])
    curve = PUBLISHED.curves("kodak")[published.SGA]
    np.testing.assert_allclose(np.transpose(drawn["SGA (Yang 2020)"].get_data()), curve)
    assert drawn["SGA (Yang 2020)"].get_zorder() < drawn["SSL"].get_zorder()
    ours = curves.rate_distortion(results(rows, entry))
    assert not any("Yang" in name for name in lines(ours.axes[0]))
    one = curves.rate_distortion(results(rows, {**entry, "dataset": "kodak"}))
    assert_legible(one)


def test_only_the_chosen_anchors_are_drawn_and_classical_codecs_among_them():
    rows = refined(lmbdas=LMBDAS)
    entry = {**ENTRY, "methods": ["ssl"], "dataset": "kodak", "anchors": ["jpeg", "avif", "VTM (CompressAI)"]}
    figure = curves.rate_distortion(results(rows, entry, coded=coded({"jpeg": 1.5, "avif": 0.9}, "kodak")))
    drawn = lines(figure.axes[0])
    assert drawn.keys() == {"Base model", "SSL", "JPEG", "AVIF", "VTM (CompressAI)"}
    np.testing.assert_allclose(drawn["JPEG"].get_xdata(), 1.5 * base_curve(rows).mean(axis=1)[:, 0])
    assert drawn["JPEG"].get_color() != drawn["AVIF"].get_color()
    assert drawn["AVIF"].get_zorder() < drawn["SSL"].get_zorder()
    assert_legible(figure)


def test_ms_ssim_can_be_drawn_in_the_place_of_psnr():
    rows = refined(lmbdas=LMBDAS)
    entry = {**ENTRY, "methods": ["ssl"], "dataset": "kodak", "anchors": ["jpeg"], "quality": "ms_ssim"}
    made = results(rows, entry, coded=coded({"jpeg": 1.5}, "kodak"), decoded=decoded(rows))
    axis, saved = curves.rate_distortion(made).axes
    assert axis.get_ylabel() == "MS-SSIM (dB)"
    assert saved.get_ylabel() == "Bits saved at equal MS-SSIM (%)"
    drawn = lines(axis)
    by_psnr = {"Base model": base_curve(rows), "JPEG": base_curve(rows)}
    for name, curve in by_psnr.items():
        np.testing.assert_allclose(drawn[name].get_ydata(), curve.mean(axis=1)[:, 1] / 2)
    own = points(at_step(rows[rows["method"] == "ssl"], 2000))
    np.testing.assert_allclose(drawn["SSL"].get_ydata(), own["psnr"] / 2)


def test_error_bars_are_those_of_the_change_from_the_base_model():
    rows = refined(("ssl",), lmbdas=(0.001, 0.01))
    axis = curves.rate_distortion(results(rows, {**ENTRY, "methods": ["ssl"]})).axes[0]
    last, base = (at_step(rows[rows["model_lmbda"] == 0.001], step).set_index("image")["bpp"] for step in (2000, 0))
    segments = axis.collections[0].get_segments()[0]
    low, high = interval((last - base).to_numpy())
    np.testing.assert_allclose(segments[:, 0], [base.mean() + low, base.mean() + high])


def test_the_actual_rate_is_drawn_where_it_is_known():
    rows = refined(("ssl",), lmbdas=LMBDAS)
    entry = {**ENTRY, "methods": ["ssl"], "bitrate": "actual"}
    axis = curves.rate_distortion(results(rows, entry)).axes[0]
    expected = at_step(rows, 2000).assign(rate=lambda r: 8 * r["bytes"].astype(float) / (r["width"] * r["height"]))
    np.testing.assert_allclose(lines(axis)["SSL"].get_xdata(), expected.groupby("model_lmbda")["rate"].mean())
    with pytest.raises(RecordError, match="no bitstream was written"):
        curves.rate_distortion(results(rows, {**entry, "steps": [500]}))


def test_multi_rate_leaves_out_what_lies_far_below_the_base_curve():
    rows = refined(("ssl",), lmbdas=LMBDAS, targets=LMBDAS)
    operating = points(at_step(rows, 2000)).reset_index()
    base = base_curve(rows).mean(axis=1)
    keep = kept(operating[["bpp", "psnr"]].to_numpy(), base, 0.05)
    assert 0 < keep.sum() < len(keep)
    for prune, expected in ((0.05, operating[keep]), (None, operating)):
        figure = curves.multi_rate(results(rows, {**ENTRY, "methods": ["ssl"], "prune": prune}))
        drawn = lines(figure.axes[0])
        for lmbda in LMBDAS:
            own = expected[expected["model_lmbda"] == lmbda]
            np.testing.assert_allclose(np.transpose(drawn[f"λ = {lmbda:g}"].get_data()), own[["bpp", "psnr"]])
        np.testing.assert_allclose(np.transpose(drawn["Base models"].get_data()), base)
        assert_legible(figure)


def test_multi_rate_marks_the_model_that_is_refined_toward_its_own_lambda():
    rows = refined(("ssl",), lmbdas=LMBDAS, targets=LMBDAS)
    axis = curves.multi_rate(results(rows, {**ENTRY, "methods": ["ssl"]})).axes[0]
    edged = [line for line in axis.lines if line.get_markeredgecolor() == "black" and line.get_linestyle() == "None"]
    own = points(at_step(rows, 2000)).reset_index().query("model_lmbda == target_lmbda")
    marked = np.concatenate([np.transpose(line.get_data()) for line in edged])
    np.testing.assert_allclose(marked, own[["bpp", "psnr"]])


def test_curves_of_a_method_that_ends_early_are_drawn_where_it_has_them():
    rows = refined(lmbdas=LMBDAS, steps=(0, 500, 2000), last={"ssl": 500})
    figure = curves.rate_distortion(results(rows, {**ENTRY, "methods": ["sga", "ssl"], "steps": [500, 2000]}))
    assert ["SSL" in lines(axis) for axis in figure.axes] == 2 * [True, False]
