"""Checks of claims about rates at equal quality."""

from __future__ import annotations

import math

import numpy as np

from sgaplus.analysis import anchors, comparison, covering, rd_curves
from sgaplus.analysis.experiment import Claim
from sgaplus.analysis.intervals import Estimate
from sgaplus.analysis.selection import at_step
from sgaplus.artifacts.claims import Comparison
from sgaplus.artifacts.kinds import check
from sgaplus.artifacts.results import Results, anchors_of


@check(needs=("method", "than"), takes=("steps", "at_most"), fewest_models=2, base=True)
def fewer_bits(results: Results, claim: Claim) -> list[Comparison]:
    """`method` needs fewer bits at equal PSNR than each of `than`.

    The BD-rate, against the base model for ``base``, is below 0, or below ``at_most``.
    """
    return [
        Comparison(_bd_name(results, claim.method, other), _bd(results, claim, other), " %", claim.at_most)
        for other in claim.than
    ]


@check(needs=("method", "than"), takes=("steps",), fewest_models=2, base=True)
def more_bits(results: Results, claim: Claim) -> list[Comparison]:
    """`method` needs more bits at equal PSNR than each of `than`."""
    return [
        Comparison(_bd_name(results, claim.method, other), _bd(results, claim, other), " %", below=math.inf, above=0)
        for other in claim.than
    ]


@check(needs=("method",), fewest_models=2, fewest_steps=2)
def fewer_bits_later(results: Results, claim: Claim) -> list[Comparison]:
    """`method` needs fewer bits at equal PSNR after the most steps than after the fewest."""
    first, last = results.experiment.first_step, results.experiment.last_step
    early, late = (rd_curves.curve_after(results.records, claim.method, step) for step in (first, last))
    name = f"BD-rate of {results.labels[claim.method]} after {last} steps against after {first}"
    return [Comparison(name, rd_curves.estimate(rd_curves.bd_rate, early, late), " %")]


@check(needs=("method", "than"), fewest_models=2, fewest_steps=2)
def lead_grows(results: Results, claim: Claim) -> list[Comparison]:
    """The bits that `method` saves over each of `than` are more after the most steps than after the fewest."""
    first, last = results.experiment.first_step, results.experiment.last_step

    def growth(*curves: np.ndarray) -> float:
        early, early_test, late, late_test = curves
        return rd_curves.bd_rate(late, late_test) - rd_curves.bd_rate(early, early_test)

    found = []
    for other in claim.than:
        curves = [
            rd_curves.curve_after(results.records, method, step)
            for step in (first, last)
            for method in (other, claim.method)
        ]
        name = f"{_bd_name(results, claim.method, other)} after {last} steps − after {first}"
        found.append(Comparison(name, rd_curves.estimate(growth, *curves), " %"))
    return found


@check(of_experiment=("targets",), fewest_models=2, most_methods=1)
def covers(results: Results, claim: Claim) -> list[Comparison]:
    """The best few models beat the base models' curve at the rate of each of them.

    The models are refined toward many targets.
    """
    base = rd_curves.base_curve(results.records)
    refined = _toward_targets(results)
    chosen = covering.choose(
        {model: values.mean(axis=1) for model, values in refined.items()}, base.mean(axis=1), results.experiment.cover
    )
    chosen_curves = [refined[model] for model in chosen.models]
    gains = covering.gain([values.mean(axis=1) for values in chosen_curves], base.mean(axis=1))
    low, high = covering.gain_interval(chosen_curves, base)
    rates = base.mean(axis=1)[:, rd_curves.RATE]
    return [
        Comparison(f"base − refined at {rate:.3f} bpp", Estimate(-gain, -end, -start), " dB")
        for rate, gain, start, end in zip(rates, gains, low, high, strict=True)
    ]


