"""An experiment's results, as figures, tables and checks get them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sgaplus import records
from sgaplus.analysis import anchors
from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.published import Published
from sgaplus.analysis.selection import with_quality
from sgaplus.qualities import QUALITIES


@dataclass(frozen=True)
class Results:
    """Records of an experiment, with the names, colours and published numbers that they are shown with.

    Attributes:
        experiment: The experiment.
        methods: The configuration's entries of its methods.
        records: Rows of its refinements, with the columns of ``records.FIELDS``; empty where nothing is refined.
        published: Published numbers to stand beside its own.
        coded: Rows of classical codecs, with the columns of ``records.CODED``; empty where none is asked for.
        decoded: Rows of decoded bitstreams, with the columns of ``records.DECODED``; empty where none is asked for.
    """

    experiment: Experiment
    methods: Mapping[str, Mapping[str, Any]]
    records: pd.DataFrame
    published: Published = field(default_factory=Published.none)
    coded: pd.DataFrame = field(default_factory=pd.DataFrame)
    decoded: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def labels(self) -> dict[str, str]:
        """Name of each method in print."""
        return {name: method["label"] for name, method in self.methods.items()}

    @property
    def models(self) -> dict[str, str]:
        """Name of each model in print: its lambda; with its key, where another one has the same lambda."""
        pairs = self.records[["model", "model_lmbda"]].drop_duplicates()
        lmbdas = dict(zip(pairs["model"], pairs["model_lmbda"], strict=True))
        shared = len(set(lmbdas.values())) < len(lmbdas)
        return {model: f"λ = {lmbda:g}" + f" ({model})" * shared for model, lmbda in lmbdas.items()}

    @property
    def of_quality(self) -> pd.DataFrame:
        """The records that have the experiment's quality, with its column: see ``selection.with_quality``."""
        return with_quality(self.records, self.decoded, self.experiment.quality)

    @property
    def quality(self) -> tuple[str, str]:
        """The column with the experiment's quality, in dB, and its name in print."""
        quality = QUALITIES[self.experiment.quality]
        return quality.column, quality.label


def beside(
    published: Iterable[str | Path], coded: Iterable[str | Path] = (), decoded: Iterable[str | Path] = ()
) -> dict[str, Any]:
    """The arguments of :class:`Results` that are not the experiment's own, from the files that hold them."""
    return {
        "published": Published.read(*published),
        "coded": records.read(coded, records.CODED_SCHEMA),
        "decoded": records.read(decoded, records.DECODED_SCHEMA),
    }


# no property of the class: the version of a kind that has no anchors would change with the code of curves
def anchors_of(results: Results) -> dict[str, np.ndarray]:
    """The curves that an experiment is compared with, by their names in print: see ``anchors.curves``."""
    of = results.experiment
    return anchors.curves(of.anchors, of.dataset, results.published, results.coded, of.quality)
