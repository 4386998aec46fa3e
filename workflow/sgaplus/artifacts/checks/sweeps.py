"""Checks of claims about the values of a sweep."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from sgaplus.analysis.experiment import Claim
from sgaplus.analysis.intervals import Estimate, of_mean, of_means
from sgaplus.analysis.selection import by_image, with_swept
from sgaplus.artifacts.claims import Comparison
from sgaplus.artifacts.kinds import check
from sgaplus.artifacts.results import Results


@check(needs=("method", "than"), swept=1)
def less_sensitive(results: Results, claim: Claim) -> list[Comparison]:
    """Over the sweep, the loss of `method` ranges less than that of each of `than`.

    The range is the highest minus the lowest mean true loss.
    """
    return _against_each(results, claim, "range of {} − {}", lambda means: means.max(axis=1) - means.min(axis=1))


@check(needs=("method", "than"), swept=1)
def rises_most(results: Results, claim: Claim) -> list[Comparison]:
    """From the highest value of the sweep to the lowest, the loss of `method` rises more than that of each `than`."""
    rises = _against_each(results, claim, "rise of {} − {}", lambda means: means[:, 0] - means[:, -1])
    return [rise._replace(below=math.inf, above=0) for rise in rises]


@check(needs=("method", "than", "values"), swept=1)
def lower_loss_at(results: Results, claim: Claim) -> list[Comparison]:
    """At each of `values` of the sweep, the true loss of `method` ends below that of each of `than`."""
    losses = _swept(results)
    return [
        Comparison(
            f"{results.labels[claim.method]} − {results.labels[other]} at {value:g}",
            of_mean((losses[claim.method, value] - losses[other, value]).to_numpy()),
        )
        for value, other in itertools.product(claim.values, claim.than)
    ]


@check(needs=("method", "within"), swept=1, fewest_methods=2)
def near_best(results: Results, claim: Claim) -> list[Comparison]:
    """At each value of the sweep, `method` is worse than the best other method by less than the share `within`."""
    losses = _swept(results)
    found = []
    for value in losses[claim.method]:
        others = [method for method in results.experiment.methods if method != claim.method]
        each = losses[[(method, value) for method in (claim.method, *others)]].to_numpy()
        name = f"{results.labels[claim.method]} − best other at {value:g}"
        found.append(Comparison(name, _from_lowest(each, 1), below=claim.within * each[:, 0].mean()))
    return found


@check(needs=("methods", "values", "within"), swept=1, beside_others=True)
def best_value(results: Results, claim: Claim) -> list[Comparison]:
    """Each of `methods` is at one of `values` of the sweep no worse than anywhere else, up to the share `within`.

    Its lowest true loss at them minus its lowest at the other values.
    """
    return [
        Comparison(
            f"{results.labels[method]} at {_named(claim)} − best other",
            _from_lowest(losses, len(claim.values)),
            below=claim.within * losses[:, 0].mean(),
        )
        for method, losses in _values_first(results, claim, results.experiment.last_step)
    ]


@check(needs=("methods", "values", "factor"), swept=1, beside_others=True)
def worst_value(results: Results, claim: Claim) -> list[Comparison]:
    """Each of `methods` is at `values` of the sweep far worse than at any other.

    Its lowest true loss at them is above its highest at the other values by more than this ``factor``.
    """
    count = len(claim.values)

    def above_the_others(means: np.ndarray) -> np.ndarray:
        return 100 * (means[:, :count].min(axis=1) / means[:, count:].max(axis=1) - 1)

    return [
        Comparison(
            f"{results.labels[method]} at {_named(claim)} above the worst other",
            of_means(losses, above_the_others),
            " %",
            below=math.inf,
            above=100 * (claim.factor - 1),
        )
        for method, losses in _values_first(results, claim, results.experiment.last_step)
    ]


@check(needs=("methods", "values", "within"), swept=1, fewest_values=2)
def equal_values(results: Results, claim: Claim) -> list[Comparison]:
    """Each of `methods` has the same true loss at all `values` of the sweep, up to the share `within`.

    Every two of them are compared.
    """
    losses, found = _swept(results), []
    for method, (one, other) in itertools.product(claim.methods, itertools.combinations(claim.values, 2)):
        margin = claim.within * losses[method, one].mean()
        difference = of_mean((losses[method, one] - losses[method, other]).to_numpy())
        name = f"{results.labels[method]} at {one:g} − at {other:g}"
        found.append(Comparison(name, difference, below=margin, above=-margin))
    return found


@check(needs=("methods", "values"), swept=1, beside_others=True)
def above_most(results: Results, claim: Claim) -> list[Comparison]:
    """Each of `methods` ends at `values` of the sweep at a higher true loss than at most others.

    Its lowest true loss at them minus the median of those at the other values.
    """
    count = len(claim.values)
    return [
        Comparison(
            f"{results.labels[method]} at {_named(claim)} − median of the others",
            of_means(losses, lambda means: means[:, :count].min(axis=1) - np.median(means[:, count:], axis=1)),
            below=math.inf,
            above=0,
        )
        for method, losses in _values_first(results, claim, results.experiment.last_step)
    ]


@check(needs=("methods", "values", "steps"), swept=1, beside_others=True)
def first_to_converge(results: Results, claim: Claim) -> list[Comparison]:
    """After `steps` each of `methods` has at `values` of the sweep a lower true loss than at any other.

    Its highest true loss at them minus its lowest at the other values.
    """
    count, step = len(claim.values), claim.step(results.experiment)
    return [
        Comparison(
            f"{results.labels[method]} at {_named(claim)} after {step} steps − best other",
            of_means(losses, lambda means: means[:, :count].max(axis=1) - means[:, count:].min(axis=1)),
        )
        for method, losses in _values_first(results, claim, step)
    ]


@check(needs=("methods", "values", "within"), swept=1)
def steady_values(results: Results, claim: Claim) -> list[Comparison]:
    """At each of `values` of the sweep the true loss of each of `methods` never rises by the share `within` again.

    The rise is that of the mean curve over steps above the lowest that it had before.
    """

    def rise(means: np.ndarray) -> np.ndarray:
        return (means - np.minimum.accumulate(means, axis=1)).max(axis=1)

    losses, found = _over_steps(results), []
    for method, value in itertools.product(claim.methods, claim.values):
        curves = losses[method][value].to_numpy()
        curves = curves[:, ~np.isnan(curves).any(axis=0)]  # not every value is measured at the same steps
        name = f"largest rise of {results.labels[method]} at {value:g}"
        found.append(Comparison(name, of_means(curves, rise), below=claim.within * curves[:, -1].mean()))
    return found


def _swept(results: Results) -> pd.DataFrame:
    """True losses after the most steps, (images, (method, value of the sweep)), by value."""
    return _after(results, results.experiment.last_step)


def _after(results: Results, step: int) -> pd.DataFrame:
    """The same after a step."""
    losses = _over_steps(results)
    return losses.loc[:, losses.columns.get_level_values("step") == step].droplevel("step", axis=1)


def _over_steps(results: Results) -> pd.DataFrame:
    """True losses, (images, (method, value of the sweep, step)), by value and step, up to the most steps."""
    experiment = results.experiment
    ((parameter, _),) = experiment.sweep.items()
    records = results.records[results.records["step"] <= experiment.last_step]
    rows = with_swept(records, experiment.sweep)
    return by_image(rows, ["method", parameter, "step"], "true_loss").sort_index(axis=1)


def _values_first(results: Results, claim: Claim, step: int) -> Iterator[tuple[str, np.ndarray]]:
    """Each of the claim's methods and its true losses after a step, (images, values), its own values first."""
    losses = _after(results, step)
    for method in claim.methods:
        others = [value for value in losses[method] if value not in claim.values]
        yield method, losses[method][[*claim.values, *others]].to_numpy()


def _against_each(
    results: Results, claim: Claim, name: str, measure: Callable[[np.ndarray], np.ndarray]
) -> list[Comparison]:
    """A measure of means (samples, values of the sweep) of the claim's method minus that of each other method."""
    losses = _swept(results)

    def difference(other: str) -> Estimate:
        both = losses[[claim.method, other]].to_numpy()
        values = both.shape[1] // 2
        return of_means(both, lambda means: measure(means[:, :values]) - measure(means[:, values:]))

    labels = results.labels
    return [Comparison(name.format(labels[claim.method], labels[other]), difference(other)) for other in claim.than]


def _from_lowest(values: np.ndarray, count: int) -> Estimate:
    """The lowest mean of the first ``count`` columns of values (images, columns) minus the lowest of the others."""
    return of_means(values, lambda means: means[:, :count].min(axis=1) - means[:, count:].min(axis=1))


def _named(claim: Claim) -> str:
    """The claim's values in words."""
    return " or ".join(f"{value:g}" for value in claim.values)
