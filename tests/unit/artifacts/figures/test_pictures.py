from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgaplus.artifacts.figures.pictures import qualitative
from sgaplus.errors import ConfigError
from tests.synthetic import results

FIGURE_5 = {"methods": ["ssl"], "targets": [0.01], "image": "kodim19"}


def test_pictures_stand_side_by_side_with_each_framed_part_enlarged_below():
    rng = np.random.default_rng(0)
    shown = {name: rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for name in ("Original", "Base\n27 dB", "Refined")}
    boxes = [[8, 16, 20, 10], [0, 0, 4, 4], [1, 1, 2, 2], [60, 40, 4, 8]]
    figure = qualitative(results(pd.DataFrame(), FIGURE_5 | {"enlarge": boxes}), shown)
    rows = np.array(figure.axes).reshape(5, 3)
    for (name, picture), (whole, *parts) in zip(shown.items(), rows.T, strict=True):
        assert whole.get_title().strip() == name
        assert np.array_equal(whole.images[0].get_array(), picture)
        for (left, top, width, height), frame, part in zip(boxes, whole.patches, parts, strict=True):
            assert np.array_equal(part.images[0].get_array(), picture[top : top + height, left : left + width])
            assert (frame.get_x(), frame.get_y()) == (left - 0.5, top - 0.5)
            assert (frame.get_width(), frame.get_height()) == (width, height)
            assert part.patches[0].get_edgecolor() == frame.get_edgecolor()


def test_without_parts_the_middle_is_enlarged():
    shown = {name: np.zeros((48, 64, 3), np.uint8) for name in ("one", "two")}
    figure = qualitative(results(pd.DataFrame(), FIGURE_5), shown)
    assert figure.axes[2].images[0].get_array().shape == (12, 16, 3)


def test_where_there_is_no_picture_words_stand_in_its_place():
    shown = {"Original": np.zeros((48, 64, 3), np.uint8), "no picture at this rate": None}
    figure = qualitative(results(pd.DataFrame(), FIGURE_5), shown)
    _, whole, _, part = figure.axes
    assert [text.get_text() for text in whole.texts] == ["no picture at this rate"]
    assert not whole.images
    assert not part.images


@pytest.mark.parametrize("box", [[50, 0, 20, 10], [0, 40, 4, 9]])
def test_a_part_outside_the_picture_is_refused(box):
    shown = {"Original": np.zeros((48, 64, 3), np.uint8)}
    with pytest.raises(ConfigError, match=r"lies outside kodim19, which has 64 x 48 pixels\. Name a part of it"):
        qualitative(results(pd.DataFrame(), FIGURE_5 | {"enlarge": [box]}), shown)


@pytest.mark.parametrize(("dataset", "said"), [("kodak", ["Published: "]), ("holiday", [])])
def test_the_source_of_published_numbers_stands_below(dataset, said):
    shown = {"Original": np.zeros((48, 64, 3), np.uint8)}
    figure = qualitative(results(pd.DataFrame(), FIGURE_5 | {"dataset": dataset}), shown)
    assert [text.get_text()[:11] for text in figure.texts] == said
