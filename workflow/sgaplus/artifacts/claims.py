"""Claims, judged by a run's own records.

A claim of the configuration names an experiment and a check. A check turns records into comparisons:
numbers, each with its interval over images and the region in which the claim says that it lies. A claim
holds if every interval lies in its region, does not hold if one lies wholly outside of its own, and is
undecided otherwise. Below eight images there are no intervals, and it is not judged.

A claim that two things are alike has a region on both sides of 0. To ask that the whole 95 % interval
lies in it is a test of equivalence by two one-sided tests, at 2.5 % each.

A check about one image, Figure 5, has no interval. Its numbers are compared as they are, and its verdict
says that it is about one image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from sgaplus.analysis.experiment import Claim
from sgaplus.analysis.intervals import FEWEST, Estimate, described
from sgaplus.artifacts import kinds
from sgaplus.artifacts.results import Results
from sgaplus.artifacts.table import minus

HOLDS, NOT, UNDECIDED, NOT_JUDGED = "holds", "does not hold", "undecided", "not judged"

OF_ONE_IMAGE = "one image, by its nature"

CONDITIONS = (
    "An interval says how far a result carries over to other images, and nothing else. Every verdict is conditional on "
    "the models, each of which was trained once, on the seeds of the refinements, and on the images that were judged. "
    "The verdict on models that cover the curve is so on their choice, too, which was made on the same images. Nothing "
    "is corrected for the number of claims."
)


class Comparison(NamedTuple):
    """A number, and the region in which a claim says that it lies.

    Attributes:
        name: The quantity, in print.
        estimate: The number and its interval, whose ends are nan where it has none.
        unit: Unit in print; numbers with one have fewer decimals.
        below, above: Ends of the region, infinite where there is none.
    """

    name: str
    estimate: Estimate
    unit: str = ""
    below: float = 0
    above: float = -math.inf

    @property
    def holds(self) -> bool:
        """Whether the whole interval lies in the region."""
        return self.above < self.estimate.low and self.estimate.high < self.below

    @property
    def fails(self) -> bool:
        """Whether the whole interval lies outside of the region."""
        return self.estimate.low > self.below or self.estimate.high < self.above

    def __str__(self) -> str:
        asked = f", asked: {self._asked}" if self._asked else ""
        if math.isinf(self.estimate.value):
            return f"{self.name}: out of reach{asked}"
        if math.isnan(self.estimate.value):
            return f"{self.name}: not defined{asked}"
        decimals = 2 if self.unit else 4
        value, low, high = (minus(f"{number:+z.{decimals}f}") for number in self.estimate)
        ends = "" if math.isnan(self.estimate.low) or low == high else f" [{low}, {high}]"
        return f"{self.name}: {value}{self.unit}{ends}{asked}"

    @property
    def _asked(self) -> str:
        """The region in words; empty if it is what lies below 0."""
        below, above = (minus(f"{end:.3g}{self.unit}") for end in (self.below, self.above))
        if math.isinf(self.below):
            return f"above {above}"
        if math.isinf(self.above):
            return f"below {below}" if self.below else ""
        return f"within ±{below}" if self.below == -self.above else f"from {above} to {below}"


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes:
        text: The claim.
        verdict: :data:`HOLDS`, :data:`NOT`, :data:`UNDECIDED` or :data:`NOT_JUDGED`.
        evidence: The comparisons, in print.
        source: Where the paper, or whoever makes it, says it.
        experiment: Entry of the configuration that it was judged by.
        images: Number of images that it was judged by.
        remark: What the verdict needs to be understood; may be empty.
        numbers: The evidence, a comparison each.
        basis: What it rests on: the kind of the intervals and the seeds.
    """

    text: str
    verdict: str
    evidence: str
    source: str
    experiment: str
    images: int
    remark: str = ""
    numbers: tuple[str, ...] = ()
    basis: str = ""

    @property
    def printed(self) -> str:
        """The verdict with its remark after a colon."""
        return f"{self.verdict}: {self.remark}" if self.remark else self.verdict


def judge(results: Results, claim: Claim) -> Judged:
    """Judge a claim by the results of its experiment."""
    check = kinds.find("check", claim.check)
    comparisons = check.function()(results, claim)
    found, numbers, basis = verdict(comparisons), tuple(map(str, comparisons)), []
    evidence = "; ".join(numbers)
    if check.one_image:
        return Judged(claim.text, found, evidence, claim.source, claim.experiment, 1, OF_ONE_IMAGE, numbers)
    images, remark = results.records["image"].nunique(), ""
    if images < FEWEST:
        found, remark = NOT_JUDGED, f"{images} image{'s' * (images > 1)}, {FEWEST} are needed"
    if images > 1:
        basis.append(f"In brackets: {described(images)}")
    seeds = ", ".join(map(str, results.experiment.seeds))
    basis.append(f"Seed{'s' * (len(results.experiment.seeds) > 1)} {seeds}")
    evidence, rests_on = ". ".join([evidence, *basis]), ". ".join(basis)
    return Judged(claim.text, found, evidence, claim.source, claim.experiment, images, remark, numbers, rests_on)


def verdict(comparisons: list[Comparison]) -> str:
    """The verdict on a claim that says all of these."""
    if all(comparison.holds for comparison in comparisons):
        return HOLDS
    return NOT if any(comparison.fails for comparison in comparisons) else UNDECIDED
