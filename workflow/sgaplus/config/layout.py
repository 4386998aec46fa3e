"""The places of a run's files, and the patterns that Snakemake finds them by."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""A pattern of the names of data sets, models and experiments, none of which spans folders."""

REFINEMENT_JOB = "{dataset}/{model}/part{part}_chunk{chunk}"
"""A refinement job's place among those of its run: a part of the refinements, of a chunk of the images."""


CODEC_JOB = "{dataset}/{codec}/chunk{chunk}"
"""The place of a job that measures a classical codec: of a chunk of a data set's images."""


def one_of(names: Iterable[str]) -> str:
    """A pattern of exactly these names; without any, of nothing."""
    return "|".join(re.escape(name) for name in sorted(names)) or "none^"


@dataclass(frozen=True)
class Layout:
    """The paths of a run's files, from the folder that Snakemake runs in.

    A rule leaves its wildcards in, ``layout.model("{model}")``, or names one file, ``layout.model("low")``.

    Attributes:
        run: The run's name.
        made: Folder of the results of another run, if its records are drawn instead of own ones.
    """

    run: str
    made: str | None = None

    @property
    def folder(self) -> str:
        """The folder of everything below."""
        return f"results/{self.run}"

    @property
    def measured(self) -> str:
        """The folder of all records that are drawn and judged."""
        return self.made or self.folder

    @property
    def datasets(self) -> str:
        """The table of all data sets."""
        return f"{self.folder}/datasets.csv"

    def index(self, dataset: str) -> str:
        """The index of a data set's images."""
        return f"{self.folder}/datasets/{dataset}.csv"

    @property
    def models(self) -> str:
        """The folder of models, each in a folder of its name."""
        return f"{self.folder}/models"

    def model(self, model: str) -> str:
        """A model's weights."""
        return f"{self.models}/{model}/model.pth"

    def metrics(self, model: str) -> str:
        """The losses of a model's training over its steps."""
        return f"{self.models}/{model}/training.csv"

    def card(self, model: str) -> str:
        """A description of a model's training."""
        return f"{self.models}/{model}/model.json"

    def bundle(self, file: str) -> str:
        """A file of the models to give away."""
        return f"{self.folder}/bundle/{file}"

    def refined(self, job: str, suffix: str) -> str:
        """The records (``parquet``) or bitstreams (``zip``) of a refinement job, named as :data:`REFINEMENT_JOB`."""
        return f"{self.folder}/refinements/{job}.{suffix}"

    def decoded(self, job: str) -> str:
        """The records of a refinement job's decoded bitstreams, named as :data:`REFINEMENT_JOB`."""
        return f"{self.measured}/decoded/{job}.parquet"

    def coded(self, job: str) -> str:
        """The records of a classical codec on a chunk of images, named as :data:`CODEC_JOB`."""
        return f"{self.measured}/codecs/{job}.parquet"

    @property
    def selftest(self) -> str:
        """The comparison of the GPU with the CPU."""
        return f"{self.folder}/selftest.txt"

    @property
    def kept(self) -> str:
        """The folder of single images' results, by all that decides them."""
        return f"{self.folder}/refinements/kept"

    def records(self, experiment: str) -> str:
        """The records that an experiment selects."""
        return f"{self.measured}/records/{experiment}.parquet"

    def figure(self, name: str, suffix: str) -> str:
        """A figure, named as its experiment: ``pdf`` or ``png``."""
        return f"{self.folder}/figures/{name}.{suffix}"

    def table(self, name: str, suffix: str) -> str:
        """A table, named as its experiment: ``csv``, ``md``, ``html`` or ``tex``."""
        return f"{self.folder}/tables/{name}.{suffix}"

    def claims(self, suffix: str) -> str:
        """The verdicts on the paper's claims: ``csv``, ``md``, ``html`` or ``tex``."""
        return f"{self.folder}/claims.{suffix}"

    @property
    def comparison(self) -> str:
        """Pictures to compare, as one page."""
        return f"{self.folder}/compare.html"

    @property
    def config(self) -> str:
        """The configuration that was run, with all defaults."""
        return f"{self.folder}/config.yaml"

    def provenance(self, suffix: str) -> str:
        """The provenance of the run: ``json`` or ``html``."""
        return f"{self.folder}/provenance.{suffix}"

    @property
    def report(self) -> str:
        """Everything that is shown, as one page."""
        return f"{self.folder}/report.html"

    def log(self, job: str, suffix: str = "log") -> str:
        """The output of a job, or a file with another suffix for its error; jobs are named after their rule."""
        return f"{self.folder}/logs/{job}.{suffix}"

    @property
    def benchmarks(self) -> str:
        """The folder of the costs of jobs."""
        return f"{self.folder}/benchmarks"

    def benchmark(self, job: str) -> str:
        """The costs of a job."""
        return f"{self.benchmarks}/{job}.tsv"