@check(of_experiment=("targets",), fewest_models=2, most_methods=1)
def every_model_beats_the_base(results: Results, claim: Claim) -> list[Comparison]:
    """Every model has a target toward which it comes to lie above the base models' curve."""

    def best_gain(base: np.ndarray, refined: np.ndarray) -> float:
        return float(rd_curves.gains(base, refined).max())

    base = rd_curves.base_curve(results.records)
    return [
        Comparison(f"best gain of {model}", rd_curves.estimate(best_gain, base, curve), " dB", below=math.inf, above=0)
        for model, curve in _toward_targets(results).items()
    ]


@check(of_experiment=("targets",), fewest_models=2, most_methods=1)
def far_targets_lose(results: Results, claim: Claim) -> list[Comparison]:
    """Refined toward the target that is farthest from its own lambda, every model lies below the base models' curve.

    Farthest is the largest ratio of lambdas.
    """
    records, base = results.records, rd_curves.base_curve(results.records)
    found = []
    for model, curve in _toward_targets(results).items():
        targets = np.array(sorted(records.loc[records["model"] == model, "target_lmbda"].unique()))
        own = records.loc[records["model"] == model, "model_lmbda"].iloc[0]
        farthest = int(np.abs(np.log(targets / own)).argmax())

        def gain(base: np.ndarray, refined: np.ndarray, farthest: int = farthest) -> float:
            return float(rd_curves.gains(base, refined)[farthest])

        name = f"gain of {model} toward λ = {targets[farthest]:g}"
        found.append(Comparison(name, rd_curves.estimate(gain, base, curve), " dB"))
    return found


@check(needs=("method",), of_experiment=("image", "targets"), fewest_models=2, one_image=True)
def better_at_its_rate(results: Results, claim: Claim) -> list[Comparison]:
    """In Figure 5 the image that `method` refined has the higher PSNR at no more bits.

    The claim says that another model comes to that rate, so it does not hold if none does. Rates are the same if the
    refined one is higher by no more than :data:`comparison.SAME_RATE`. One image has no interval.
    """
    base = comparison.lowest_base(results.records, results.experiment)
    refined = comparison.refined_at_its_rate(results.records, results.experiment, claim.method, base)
    quality = base["psnr"] - refined["psnr"]
    bits = 100 * (refined["bpp"] / base["bpp"] - 1)
    return [
        Comparison("PSNR of the base model − refined", Estimate(quality, quality, quality), " dB"),
        Comparison("rate above the base model's", Estimate(bits, bits, bits), " %", 100 * comparison.SAME_RATE),
    ]


def _bd(results: Results, claim: Claim, other: str) -> Estimate:
    """The BD-rate of the claim's method against another, an anchor, or the base model for ``base``.

    Rates are those of the experiment's ``bitrate``, qualities those of its ``quality``.
    """
    records, step, bitrate = results.of_quality, claim.step(results.experiment), results.experiment.bitrate
    column, _ = results.quality
    if other == "base":
        anchor = rd_curves.base_curve(records, bitrate, column)
    elif other in (results.experiment.anchors or ()):
        anchor = anchors_of(results)[anchors.label(other)]
    else:
        anchor = rd_curves.curve_after(records, other, step, bitrate, column)
    test = rd_curves.curve_after(records, claim.method, step, bitrate, column)
    return rd_curves.estimate(rd_curves.bd_rate, anchor, test)


def _bd_name(results: Results, method: str, other: str) -> str:
    known = {"base": "the base model", **results.labels}
    by = "" if results.experiment.quality == "psnr" else f" by {results.quality[1]}"
    return f"BD-rate{by} of {results.labels[method]} against {known.get(other) or anchors.label(other)}"


def _toward_targets(results: Results) -> dict[str, np.ndarray]:
    """The curve of each model, a point per target by lambda, (targets, images, 2)."""
    rows = at_step(results.records, results.experiment.last_step)
    return {
        model: rd_curves.curve(rows[rows["model"] == model], ["target_lmbda"]) for model in results.experiment.models
    }
