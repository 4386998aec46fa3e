"""The refinements that a configuration's experiments ask for, and how they are cut into jobs.

Nothing here imports torch or pandas, because every job reads the configuration.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sgaplus.analysis.experiment import Experiment
from sgaplus.artifacts import kinds
from sgaplus.config import schema
from sgaplus.errors import ConfigError, did_you_mean
from sgaplus.refinement import rounding_source
from sgaplus.refinement.task import Refinement

SWEEPABLE = ("tau_max", "cooling", "lr")
"""Settings of a method, beside its rounding's own parameters, that an experiment may sweep."""

PRESENTATION = ("label", "color", "marker", "settings", "searched")
"""Settings of a method that no refinement depends on: how it is shown, and what its parameters were chosen from."""


def trained_here(model: Mapping[str, Any]) -> bool:
    """Whether a model's entry asks for a training: ``path`` and ``url`` go before the keys of one."""
    return not {"path", "url"} & model.keys()


def refinements(config: Mapping[str, Any], experiment: str | None = None) -> dict[tuple[str, ...], Refinement]:
    """The refinements of one experiment, or the union of all, by key.

    Step counts and record steps are those of the union in both cases, because a shared refinement
    is one job.
    """
    union: dict[tuple[str, ...], Refinement] = {}
    selected: set[tuple[str, ...]] = set()
    for name, entry in config["experiments"].items():
        for wanted in _selection(config, Experiment.of(entry), f"experiments.{name}"):
            known = union.setdefault(wanted.key, wanted)
            if (known.settings, known.target) != (wanted.settings, wanted.target):
                raise ConfigError(
                    f"experiments.{name}: two different refinements are both written {'/'.join(wanted.key)!r} "
                    "in file names. Round the values of the sweep or of the targets, or rename the method."
                )
            known.steps = max(known.steps, wanted.steps)
            known.record |= wanted.record
            if name == experiment:
                selected.add(wanted.key)
    return union if experiment is None else {key: union[key] for key in union if key in selected}


def _selection(config: Mapping[str, Any], experiment: Experiment, where: str) -> Iterator[Refinement]:
    if experiment.dataset is None:
        return
    longest = max(config["methods"][method]["steps"] for method in experiment.methods)
    if experiment.last_step > longest:
        raise ConfigError(
            f"{where}.steps: asks for {experiment.last_step}, but none of its methods has more than {longest}. "
            f"Ask for at most that many, or raise methods.{experiment.methods[0]}.steps."
        )
    for model, method, seed in itertools.product(experiment.models, experiment.methods, experiment.seeds):
        targets = experiment.targets or [config["models"][model]["lmbda"]]
        for target, (variant, settings) in itertools.product(targets, _variants(config, experiment, method, where)):
            counts = _counts(experiment, method, settings["steps"], where)
            yield Refinement(
                experiment.dataset,
                model,
                float(target),
                method,
                variant,
                seed,
                {key: value for key, value in settings.items() if key not in PRESENTATION},
                max(counts),
                counts | _recorded(experiment, max(counts)),
            )


def _recorded(experiment: Experiment, steps: int) -> set[int]:
    """The steps that an experiment has measured beside those that all refinements have, up to ``steps``."""
    return set(range(0, steps + 1, experiment.record_every)) if experiment.record_every else set()


def _counts(experiment: Experiment, method: str, own: int, where: str) -> set[int]:
    """The step counts of an experiment that a method has, whose schedules end after its own steps."""
    counts = {count for count in experiment.steps if count <= own}
    asked = experiment.last_step if method == experiment.against or at_last_step(experiment) else experiment.first_step
    if asked not in counts:
        raise ConfigError(
            f"{where}.steps: asks for {asked}, but methods.{method}.steps is {own}. Ask for at most that many."
        )
    return counts


def at_last_step(experiment: Experiment) -> bool:
    """Whether each of an experiment's methods is shown after the largest step count, and so must run that long."""
    return any(kinds.find(family, name).at_last_step for family, name in experiment.kinds.items())


def _variants(
    config: Mapping[str, Any], experiment: Experiment, method: str, where: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The method itself, or one variant per combination of the sweep's values."""
    own = config["methods"][method]
    if experiment.sweep:  # to look up the parameters of a rounding is slow, and most experiments sweep none
        takes = (*SWEEPABLE, *rounding_source.parameters(own["rounding"]))
        for parameter in experiment.sweep:
            if parameter not in takes:
                raise ConfigError(
                    f"{where}.sweep: methods.{method} has no {parameter!r} to sweep.{did_you_mean(parameter, takes)}"
                )
    for values in itertools.product(*experiment.sweep.values()):
        variant, settings = method, copy.deepcopy(own)
        for parameter, value in zip(experiment.sweep, values, strict=True):
            group = settings if parameter in SWEEPABLE else settings["parameters"]
            if group.get(parameter) != value:
                group[parameter] = value
                variant += f"_{parameter}{value:g}"
        if experiment.sweep:
            schema.check(settings, schema.load()["properties"]["methods"]["additionalProperties"], f"{where}.sweep")
        yield variant, settings


def short_name(experiment: str) -> str:
    """The name of an experiment as a target: ``fig2`` for ``fig2_true_loss``; other names as they are."""
    numbered = re.match(r"((?:fig|table)\d+)_", experiment)
    return numbered[1] if numbered else experiment


def chunks(count: int, images_per_job: int) -> int:
    """Number of jobs that ``count`` images make."""
    return -(-count // images_per_job)


Part = tuple[str, str, str]
"""Identity of a job's share of the refinements in file names: dataset, model, number of the part from 0."""


def parts(config: Mapping[str, Any]) -> dict[Part, list[tuple[str, ...]]]:
    """The keys of the refinements that each job does, one after another, on a chunk of images.

    Those of one data set and model, up to ``refinement.refinements_per_job`` of them: they read the
    same images under the same codec, and a job takes seconds to start.
    """
    size = config["refinement"]["refinements_per_job"]
    groups: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for key, refinement in refinements(config).items():
        groups.setdefault((refinement.dataset, refinement.model), []).append(key)
    return {
        (*group, str(start // size)): keys[start : start + size]
        for group, keys in groups.items()
        for start in range(0, len(keys), size)
    }
