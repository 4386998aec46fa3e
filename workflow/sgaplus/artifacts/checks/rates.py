"""Checks of claims about rates at equal quality."""

from __future__ import annotations

from sgaplus.analysis import comparison, covering, rd_curves
from sgaplus.analysis.experiment import Claim
from sgaplus.analysis.intervals import Estimate
from sgaplus.analysis.selection import at_step
from sgaplus.artifacts.claims import Comparison
from sgaplus.artifacts.kinds import check
from sgaplus.artifacts.results import Results


@check(needs=("method", "than"), takes=("steps", "at_most"), fewest_models=2)
def fewer_bits(results: Results, claim: Claim) -> list[Comparison]:
    """`method` needs fewer bits at equal PSNR than each of `than`.

    The BD-rate, against the base model for ``base``, is below 0, or below ``at_most``.
    """
    records = results.records
    rows = at_step(records, claim.step(results.experiment))
    test = rd_curves.curve(rows[rows["method"] == claim.method])
    found = []
    for other in claim.than:
        anchor = rd_curves.base_curve(records) if other == "base" else rd_curves.curve(rows[rows["method"] == other])
        saved = rd_curves.estimate(rd_curves.bd_rate, anchor, test)
        name = f"BD-rate of {results.labels[claim.method]} against {results.labels.get(other, 'the base model')}"
        found.append(Comparison(name, saved, " %", claim.at_most))
    return found


@check(of_experiment=("targets",), fewest_models=2, most_methods=1)
def covers(results: Results, claim: Claim) -> list[Comparison]:
    """The best few models beat the base models' curve at the rate of each of them.

    The models are refined toward many targets.
    """
    records, experiment = results.records, results.experiment
    base = rd_curves.base_curve(records)
    rows = at_step(records, experiment.last_step)
    refined = {model: rd_curves.curve(rows[rows["model"] == model], ["target_lmbda"]) for model in experiment.models}
    chosen = covering.choose(
        {model: values.mean(axis=1) for model, values in refined.items()}, base.mean(axis=1), experiment.cover
    )
    chosen_curves = [refined[model] for model in chosen.models]
    gains = covering.gain([values.mean(axis=1) for values in chosen_curves], base.mean(axis=1))
    low, high = covering.gain_interval(chosen_curves, base)
    rates = base.mean(axis=1)[:, rd_curves.RATE]
    return [
        Comparison(f"base − refined at {rate:.3f} bpp", Estimate(-gain, -end, -start), " dB")
        for rate, gain, start, end in zip(rates, gains, low, high, strict=True)
    ]


@check(needs=("method",), of_experiment=("image", "targets"), fewest_models=2)
def better_at_its_rate(results: Results, claim: Claim) -> list[Comparison]:
    """In Figure 5 the image that `method` refined has the higher PSNR at no more bits.

    One image has no interval.
    """
    base = comparison.lowest_base(results.records, results.experiment)
    refined = comparison.refined_at_its_rate(results.records, results.experiment, claim.method, base)
    quality = base["psnr"] - refined["psnr"]
    bits = 100 * (refined["bpp"] / base["bpp"] - 1)
    return [
        Comparison("PSNR of the base model − refined", Estimate(quality, quality, quality), " dB"),
        Comparison("rate above the base model's", Estimate(bits, bits, bits), " %", 100 * comparison.SAME_RATE),
    ]
