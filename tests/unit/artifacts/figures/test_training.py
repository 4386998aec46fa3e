from __future__ import annotations

import numpy as np
import pandas as pd

from sgaplus.artifacts.figures.training import training_curves


def test_training_curves_have_a_line_per_model_and_a_point_per_evaluation():
    steps = np.arange(0, 1000, 100)
    metrics = {
        model: pd.DataFrame(
            {
                **{"step": steps, "loss": 5 - steps / 500, "psnr": 20 + steps / 100, "bpp": 0.5 + steps / 1e4},
                **{f"test_{name}": np.where(steps % 500 == 0, 1.0, np.nan) for name in ("loss", "psnr", "bpp")},
            }
        )
        for model in ("low", "high")
    }
    figure = training_curves(metrics)
    assert len(figure.axes) == 3
    for axis in figure.axes:
        crops, points = axis.lines[::2], axis.lines[1::2]
        assert [line.get_label() for line in crops] == ["low", "high"]
        assert all(list(line.get_xdata()) == [1, 501] for line in points)
        assert axis.get_xlabel()
        assert axis.get_ylabel()
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), 20 + steps / 100)
