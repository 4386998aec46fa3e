"""What the paper claims, judged by a run's own records.

A claim of the configuration names an experiment and a check. A check turns records into comparisons:
numbers that the claim says are below 0 or another limit, each with its 95 % bootstrap interval over images. A claim
holds if every interval lies below it, holds in part if at least one number does, and otherwise does
not hold.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sgaplus.analysis import comparison, cover, rd_curves
from sgaplus.analysis.bootstrap import LEVEL, Estimate, interval, of_means, paired
from sgaplus.analysis.selection import at_step, by_image, with_swept
from sgaplus.files import replacing, write_csv

HOLDS, IN_PART, NOT = "holds", "holds in part", "does not hold"
COLUMNS = ("claim", "verdict", "evidence", "source", "experiment")


class Comparison(NamedTuple):
    """A number that a claim says is below a limit.

    Attributes:
        name: What is compared, in print.
        estimate: The number and its interval, whose ends are nan where there is but one image.
        unit: Unit in print; numbers with one have fewer decimals.
        limit: What it is to be below.
    """

    name: str
    estimate: Estimate
    unit: str = ""
    limit: float = 0

    def __str__(self) -> str:
        if math.isinf(self.estimate.value):
            return f"{self.name}: out of reach"
        decimals = 2 if self.unit else 4
        value, low, high = (f"{number:+.{decimals}f}".replace("-", "−") for number in self.estimate)
        ends = "" if math.isnan(self.estimate.low) or low == high else f" [{low}, {high}]"
        asked = f", asked: {self.limit:g}{self.unit}".replace("-", "−") if self.limit else ""
        return f"{self.name}: {value}{self.unit}{ends}{asked}"


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes:
        text: The claim.
        verdict: :data:`HOLDS`, :data:`IN_PART` or :data:`NOT`.
        evidence: The comparisons, in print.
        source: Where the paper says it.
        experiment: Entry of the configuration that it was judged by.
    """

    text: str
    verdict: str
    evidence: str
    source: str
    experiment: str


def judge(
    claim: Mapping[str, Any], records: pd.DataFrame, experiment: Mapping[str, Any], labels: Mapping[str, str]
) -> Judged:
    """Judge one claim.

    Args:
        claim: Entry of the configuration: ``text``, ``source``, ``check``, ``experiment`` and what the check takes.
        records: Rows of its experiment.
        experiment: That experiment's entry.
        labels: Name of each method in print.
    """
    comparisons = CHECKS[claim["check"]](records, experiment, claim, labels)
    evidence = "; ".join(map(str, comparisons))
    return Judged(claim["text"], verdict(comparisons), evidence, claim["source"], claim["experiment"])


def verdict(comparisons: list[Comparison]) -> str:
    """The verdict on a claim that says that all of these are below their limits."""
    if all(comparison.estimate.high < comparison.limit for comparison in comparisons):
        return HOLDS
    return IN_PART if any(comparison.estimate.value < comparison.limit for comparison in comparisons) else NOT


Check = Callable[[pd.DataFrame, Mapping[str, Any], Mapping[str, Any], Mapping[str, str]], list[Comparison]]


