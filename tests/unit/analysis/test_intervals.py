"""Intervals over images; how often they hold the truth is simulated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgaplus.analysis import rd_curves
from sgaplus.analysis.intervals import FEWEST, described, ends, interval, of_mean, of_means, paired, samples
from sgaplus.paths import shipped
from tests.synthetic import LMBDAS, refined

TIMES = 4000

IMAGES = (FEWEST, 24, 100)
"""As few as an interval may have, those of Kodak and those of Tecnick."""


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def share(low: np.ndarray, high: np.ndarray, truth: float) -> float:
    """How often an interval holds the truth."""
    return float(((low < truth) & (truth < high)).mean())


def gammas(images: int) -> np.ndarray:
    """Differences of losses, of mean 1: most of them small, a few large (skewness 1)."""
    return rng().gamma(4, 1 / 4, size=(images, TIMES))


def pairs(images: int) -> np.ndarray:
    """Losses of two methods, (images, TIMES, 2): images differ far more than methods, and gain between 0 and much."""
    random = rng()
    level = random.lognormal(0, 0.5, size=(images, TIMES))
    return np.stack([level * (1 - 0.02 * random.gamma(4, 1 / 2, size=level.shape)), level], axis=-1)


def swept(images: int) -> np.ndarray:
    """Losses at five values of a sweep, (images, TIMES, 5), the second of which is best by little."""
    random = rng()
    level = random.lognormal(0, 0.5, size=(images, TIMES, 1))
    return level * (np.array([1.0, 0.998, 1.003, 1.01, 1.02]) + random.normal(0, 0.003, size=(images, TIMES, 5)))


def percent(means: np.ndarray) -> np.ndarray:
    return 100 * (means[..., 0] / means[..., 1] - 1)


def from_best_other(means: np.ndarray) -> np.ndarray:
    return means[..., 0] - means[..., 1:].min(axis=-1)


@pytest.mark.parametrize("images", IMAGES)
def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says(images):
    assert share(*interval(rng().normal(3, 2, size=(images, TIMES))), 3) == pytest.approx(0.95, abs=0.01)
    assert 0.93 < share(*interval(gammas(images)), 1) < 0.96


LEVEL = np.exp(0.5**2 / 2)
"""The mean of the images' levels."""


@pytest.mark.parametrize("images", IMAGES)
@pytest.mark.parametrize(
    ("drawn", "statistic", "truth"), [(pairs, percent, -4.0), (swept, from_best_other, 0.002 * LEVEL)]
)
def test_so_does_that_of_a_ratio_of_means_and_of_a_difference_from_the_best(images, drawn, statistic, truth):
    values = drawn(images)
    low, high = ends(statistic(values.mean(axis=0)), statistic(samples(values)))
    assert 0.92 < share(low, high, truth) < 0.96


@pytest.mark.parametrize(("images", "times"), [(8, 300), (24, 100), (100, 40)])
def test_so_does_that_of_a_bd_rate(images, times):
    random, found = rng(), []

    def curves(count: int) -> tuple[np.ndarray, np.ndarray]:
        details, gain = random.lognormal(0, 0.5, size=count), np.clip(random.gamma(4, 0.035, size=count), 0, 0.8)
        mse = (100 * details / np.array(LMBDAS)[:, None]) ** 0.4
        bpp, psnr = details * 67 * mse**-1.5, 10 * np.log10(255**2 / mse)
        return np.stack([bpp, psnr], axis=-1), np.stack([bpp * (1 - gain), psnr], axis=-1)

    truth = rd_curves.bd_rate(*(curve.mean(axis=1) for curve in curves(100_000)))
    for _ in range(times):
        one = rd_curves.estimate(rd_curves.bd_rate, *curves(images))
        found.append(one.low < truth < one.high)
    assert np.mean(found) > 0.9


def test_a_percentile_bootstrap_does_not_at_eight_images():
    """The reason for Student's intervals: resampled means vary too little, by 1 - 1/n, and know no t distribution."""
    values = rng().normal(size=(FEWEST, 1000))
    weights = rng().multinomial(FEWEST, np.full(FEWEST, 1 / FEWEST), size=1000) / FEWEST
    low, high = np.percentile(weights @ values, [2.5, 97.5], axis=0)
    assert share(low, high, 0) < 0.91


def test_the_interval_of_equal_values_has_no_width():
    np.testing.assert_allclose(interval(np.full(9, 0.7)), [0.7, 0.7])


def test_the_interval_is_that_of_the_normal_law_for_many_images():
    values = rng().normal(3, 2, size=400)
    low, high = interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.966 * values.std(ddof=1) / 20, rel=1e-3)


def test_the_interval_is_taken_over_images_for_each_quantity_by_itself():
    values = rng().normal(size=(12, 3, 2))
    low, high = interval(values)
    assert low.shape == high.shape == (3, 2)
    assert (low[1, 0], high[1, 0]) == pytest.approx(interval(values[:, 1, 0]))


def test_of_seven_images_there_is_a_range_and_of_eight_an_interval():
    values = rng().normal(size=8)
    assert interval(values[:7]) == pytest.approx((values[:7].min(), values[:7].max()))
    assert described(7) == "ranges of 7 images"
    low, high = interval(values)
    assert (low, high) != pytest.approx((values.min(), values.max()))
    assert described(8) == "95 % confidence intervals over 8 images"


def test_the_range_of_a_statistic_is_that_of_the_images_own():
    losses = np.array([[0.9, 1.0], [3.2, 4.0]])
    assert of_means(losses, percent) == pytest.approx((-18, -20, -10))


def test_a_range_holds_its_value():
    losses = np.array([[1.0, 0.9, 1.1], [1.0, 1.1, 0.9]])  # either image has its own best other
    assert of_means(losses, from_best_other) == pytest.approx((0, 0, 0.1))


def test_one_image_says_nothing_of_a_spread():
    assert np.isnan(interval(np.ones((1, 3)))).all()
    assert of_mean(np.ones(1)) == pytest.approx((1, np.nan, np.nan), nan_ok=True)


@pytest.mark.parametrize("images", [3, 9])
def test_what_is_out_of_reach_is_so_for_certain_and_what_is_at_times_has_no_interval(images):
    each = np.ones((images, 2))
    each[0, 1] = np.inf
    low, high = ends(np.array([np.inf, 1.0]), each)
    assert low[0] == high[0] == np.inf
    assert np.isnan([low[1], high[1]]).all()


def test_a_paired_difference_leaves_out_what_images_have_in_common():
    records = refined(("sga", "ssl"), images=8, seeds=(0, 1))
    found = paired(records, "ssl", "sga", 2000)
    losses = records[records["step"] == 2000].groupby(["method", "image"])["true_loss"].mean()
    assert found.value == pytest.approx((losses["ssl"] - losses["sga"]).mean())
    assert found.low < found.value < found.high < 0
    ends = interval(losses["ssl"].to_numpy())
    assert found.high - found.low < (ends[1] - ends[0]) / 10


def test_a_constant_difference_is_certain():
    records = refined(("sga",), images=5)
    worse = records.assign(method="worse", true_loss=records["true_loss"] + 0.25)
    both = pd.concat([records, worse])
    assert paired(both, "worse", "sga", 500) == pytest.approx((0.25, 0.25, 0.25))


def test_the_captions_of_the_report_say_the_same():
    caption = shipped("workflow/report/figure.rst").read_text()
    assert caption.count(described(FEWEST).split(" over")[0]) == 1
    assert caption.count(f"ranges of fewer than {FEWEST} images") == 1
