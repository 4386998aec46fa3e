"""Checks of claims about losses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sgaplus.analysis.experiment import Claim
from sgaplus.analysis.intervals import of_mean, of_means, paired
from sgaplus.analysis.selection import at_step, by_image
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
    rows = _with_gap(results)
    gaps = by_image(rows.assign(gap=rows["gap"].abs()), ["method"], "gap")
    return [
        Comparison(
            f"{results.labels[claim.method]} − {results.labels[other]}",
            of_mean((gaps[claim.method] - gaps[other]).to_numpy()),
        )
        for other in claim.than
    ]


@check(needs=("method",))
def overestimates(results: Results, claim: Claim) -> list[Comparison]:
    """The loss that `method` minimises lies above its true loss.

    Mean over all steps.
    """
    gaps = by_image(_with_gap(results), ["method"], "gap")[claim.method]
    name = f"method loss − true loss of {results.labels[claim.method]}"
    return [Comparison(name, of_mean(gaps.to_numpy()), below=math.inf, above=0)]


@check(needs=("method", "steps"))
def diverges(results: Results, claim: Claim) -> list[Comparison]:
    """The true loss of `method` is higher after the most steps than after `steps`."""
    early, late = claim.step(results.experiment), results.experiment.last_step
    losses = _losses(results.records, [claim.method], [early, late])
    name = f"{results.labels[claim.method]} after {late} steps − after {early}"
    return [Comparison(name, of_mean(losses[:, 0, 1] - losses[:, 0, 0]), below=math.inf, above=0)]


@check(needs=("method", "than", "steps"))
def converges_sooner(results: Results, claim: Claim) -> list[Comparison]:
    """After `steps` the true loss of `method` has more of its whole gain than that of each of `than`."""
    early = claim.step(results.experiment)
    losses = _losses(results.records, [claim.method, *claim.than], [0, early, results.experiment.last_step])
    return [
        Comparison(
            f"share of its gain that {results.labels[claim.method]} has after {early} steps − {results.labels[other]}",
            of_means(losses, lambda means, k=k: _share_of_gain(means[:, 0]) - _share_of_gain(means[:, k])),  # type: ignore[misc]
            " %",
            below=math.inf,
            above=0,
        )
        for k, other in enumerate(claim.than, start=1)
    ]


@check(needs=("methods", "steps", "at_least"))
def early_gain(results: Results, claim: Claim) -> list[Comparison]:
    """After `steps` the true loss of each of `methods` has at least the share `at_least` of its whole gain."""
    early = claim.step(results.experiment)
    losses = _losses(results.records, claim.methods, [0, early, results.experiment.last_step])
    return [
        Comparison(
            f"share of its gain that {results.labels[method]} has after {early} steps",
            of_means(losses[:, k], _share_of_gain),
            " %",
            below=math.inf,
            above=100 * claim.at_least,
        )
        for k, method in enumerate(claim.methods)
    ]


@check(needs=("method",), fewest_models=2, fewest_steps=2)
def gains_later_at_lowest_lambda(results: Results, claim: Claim) -> list[Comparison]:
    """Under the model of the lowest lambda, `method` has a lower true loss after the most steps than the fewest."""
    records, first, last = results.records, results.experiment.first_step, results.experiment.last_step
    lowest = records[records["model_lmbda"] == records["model_lmbda"].min()]
    losses = _losses(lowest, [claim.method], [first, last])
    name = f"{results.labels[claim.method]} after {last} steps − after {first}, λ = {lowest['model_lmbda'].iloc[0]:g}"
    return [Comparison(name, of_mean(losses[:, 0, 1] - losses[:, 0, 0]))]


@check(needs=("method", "than"), takes=("steps",), fewest_models=3)
def gains_most_at_the_ends(results: Results, claim: Claim) -> list[Comparison]:
    """Under the models of the lowest and of the highest lambda `method` is ahead of each of `than` by most.

    The lead is the reduction of the true loss in %; at either end it is above its mean over the models between.
    """
    rows = at_step(results.records, claim.step(results.experiment))
    losses = by_image(rows, ["method", "model_lmbda"], "true_loss")
    found = []
    for other in claim.than:
        both = np.stack([losses[claim.method], losses[other]], axis=-1)  # (images, models, 2)
        for end, lmbda in ((0, min(rows["model_lmbda"])), (-1, max(rows["model_lmbda"]))):

            def beyond_the_middle(means: np.ndarray, end: int = end) -> np.ndarray:
                lead = 100 * (1 - means[..., 0] / means[..., 1])
                return lead[:, end] - lead[:, 1:-1].mean(axis=1)

            name = f"lead over {results.labels[other]} at λ = {lmbda:g} − between the ends"
            found.append(Comparison(name, of_means(both, beyond_the_middle), " %", below=math.inf, above=0))
    return found


@check(needs=("method",), takes=("steps",), in_pairs=True)
def gains_most(results: Results, claim: Claim) -> list[Comparison]:
    """After the fewest steps, or after `steps`, a third class helps `method`, and it most.

    Its true loss falls at all, and by more than that of the other two-class methods.
    """
    experiment = results.experiment
    pairs = dict(zip(experiment.methods[::2], experiment.methods[1::2], strict=True))
    step = experiment.first_step if claim.steps is None else claim.steps
    losses = by_image(at_step(results.records, step), ["method"], "true_loss")
    gains = {two: (losses[three] - losses[two]).to_numpy() for two, three in pairs.items()}
    method = claim.method
    return [
        Comparison(f"{results.labels[pairs[method]]} − {results.labels[method]}", of_mean(gains[method])),
        *(
            Comparison(f"that of {results.labels[method]} − {results.labels[other]}", of_mean(gains[method] - gain))
            for other, gain in gains.items()
            if other != method
        ),
    ]


@check(needs=("methods", "within"), takes=("steps",), fewest_compared=2, most_compared=2)
def alike(results: Results, claim: Claim) -> list[Comparison]:
    """After the most steps, or after `steps`, two methods differ by less than the share `within` of the loss."""
    first, second = claim.methods
    records, step = results.records, claim.step(results.experiment)
    margin = claim.within * at_step(records[records["method"] == first], step)["true_loss"].mean()
    name = f"{results.labels[first]} − {results.labels[second]}"
    return [Comparison(name, paired(records, first, second, step), below=margin, above=-margin)]


@check(needs=("methods",), fewest_compared=2, fewest_steps=2)
def converge(results: Results, claim: Claim) -> list[Comparison]:
    """The `methods` lie closer together after the most steps than after the fewest.

    Their spread is the highest minus the lowest mean true loss.
    """
    first, last = results.experiment.first_step, results.experiment.last_step

    def narrowing(means: np.ndarray) -> np.ndarray:
        spread = means.max(axis=1) - means.min(axis=1)
        return spread[:, 1] - spread[:, 0]

    losses = _losses(results.records, claim.methods, [first, last])
    return [Comparison(f"spread after {last} steps − after {first}", of_means(losses, narrowing))]


def _share_of_gain(losses: np.ndarray) -> np.ndarray:
    """How much of the whole gain is reached early, in %: losses (..., [first, early, last]) -> (...); nan of none."""
    first, early, last = np.moveaxis(losses, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 100 * (first - early) / (first - last)


def _losses(records: pd.DataFrame, methods: Sequence[str], steps: Sequence[int]) -> np.ndarray:
    """True losses, (images, methods, steps)."""
    rows = records[records["method"].isin(methods) & records["step"].isin(steps)]
    losses = by_image(rows, ["method", "step"], "true_loss")
    return np.stack([losses[method][list(steps)].to_numpy() for method in methods], axis=1)


def _with_gap(results: Results) -> pd.DataFrame:
    """The rows up to the experiment's last step, with the method loss minus the true loss as ``gap``."""
    records = results.records[results.records["step"] <= results.experiment.last_step]
    return records.assign(gap=records["method_loss"] - records["true_loss"])