def lower_loss(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """``method`` ends at a lower true loss than each of ``than``, after the most steps or after ``steps``."""
    step = claim.get("steps", max(experiment["steps"]))
    return [
        Comparison(f"{labels[claim['method']]} − {labels[other]}", paired(records, claim["method"], other, step))
        for other in claim["than"]
    ]


def smaller_gap(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """Method loss and true loss of ``method`` lie closer than those of each of ``than``, mean over all steps."""
    gaps = by_image(records.assign(gap=(records["method_loss"] - records["true_loss"]).abs()), ["method"], "gap")
    return [
        Comparison(f"{labels[claim['method']]} − {labels[other]}", _mean(gaps[claim["method"]] - gaps[other]))
        for other in claim["than"]
    ]


def less_sensitive(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """Over the sweep, the true loss of ``method`` ranges less (highest minus lowest) than that of each of ``than``."""
    losses = _swept(records, experiment)

    def ranges(means: np.ndarray, method: str) -> np.ndarray:
        values = means[:, [column[0] == method for column in losses.columns]]
        return values.max(axis=1) - values.min(axis=1)

    return [
        Comparison(
            f"range of {labels[claim['method']]} − {labels[other]}",
            of_means(
                losses.to_numpy(),
                lambda means, other=other: ranges(means, claim["method"]) - ranges(means, other),  # type: ignore[misc]
            ),
        )
        for other in claim["than"]
    ]


def best_value(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """Each of ``methods`` has its lowest true loss of the sweep at ``value``: it minus the best of the others."""
    return [
        Comparison(f"{labels[method]} at {claim['value']:g} − best other", _from_lowest(values))
        for method, values in _with_value_first(records, experiment, claim)
    ]


def worst_value(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """Each of ``methods`` has its highest true loss of the sweep at ``value``: the worst of the others minus it."""
    return [
        Comparison(f"{labels[method]}: worst other − at {claim['value']:g}", _from_lowest(-values))
        for method, values in _with_value_first(records, experiment, claim)
    ]


def gains_most(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """After the fewest steps a third class lowers the loss of ``method`` at all, and more than that of the others."""
    pairs = dict(zip(experiment["methods"][::2], experiment["methods"][1::2], strict=True))
    losses = by_image(at_step(records, min(experiment["steps"])), ["method"], "true_loss")
    gains = {two: losses[three] - losses[two] for two, three in pairs.items()}
    method = claim["method"]
    return [
        Comparison(f"{labels[pairs[method]]} − {labels[method]}", _mean(gains[method])),
        *(
            Comparison(f"that of {labels[method]} − {labels[other]}", _mean(gains[method] - gains[other]))
            for other in pairs
            if other != method
        ),
    ]


def alike(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """After the most steps the true losses of ``methods`` (two) differ by less than ``within`` (relative)."""
    first, second = claim["methods"]
    step = max(experiment["steps"])
    level = at_step(records[records["method"] == first], step)["true_loss"].mean()
    difference = paired(records, first, second, step)
    ends = [abs(difference.low), abs(difference.high)]
    size = Estimate(abs(difference.value), float("nan"), max(ends))
    tolerance = claim["within"] * level
    name = f"|{labels[first]} − {labels[second]}| − {claim['within']:.1%} of the loss"
    return [Comparison(name, Estimate(size.value - tolerance, float("nan"), size.high - tolerance))]


def converge(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """The true losses of ``methods`` lie closer together after the most steps than after the fewest."""
    first, last = min(experiment["steps"]), max(experiment["steps"])
    rows = records[records["method"].isin(claim["methods"])]
    losses = np.stack([by_image(at_step(rows, step), ["method"], "true_loss").to_numpy() for step in (last, first)], 1)

    def narrowing(means: np.ndarray) -> np.ndarray:
        spread = means.max(axis=2) - means.min(axis=2)
        return spread[:, 0] - spread[:, 1]

    return [Comparison(f"spread after {last} steps − after {first}", of_means(losses, narrowing))]


def fewer_bits(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """BD-rate of ``method`` against each of ``than`` (``base`` for the base model) is below 0, or below ``at_most``."""
    rows = at_step(records, claim.get("steps", max(experiment["steps"])))
    test = rd_curves.curve(rows[rows["method"] == claim["method"]])
    limit = claim.get("at_most", 0)
    found = []
    for other in claim["than"]:
        anchor = rd_curves.base_curve(records) if other == "base" else rd_curves.curve(rows[rows["method"] == other])
        saved = rd_curves.estimate(rd_curves.bd_rate, anchor, test)
        name = f"BD-rate of {labels[claim['method']]} against {labels.get(other, 'the base model')}"
        found.append(Comparison(name, saved, " %", limit))
    return found


def covers(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """The best few models, refined toward many targets, beat the base curve at the rate of every base model."""
    base = rd_curves.base_curve(records)
    rows = at_step(records, max(experiment["steps"]))
    refined = {model: rd_curves.curve(rows[rows["model"] == model], ["target_lmbda"]) for model in experiment["models"]}
    chosen = cover.choose(
        {model: values.mean(axis=1) for model, values in refined.items()}, base.mean(axis=1), experiment.get("cover", 3)
    )
    chosen_curves = [refined[model] for model in chosen.models]
    gains = cover.gain([values.mean(axis=1) for values in chosen_curves], base.mean(axis=1))
    low, high = cover.gain_interval(chosen_curves, base)
    rates = base.mean(axis=1)[:, rd_curves.RATE]
    return [
        Comparison(f"base − refined at {rate:.3f} bpp", Estimate(-gain, -end, -start), " dB")
        for rate, gain, start, end in zip(rates, gains, low, high, strict=True)
    ]


def better_at_its_rate(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any], labels: Mapping[str, str]
) -> list[Comparison]:
    """Figure 5's refined image has a higher PSNR than the base model's at no more bits. One image, no interval."""
    base, refined = comparison.pair(records, experiment)
    quality = base["psnr"] - refined["psnr"]
    bits = 100 * (refined["bpp"] / base["bpp"] - 1)
    return [
        Comparison("PSNR of the base model − refined", Estimate(quality, quality, quality), " dB"),
        Comparison("rate above the base model's", Estimate(bits, bits, bits), " %", 100 * comparison.SAME_RATE),
    ]


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        *(lower_loss, smaller_gap, less_sensitive, best_value, worst_value, gains_most, alike, converge),
        *(fewer_bits, covers, better_at_its_rate),
    )
}


# The report centres its first page, so that the top of a long one could not be scrolled to.
PAGE = """<style>
  .h-screen.items-center.overflow-auto {{ align-items: safe center; }}
  .prose:has(.claims) {{ max-width: 62em; }}
  .claims {{ font: 14px/1.45 sans-serif; max-width: 62em; }}
  .claim {{ display: flex; gap: 1.2em; padding: 0.9em 0; border-top: 1px solid #ccc; }}
  .claim > div {{ flex: 1; }}
  .claim img {{ width: 17em; height: auto; align-self: flex-start; }}
  .claim p {{ margin: 0 0 0.3em; }}
  .evidence, .source {{ color: #444; font-size: 12px; }}
  .verdict {{ display: inline-block; padding: 0 0.6em; border-radius: 0.8em; color: white; font-weight: bold; }}
</style>
<div class="claims">
<p>{summary} A number below 0, or below what is asked, speaks for a claim. A claim <i>holds</i> if the whole {level} %
bootstrap interval over images, in brackets, does so for all its numbers, and <i>holds in part</i> if any number does.
</p>
{claims}
</div>
"""
CLAIM = """<div class="claim"><div>
<p><span class="verdict" style="background: {color}">{verdict}</span></p>
<p>{text}</p>
<p class="source">{source}; judged by <a href="{link}">{experiment}</a></p>
<p class="evidence">{evidence}</p>
</div>{picture}</div>"""
COLORS = {HOLDS: "#1b7837", IN_PART: "#b35806", NOT: "#b2182b"}
LINK = "javascript:app.showResultInfo('{}')"


def write(judged: list[Judged], artifacts: Mapping[str, str], csv: str, md: str, page: str) -> None:
    """Write the verdicts as CSV, as Markdown and as a part of the report's first page, all or nothing each.

    Args:
        judged: The claims.
        artifacts: For each experiment its figure (PNG) or, if it has none, its table (HTML).
        csv, md, page: Where to write.
    """
    rows = [dict(zip(COLUMNS, (j.text, j.verdict, j.evidence, j.source, j.experiment), strict=True)) for j in judged]
    write_csv(rows, COLUMNS, csv)
    with replacing(md) as temporary:
        table = pd.DataFrame(rows).drop(columns=["experiment"])
        temporary.write_text(table.to_markdown(index=False) + "\n")
    with replacing(page) as temporary:
        claims = "\n".join(_html(one, artifacts[one.experiment]) for one in judged)
        temporary.write_text(PAGE.format(summary=summary(judged), level=LEVEL, claims=claims))


def summary(judged: list[Judged]) -> str:
    """How many claims of how many hold."""
    count = {kind: sum(one.verdict == kind for one in judged) for kind in COLORS}
    return (
        f"Of {len(judged)} claims of the paper, {count[HOLDS]} hold in this run, {count[IN_PART]} hold in part "
        f"and {count[NOT]} do not."
    )


def _html(one: Judged, artifact: str) -> str:
    picture = ""
    if artifact.endswith(".png"):
        data = base64.b64encode(Path(artifact).read_bytes()).decode()
        picture = f'<img alt="{html.escape(one.experiment)}" src="data:image/png;base64,{data}">'
    return CLAIM.format(
        color=COLORS[one.verdict],
        link=LINK.format(artifact),
        picture=picture,
        **{key: html.escape(getattr(one, key)) for key in ("verdict", "text", "source", "experiment", "evidence")},
    )


def _swept(records: pd.DataFrame, experiment: Mapping[str, Any]) -> pd.DataFrame:
    """True losses after the most steps, (images, (method, value of the sweep))."""
    ((parameter, _),) = experiment["sweep"].items()
    rows = with_swept(at_step(records, max(experiment["steps"])), experiment["sweep"])
    return by_image(rows, ["method", parameter], "true_loss")


def _with_value_first(
    records: pd.DataFrame, experiment: Mapping[str, Any], claim: Mapping[str, Any]
) -> list[tuple[str, np.ndarray]]:
    """Each of the claim's ``methods``, and its losses (images, values of the sweep), those at ``value`` first."""
    losses = _swept(records, experiment)
    others = [value for value in losses[claim["methods"][0]] if value != claim["value"]]
    return [(method, losses[method][[claim["value"], *others]].to_numpy()) for method in claim["methods"]]


def _from_lowest(values: np.ndarray) -> Estimate:
    """The mean of the first column minus the lowest mean of the others, (images, columns)."""
    return of_means(values, lambda means: means[:, 0] - means[:, 1:].min(axis=1))


def _mean(values: pd.Series | pd.DataFrame) -> Estimate:
    low, high = interval(values.to_numpy())
    return Estimate(float(values.to_numpy().mean()), float(low), float(high))
