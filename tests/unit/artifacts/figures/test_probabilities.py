from __future__ import annotations

import numpy as np
import pandas as pd

from sgaplus.artifacts.figures import probabilities
from tests.synthetic import results


def test_probabilities_are_those_of_the_methods():
    figure = probabilities.probabilities(results(pd.DataFrame(), {"methods": ["sga", "ssl"]}))
    left, right = figure.axes
    ssl = next(line for line in left.lines if line.get_label() == "SSL")
    d = np.asarray(ssl.get_xdata())
    np.testing.assert_allclose(ssl.get_ydata(), 1 / (1 + (d / (1 - d)) ** 2.3), atol=1e-6)
    two_class = next(line for line in right.lines if line.get_label() == "r = 1, n = 1")
    v = np.asarray(two_class.get_xdata())
    np.testing.assert_allclose(two_class.get_ydata(), 1 - np.abs(v), atol=1e-4)
