"""An experiment and a claim of the configuration as objects. A default that an entry need not say stands here, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A selection of refinements, and how a figure or a table shows them.

    Attributes:
        title: Heading in the report.
        methods: Methods in the order of the legend or the rows.
        figure, table: Kind of each, None for none.
        dataset: Data set whose images are refined; None where nothing is refined.
        models: Models whose latents are refined.
        targets: Target lambdas of every model; None for each model's own.
        sweep: Values of each swept parameter.
        steps: Step counts to report.
        seeds: Seeds of the random streams.
        record_every: Steps between measurements of its refinements; None for as many as those of all refinements.
        panels: Quantities over steps, a panel each.
        differences: Methods whose difference from the best is shown.
        against: Method that the others are compared with, beside the base model.
        anchors: Classical and published codecs that it is compared with; None for what is published for the data set.
        bitrate: ``estimated``, by the entropy model, or ``actual``, of the real bitstream.
        quality: ``psnr``, or another of ``qualities.QUALITIES`` of what the bitstreams decode to.
        prune: Points further below the base models' curve are left out, in dB; None for none.
        cover: Number of models that are to cover the curve.
        image: Image that is shown.
        r, n: Factor and power of the three-class rounding whose probabilities are drawn.
        enlarge: Left, top, width and height of each of its parts that is enlarged, in pixels; () for the centre.
    """

    title: str
    methods: tuple[str, ...]
    figure: str | None = None
    table: str | None = None
    dataset: str | None = None
    models: tuple[str, ...] = ()
    targets: tuple[float, ...] | None = None
    sweep: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    steps: tuple[int, ...] = ()
    seeds: tuple[int, ...]
    record_every: int | None = None
    panels: tuple[str, ...] = ("true_loss", "difference", "psnr", "bpp", "from_base", "from_best")
    differences: tuple[str, ...] = ()
    against: str | None = None
    anchors: tuple[str, ...] | None = None
    bitrate: str = "estimated"
    quality: str = "psnr"
    prune: float | None = None
    cover: int = 3
    image: str | None = None
    r: float = 0.8
    n: float = 2.0
    enlarge: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Experiment:
        """An entry of the configuration, its defaults filled in by the schema."""
        return cls(**{key: _frozen(value) for key, value in entry.items()})

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of its figure and its table, by ``figure`` and ``table``; it may have but one of the two."""
        kinds = {"figure": self.figure, "table": self.table}
        return {family: kind for family, kind in kinds.items() if kind is not None}

    @property
    def last_step(self) -> int:
        """The largest of its step counts."""
        return max(self.steps)

    @property
    def first_step(self) -> int:
        """The smallest of its step counts."""
        return min(self.steps)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim about an experiment's results.

    Attributes:
        text: The claim in words.
        source: Where the paper, or who else, makes it.
        check: Kind of check that judges it.
        experiment: Experiment whose records are judged.
        method, methods: Method, or methods, that the claim is about.
        than: Methods that it is compared with.
        values: Values of the experiment's sweep.
        within: Largest difference, as a share of the loss or of the bits.
        decibels: Largest difference in dB.
        at_most: BD-rate that must be reached, in %.
        at_least: Share of the gain that must be reached.
        factor: Ratio of losses that must be exceeded.
        published: Published codecs that it compares with.
        steps: Step count; None for the experiment's largest.
    """

    text: str
    source: str
    check: str
    experiment: str
    method: str = ""
    methods: tuple[str, ...] = ()
    than: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    within: float = float("nan")
    decibels: float = float("nan")
    at_most: float = 0.0
    at_least: float = float("nan")
    factor: float = float("nan")
    published: tuple[str, ...] = ()
    steps: int | None = None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Claim:
        """An entry of the configuration."""
        return cls(**{key: _frozen(value) for key, value in entry.items()})

    def step(self, experiment: Experiment) -> int:
        """The step count that it is about."""
        return experiment.last_step if self.steps is None else self.steps


def _frozen(value: Any) -> Any:
    """Lists as tuples, also those in a mapping or in another list."""
    if isinstance(value, Mapping):
        return {key: _frozen(each) for key, each in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
