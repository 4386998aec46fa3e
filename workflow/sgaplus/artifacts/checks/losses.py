"""Checks of claims about losses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sgaplus.analysis.experiment import Claim
from sgaplus.analysis.intervals import Estimate, of_mean, of_means, paired
from sgaplus.analysis.selection import at_step, by_image, with_swept
from sgaplus.artifacts.claims import Comparison
from sgaplus.artifacts.kinds import check
from sgaplus.artifacts.results import Results


@check(needs=("method", "than"), takes=("steps",))
def lower_loss(results: Results, claim: Claim) -> list[Comparison]:
    """The true loss of `method` ends below that of each of `than`.

    After the most steps or after ``steps``.
    """
    step = claim.step(results.experiment)
    return [
        Comparison(
            f"{results.labels[claim.method]} − {results.labels[other]}",
            paired(results.records, claim.method, other, step),
        )
        for other in claim.than
    ]


@check(needs=("method", "than"))
def smaller_gap(results: Results, claim: Claim) -> list[Comparison]:
    """Method loss and true loss of `method` stay closer than those of each of `than`.

    Mean over all steps.
    """
    records = results.records
    gaps = by_image(records.assign(gap=(records["method_loss"] - records["true_loss"]).abs()), ["method"], "gap")
    return [
        Comparison(
            f"{results.labels[claim.method]} − {results.labels[other]}",
            of_mean((gaps[claim.method] - gaps[other]).to_numpy()),
        )
        for other in claim.than
    ]


@check(needs=("method", "than"), swept=1)
def less_sensitive(results: Results, claim: Claim) -> list[Comparison]:
    """Over the sweep, the loss of `method` ranges less than that of each of `than`.

    The range is the highest minus the lowest mean true loss.
    """
    losses = _swept(results)

    def ranges(means: np.ndarray, method: str) -> np.ndarray:
        values = means[:, [column[0] == method for column in losses.columns]]
        return values.max(axis=1) - values.min(axis=1)

    return [
        Comparison(
            f"range of {results.labels[claim.method]} − {results.labels[other]}",
            of_means(
                losses.to_numpy(),
                lambda means, other=other: ranges(means, claim.method) - ranges(means, other),  # type: ignore[misc]
            ),
        )
        for other in claim.than
    ]


@check(needs=("methods", "value"), swept=1)
def best_value(results: Results, claim: Claim) -> list[Comparison]:
    """Each of `methods` is best at `value` of the sweep.

    Its true loss there minus that at the best of the other values.
    """
    return [
        Comparison(f"{results.labels[method]} at {claim.value:g} − best other", _from_lowest(values))
        for method, values in _with_value_first(results, claim)
    ]


@check(needs=("methods", "value"), swept=1)
def worst_value(results: Results, claim: Claim) -> list[Comparison]:
    """Each of `methods` is worst at `value` of the sweep.

    The true loss at the worst of the other values minus its own there.
    """
    return [
        Comparison(f"{results.labels[method]}: worst other − at {claim.value:g}", _from_lowest(-values))
        for method, values in _with_value_first(results, claim)
    ]


@check(needs=("method",), in_pairs=True)
def gains_most(results: Results, claim: Claim) -> list[Comparison]:
    """After the fewest steps a third class helps `method`, and it most.

    Its true loss falls at all, and by more than that of the other two-class methods.
    """
    experiment = results.experiment
    pairs = dict(zip(experiment.methods[::2], experiment.methods[1::2], strict=True))
    losses = by_image(at_step(results.records, experiment.first_step), ["method"], "true_loss")
    gains = {two: losses[three] - losses[two] for two, three in pairs.items()}
    method = claim.method
    return [
        Comparison(f"{results.labels[pairs[method]]} − {results.labels[method]}", of_mean(gains[method].to_numpy())),
        *(
            Comparison(
                f"that of {results.labels[method]} − {results.labels[other]}",
                of_mean((gains[method] - gains[other]).to_numpy()),
            )
            for other in pairs
            if other != method
        ),
    ]


@check(needs=("methods", "within"), fewest_compared=2, most_compared=2)
def alike(results: Results, claim: Claim) -> list[Comparison]:
    """After the most steps two methods differ by less than `within`.

    The difference of their true losses is relative to the first one's.
    """
    first, second = claim.methods
    records, step = results.records, results.experiment.last_step
    level = at_step(records[records["method"] == first], step)["true_loss"].mean()
    difference = paired(records, first, second, step)
    ends = [abs(difference.low), abs(difference.high)]
    size = Estimate(abs(difference.value), float("nan"), max(ends))
    tolerance = claim.within * level
    name = f"|{results.labels[first]} − {results.labels[second]}| − {claim.within:.1%} of the loss"
    return [Comparison(name, Estimate(size.value - tolerance, float("nan"), size.high - tolerance))]


@check(needs=("methods",), fewest_compared=2, fewest_steps=2)
def converge(results: Results, claim: Claim) -> list[Comparison]:
    """The `methods` lie closer together after the most steps than after the fewest.

    Their spread is the highest minus the lowest mean true loss.
    """
    first, last = results.experiment.first_step, results.experiment.last_step
    rows = results.records[results.records["method"].isin(claim.methods)]
    losses = np.stack([by_image(at_step(rows, step), ["method"], "true_loss").to_numpy() for step in (last, first)], 1)

    def narrowing(means: np.ndarray) -> np.ndarray:
        spread = means.max(axis=2) - means.min(axis=2)
        return spread[:, 0] - spread[:, 1]

    return [Comparison(f"spread after {last} steps − after {first}", of_means(losses, narrowing))]


def _swept(results: Results) -> pd.DataFrame:
    """True losses after the most steps, (images, (method, value of the sweep))."""
    experiment = results.experiment
    ((parameter, _),) = experiment.sweep.items()
    rows = with_swept(at_step(results.records, experiment.last_step), experiment.sweep)
    return by_image(rows, ["method", parameter], "true_loss")


def _with_value_first(results: Results, claim: Claim) -> list[tuple[str, np.ndarray]]:
    """Each of the claim's ``methods``, and its losses (images, values of the sweep), those at ``value`` first."""
    losses = _swept(results)
    others = [value for value in losses[claim.methods[0]] if value != claim.value]
    return [(method, losses[method][[claim.value, *others]].to_numpy()) for method in claim.methods]


def _from_lowest(values: np.ndarray) -> Estimate:
    """The mean of the first column of values (images, columns) minus the lowest mean of the others."""
    return of_means(values, lambda means: means[:, 0] - means[:, 1:].min(axis=1))
