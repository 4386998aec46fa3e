"""Checks against the numbers that others published."""

from __future__ import annotations

import numpy as np

from sgaplus.analysis import published, rd_curves
from sgaplus.analysis.experiment import Claim
from sgaplus.analysis.intervals import Estimate
from sgaplus.artifacts.claims import Comparison
from sgaplus.artifacts.kinds import check
from sgaplus.artifacts.results import Results
from sgaplus.artifacts.table import minus


@check(needs=("published", "within"), fewest_models=2)
def base_as_published(results: Results, claim: Claim) -> list[Comparison]:
    """The base models need as many bits at equal PSNR as each of the `published` codecs, up to the share `within`."""
    curves = results.published.curves(results.experiment.dataset)
    base, margin = rd_curves.base_curve(results.records), 100 * claim.within
    return [
        Comparison(
            f"BD-rate of the base models against {name}",
            rd_curves.estimate(rd_curves.bd_rate, curves[name], base),
            " %",
            below=margin,
            above=-margin,
        )
        for name in claim.published
    ]


@check(needs=("method", "published", "within"), takes=("steps",), fewest_models=2)
def saves_as_published(results: Results, claim: Claim) -> list[Comparison]:
    """`method` saves over its base models as large a share of the bits as was `published`, up to the share `within`.

    The BD-rate against the base models, minus that of the published curve against Yang et al.'s base models.
    """
    curves = results.published.curves(results.experiment.dataset)
    base = rd_curves.base_curve(results.records)
    ours = rd_curves.curve_after(results.records, claim.method, claim.step(results.experiment))
    saved, margin = rd_curves.estimate(rd_curves.bd_rate, base, ours), 100 * claim.within
    found = []
    for name in claim.published:
        theirs = rd_curves.bd_rate(curves[published.BASE], curves[name])
        apart = Estimate(*(number - theirs for number in saved))
        text = f"BD-rate of {results.labels[claim.method]} minus that of {name}, which is {minus(f'{theirs:.1f}')} %"
        found.append(Comparison(text, apart, " %", below=margin, above=-margin))
    return found


@check(needs=("method", "published", "decibels"), takes=("steps",), fewest_models=2)
def gains_as_published(results: Results, claim: Claim) -> list[Comparison]:
    """Under each model `method` gains as many dB over the base models' curve as was `published`, up to `decibels`.

    The gain is that of a point over the base models' curve at its rate. The lambdas of the published points, in the
    order of the rate, are those of the experiment's models.
    """
    curves = results.published.curves(results.experiment.dataset)
    base = rd_curves.base_curve(results.records)
    ours = rd_curves.curve_after(results.records, claim.method, claim.step(results.experiment))
    lmbdas = sorted(results.records["model_lmbda"].unique())
    found = []
    for name in claim.published:
        theirs = rd_curves.gains(curves[published.BASE], curves[name])
        for k, lmbda in enumerate(lmbdas):

            def apart(base: np.ndarray, test: np.ndarray, k: int = k, known: float = theirs[k]) -> float:
                return float(rd_curves.gains(base, test)[k]) - known

            text = f"gain at λ = {lmbda:g} minus that of {name}, which is {theirs[k]:.2f} dB"
            estimate = rd_curves.estimate(apart, base, ours)
            found.append(Comparison(text, estimate, " dB", below=claim.decibels, above=-claim.decibels))
    return found
