"""The files that a run makes, and those of them that an experiment needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from sgaplus.artifacts import kinds
from sgaplus.codec.classical_codecs import CODECS
from sgaplus.config import plan
from sgaplus.config.layout import CODEC_JOB, REFINEMENT_JOB, Layout
from sgaplus.data.datasets import Sources, count
from sgaplus.errors import ImageError
from sgaplus.qualities import DISTANCES
from sgaplus.refinement.task import Refinement

OF_A_TABLE = ("csv", "md", "html", "tex")
OF_A_FIGURE = ("pdf", "png")


class RunFiles:
    """The files of a run as a checked configuration asks for them, with the sources of its data sets.

    Attributes:
        config: The configuration.
        layout: Where the files are.
        refinements: All refinements, by key.
        parts: The keys of the refinements that each job does, by data set, model and number of the part.

    Raises:
        ConfigError: refinements that do not fit together.
    """

    def __init__(self, config: Mapping[str, Any], sources: Sources) -> None:
        self.config = config
        self.layout = Layout(config["run"], config.get("records"))
        self.refinements = plan.refinements(config)
        self.parts = plan.parts(config)
        self._sources = sources

    def chunks(self, dataset: str, section: str = "refinement") -> int:
        """The number of chunks that a data set is cut into by the jobs of a section of the configuration.

        Raises:
            ImageError: the number of its images is not known: an error of what needs it, and of nothing else.
        """
        try:
            images = count(self._sources, dataset)
        except ImageError as error:
            place = f"datasets.{dataset}: "
            raise ImageError(place + str(error).removeprefix(place)) from error
        return plan.chunks(images, self.config[section]["images_per_job"])

    def refinements_of(self, dataset: str, model: str, part: str) -> list[Refinement]:
        """The refinements that a job does."""
        return [self.refinements[key] for key in self.parts[dataset, model, part]]

    @cached_property
    def selected(self) -> dict[str, list[tuple[str, ...]]]:
        """The keys of the refinements that each experiment selects."""
        return {name: list(plan.refinements(self.config, name)) for name in self.config["experiments"]}

    def records(self, experiment: str | None = None) -> list[str]:
        """The record files of the jobs that do an experiment's refinements; without one, those of all jobs.

        Where another run has made the records, the file of the experiment, or those of all.
        """
        if not self.layout.made:
            return self._of_jobs(experiment, "parquet")
        names = [experiment] if experiment else [name for name, keys in self.selected.items() if keys]
        return [self.layout.records(name) for name in names]

    def streams(self, experiment: str) -> list[str]:
        """The bitstreams of the jobs that do an experiment's refinements."""
        return self._of_jobs(experiment, "zip")

    def decoded(self, *experiments: str) -> list[str]:
        """The records of decoded bitstreams that experiments need, each once.

        A quality that is measured on them alone needs all of an experiment's; the base model's seconds need one job per
        model and chunk of images.
        """
        jobs = (job for name in experiments for job in self._decoding(name))
        return [self.layout.decoded(job) for job in dict.fromkeys(jobs)]

    def to_decode(self, dataset: str, model: str, part: str) -> list[Refinement]:
        """The refinements of a job whose bitstreams some experiment needs decoded."""
        wanted = {key for name in self.selected if self._is_of_decoded(name) for key in self.selected[name]}
        return [one for one in self.refinements_of(dataset, model, part) if one.key in wanted]

    def _decoding(self, experiment: str) -> list[str]:
        if self._is_of_decoded(experiment):
            return self._jobs(experiment)
        table = self.config["experiments"][experiment].get("table")
        if table and kinds.find("table", table).times_base:
            first = {(dataset, model): part for dataset, model, part in reversed(self._parts(experiment))}
            return self._jobs_of((*key, part) for key, part in reversed(first.items()))
        return []

    def _is_of_decoded(self, experiment: str) -> bool:
        return self._quality(experiment) != "psnr"

    def _quality(self, experiment: str) -> str:
        return str(self.config["experiments"][experiment].get("quality", "psnr"))

    def distances_of_job(self, dataset: str, model: str, part: str) -> list[str]:
        """The distances by which some experiment needs what a job's bitstreams decode to."""
        done = self.parts[dataset, model, part]
        return self._distances(name for name, keys in self.selected.items() if not set(keys).isdisjoint(done))

    def distances_of_codec(self, dataset: str, codec: str) -> list[str]:
        """The distances by which some experiment needs a classical codec on a data set."""
        entries = self.config["experiments"]
        return self._distances(
            name
            for name, entry in entries.items()
            if entry.get("dataset") == dataset and codec in entry.get("anchors", ())
        )

    def _distances(self, experiments: Iterable[str]) -> list[str]:
        asked = {self._quality(name) for name in experiments}
        return [name for name in DISTANCES if name in asked]

    def coded(self, *experiments: str) -> list[str]:
        """The record files of the classical codecs that experiments are compared with."""
        entries = [self.config["experiments"][name] for name in experiments]
        return self.coded_with((entry["dataset"], name) for entry in entries for name in entry.get("anchors", ()))

    def coded_with(self, anchors: Iterable[tuple[str, str]]) -> list[str]:
        """The record files of classical codecs among anchors, each with a data set; once where named twice."""
        return [
            self.layout.coded(CODEC_JOB.format(dataset=dataset, codec=codec, chunk=chunk))
            for dataset, codec in dict.fromkeys(anchors)
            if codec in CODECS
            for chunk in range(self.chunks(dataset, "codecs"))
        ]

    def _of_jobs(self, experiment: str | None, suffix: str) -> list[str]:
        return [self.layout.refined(job, suffix) for job in self._jobs(experiment)]

    def _jobs(self, experiment: str | None) -> list[str]:
        """The jobs that do an experiment's refinements, named as :data:`REFINEMENT_JOB`; without one, all."""
        return self._jobs_of(self._parts(experiment))

    def _parts(self, experiment: str | None) -> list[tuple[str, str, str]]:
        """The data set, model and part of those jobs, which are cut by chunks of images, too."""
        selected = self.refinements.keys() if experiment is None else set(self.selected[experiment])
        return [part for part, keys in self.parts.items() if not selected.isdisjoint(keys)]

    def _jobs_of(self, parts: Iterable[tuple[str, str, str]]) -> list[str]:
        return [
            REFINEMENT_JOB.format(dataset=dataset, model=model, part=part, chunk=chunk)
            for dataset, model, part in parts
            for chunk in range(self.chunks(dataset))
        ]

    @property
    def with_table(self) -> list[str]:
        """The experiments that have a table."""
        return [name for name, entry in self.config["experiments"].items() if "table" in entry]

    @property
    def with_figure(self) -> list[str]:
        """The experiments that have a figure; of another run's records, those whose figure needs nothing else."""
        named = [name for name, entry in self.config["experiments"].items() if "figure" in entry]
        return [name for name in named if not (self.layout.made and self._has_pictures(name))]

    @property
    def with_pictures(self) -> list[str]:
        """The experiments whose figure shows pictures, which it decodes from bitstreams."""
        return [name for name in self.with_figure if self._has_pictures(name)]

    def _has_pictures(self, name: str) -> bool:
        return kinds.find("figure", self.config["experiments"][name]["figure"]).bitstreams

    @property
    def judged(self) -> list[str]:
        """The experiments that claims are about."""
        return sorted({claim["experiment"] for claim in self.config["claims"].values()})

    @property
    def refined_under(self) -> list[str]:
        """The models that something is refined under."""
        return sorted({refinement.model for refinement in self.refinements.values()})

    @property
    def trained(self) -> list[str]:
        """Those of them that are trained here."""
        models = self.config["models"]
        return [name for name in models if name in self.refined_under and plan.trained_here(models[name])]

    @property
    def tables(self) -> list[str]:
        """The tables of all experiments."""
        return self._tables(self.with_table)

    @property
    def figures(self) -> list[str]:
        """The figures of all experiments."""
        return self._figures(self.with_figure)

    @property
    def training_curves(self) -> list[str]:
        """The figure of all trainings, if there are any here."""
        return self._figures(["training"]) if self.trained and not self.layout.made else []

    @property
    def costs(self) -> list[str]:
        """The table of what the run cost, unless another run has made its records."""
        return self._tables(["run_cost"]) if not self.layout.made else []

    @property
    def claims(self) -> list[str]:
        """The verdicts on claims, if there are any."""
        return [self.layout.claims(suffix) for suffix in OF_A_TABLE] if self.judged else []

    @property
    def comparison(self) -> list[str]:
        """The page of pictures to compare, if there is one, and unless another run has made the records."""
        return [self.layout.comparison] if self.config.get("comparison") and not self.layout.made else []

    @property
    def artifacts(self) -> list[str]:
        """Everything that is shown."""
        shown = [*self.tables, *self.figures, *self.training_curves, *self.comparison]
        return [*shown, *self.claims, *self.costs]

    def of_experiment(self, experiment: str) -> list[str]:
        """The figure and the table of an experiment."""
        figures = self._figures([experiment]) if experiment in self.with_figure else []
        tables = self._tables([experiment]) if experiment in self.with_table else []
        return figures + tables

    def shown(self, experiment: str) -> list[str]:
        """The file that shows an experiment on a page, if there is one: its figure or, if it has none, its table."""
        if experiment in self.with_figure:
            return [self.layout.figure(experiment, "png")]
        return [self.layout.table(experiment, "html")] if experiment in self.with_table else []

    def _tables(self, names: Iterable[str]) -> list[str]:
        return [self.layout.table(name, suffix) for name in names for suffix in OF_A_TABLE]

    def _figures(self, names: Iterable[str]) -> list[str]:
        return [self.layout.figure(name, suffix) for name in names for suffix in OF_A_FIGURE]


def described(refinement: Refinement, own: float) -> str:
    """A refinement in a job's message: its target is told unless it is the model's own lambda, its seed unless 0."""
    text = refinement.variant
    if refinement.target != own:
        text += f" toward {refinement.target:g}"
    if refinement.seed != 0:
        text += f" with seed {refinement.seed}"
    return text
