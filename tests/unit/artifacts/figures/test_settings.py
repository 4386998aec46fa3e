from __future__ import annotations

import numpy as np
import pytest

from sgaplus.analysis.selection import at_step
from sgaplus.artifacts.figures import settings
from tests.synthetic import refined, results

from .reading import ENTRY, assert_legible


def test_a_grid_shows_the_mean_loss_the_best_and_the_configured_setting():
    sweep = {"r": [0.8, 0.9, 0.98], "n": [1.0, 1.5]}
    rows = refined(("linear3", "ssl3"), sweep=sweep)
    rows.loc[rows["variant"] == "linear3_r0.8_n1", "true_loss"] -= 0.1
    figure = settings.grid(results(rows, {**ENTRY, "methods": ["linear3", "ssl3"], "sweep": sweep}))
    axis = figure.axes[0]
    values = axis.images[0].get_array()
    assert values.shape == (2, 3)
    last = at_step(rows[rows["variant"] == "linear3_r0.9_n1"], 2000)
    assert values[0, 1] == pytest.approx(last["true_loss"].mean())
    assert f"{last['true_loss'].mean():.4f}" in [text.get_text() for text in axis.texts]
    centres = [patch.get_xy() + np.array([patch.get_width(), patch.get_height()]) / 2 for patch in axis.patches]
    np.testing.assert_allclose(centres, [[0, 0], [2, 1]])
    assert len(figure.axes[1].patches) == 1  # its configured r is not on the grid
    assert_legible(figure)
