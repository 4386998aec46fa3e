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


def test_the_third_class_and_the_power_are_those_of_the_experiment():
    entry = {"methods": ["sga"], "r": 0.9, "n": 3}
    _, right = probabilities.probabilities(results(pd.DataFrame(), entry)).axes
    drawn = {line.get_label(): line for line in right.lines}
    v, dashed = drawn["r = 0.9, n = 1"].get_data()
    weight = {k: np.maximum(1 - 0.9 * np.abs(v - k), 0) for k in (-1, 0, 1)}
    near = np.abs(v) < 0.5
    np.testing.assert_allclose(dashed[near], (weight[0] / sum(weight.values()))[near], atol=1e-3)
    v, dotted = drawn["r = 1, n = 3"].get_data()
    np.testing.assert_allclose(dotted, (1 - np.abs(v)) ** 3 / ((1 - np.abs(v)) ** 3 + np.abs(v) ** 3), atol=1e-3)
