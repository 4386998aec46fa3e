from __future__ import annotations

import numpy as np
import pandas as pd

from sgaplus.artifacts.figures.pictures import qualitative
from tests.synthetic import results

FIGURE_5 = {"methods": ["ssl"], "targets": [0.01], "image": "kodim19"}


def test_pictures_stand_side_by_side_with_the_framed_part_enlarged_below():
    rng = np.random.default_rng(0)
    shown = {name: rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for name in ("Original", "Base", "Refined")}
    figure = qualitative(results(pd.DataFrame(), FIGURE_5 | {"crop": [8, 16, 20, 10]}), shown)
    for (name, picture), whole, part in zip(shown.items(), figure.axes[:3], figure.axes[3:], strict=True):
        assert whole.get_title() == name
        assert np.array_equal(whole.images[0].get_array(), picture)
        assert np.array_equal(part.images[0].get_array(), picture[16:26, 8:28])
        (frame,) = whole.patches
        assert (frame.get_x(), frame.get_y(), frame.get_width(), frame.get_height()) == (7.5, 15.5, 20, 10)


def test_without_a_crop_the_middle_is_enlarged():
    shown = {name: np.zeros((48, 64, 3), np.uint8) for name in ("one", "two")}
    figure = qualitative(results(pd.DataFrame(), FIGURE_5), shown)
    assert figure.axes[2].images[0].get_array().shape == (12, 16, 3)
