"""The paper's claims, judged by a run's own records.

A claim of the configuration names an experiment and a check. A check turns records into comparisons:
numbers that the claim says are below 0 or another limit, each with its 95 % bootstrap interval over images. A claim
holds if every interval lies below it, holds in part if at least one number does, and otherwise does
not hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from sgaplus.analysis.experiment import Claim
from sgaplus.analysis.intervals import Estimate
from sgaplus.artifacts import kinds
from sgaplus.artifacts.results import Results

HOLDS, IN_PART, NOT = "holds", "holds in part", "does not hold"


class Comparison(NamedTuple):
    """A number that a claim says is below a limit.

    Attributes:
        name: The quantity that is compared, in print.
        estimate: The number and its interval, whose ends are nan where there is but one image.
        unit: Unit in print; numbers with one have fewer decimals.
        limit: The number that it is to be below.
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


def judge(results: Results, claim: Claim) -> Judged:
    """Judge a claim by the results of its experiment."""
    comparisons = kinds.find("check", claim.check).function()(results, claim)
    evidence = "; ".join(map(str, comparisons))
    return Judged(claim.text, verdict(comparisons), evidence, claim.source, claim.experiment)


def verdict(comparisons: list[Comparison]) -> str:
    """The verdict on a claim that says that all of these are below their limits."""
    if all(comparison.estimate.high < comparison.limit for comparison in comparisons):
        return HOLDS
    return IN_PART if any(comparison.estimate.value < comparison.limit for comparison in comparisons) else NOT
