from __future__ import annotations

import numpy as np
import pytest

from sgaplus.analysis import published
from sgaplus.analysis.rd_curves import bd_rate
from sgaplus.analysis.selection import at_step
from tests.synthetic import PUBLISHED, refined


@pytest.mark.parametrize(("dataset", "percent"), [("kodak", -15.2), ("tecnick", -18.7)])
def test_sga_saves_what_is_known_of_it(dataset, percent):
    curves = PUBLISHED.curves(dataset)
    assert bd_rate(curves[published.BASE], curves[published.SGA]) == pytest.approx(percent, abs=0.05)


def test_curves_rise_in_rate_and_are_of_one_source_each():
    for dataset in ("kodak", "tecnick"):
        for name, curve in PUBLISHED.curves(dataset).items():
            assert (np.diff(curve[:, 0]) > 0).all(), name
            assert 20 < curve[:, 1].min() < curve[:, 1].max() < 50
    assert not PUBLISHED.curves("holiday")


def test_a_published_loss_belongs_to_the_same_experiment_only():
    rows = at_step(refined(("ssl", "sga"), images=1), 2000)
    (loss,) = PUBLISHED.beside(rows)["published"]
    assert loss == 0.7380
    assert PUBLISHED.beside(rows.assign(dataset="demo")).empty
    assert PUBLISHED.beside(rows.assign(model_lmbda=0.02)).empty
    assert PUBLISHED.beside(rows.assign(target_lmbda=0.02, model_lmbda=0.02)).empty
    assert PUBLISHED.beside(rows.assign(step=1999)).empty
    assert PUBLISHED.beside(rows.assign(tau_max=0.4)).empty
    assert PUBLISHED.beside(rows.assign(lr=0.01)).empty
    assert PUBLISHED.beside(rows.assign(tau_rate=0.002)).empty
    assert PUBLISHED.beside(rows.assign(parameters='{"a": 2.25}')).empty
    assert PUBLISHED.beside(rows[rows["method"] == "sga"]).empty


def test_published_pictures_belong_to_one_image():
    pictures = PUBLISHED.pictures_of("kodak", "kodim19")
    assert {rounding: (row["bpp"], row["psnr"]) for rounding, row in pictures.items()} == {
        published.UNREFINED: (0.08, 27.08),
        "ssl": (0.08, 27.73),
    }
    assert PUBLISHED.pictures_of("kodak", "kodim18") == {}
    assert PUBLISHED.pictures_of("demo", "kodim19") == {}


def test_without_published_numbers_nothing_stands_beside_ours():
    none = published.Published.none()
    assert none.curves("kodak") == {}
    assert none.pictures_of("kodak", "kodim19") == {}
    assert none.beside(at_step(refined(("ssl",), images=1), 2000)).empty
