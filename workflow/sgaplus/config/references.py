"""The configuration checked as a whole: its names refer to entries, and every entry is complete."""

from __future__ import annotations

import copy
import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from sgaplus.analysis.experiment import Claim, Experiment
from sgaplus.artifacts import kinds
from sgaplus.codec.classical_codecs import CODECS
from sgaplus.config import colours, plan, schema
from sgaplus.config.plan import trained_here
from sgaplus.data import manifest, sources
from sgaplus.errors import ConfigError, did_you_mean
from sgaplus.paths import shipped
from sgaplus.qualities import QUALITIES
from sgaplus.refinement import rounding_source

NAMED = ("datasets", "models", "methods", "experiments", "claims")
"""Sections of entries with names, of which a run need not have every one."""

ABOUT = {"title", "figure", "table", "seeds"}
"""Keys that any experiment may have."""

SAYING = {"text", "source", "check", "experiment"}
"""Keys that every claim has."""


def validated(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the configuration, checked, with defaults filled in.

    Raises:
        ConfigError: one line that names the key, what is wrong and what would be right.
    """
    checked = _without_nulls(copy.deepcopy(dict(config)))
    schema.check(checked, schema.load())
    _check_references(checked)
    for method in checked["methods"].values():
        if method.get("settings") == "searched":
            method["parameters"] = method["parameters"] | method["searched"]
    plan.refinements(checked)  # raises where a sweep or a step count does not fit
    for name in checked["experiments"]:
        _check_bitstreams(checked, name)
    return checked


def _without_nulls(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the entries that a file laid over another replaced by null.

    The comparison goes with its experiment.
    """
    named = {section: entries for section, entries in config.items() if section in NAMED and isinstance(entries, dict)}
    left: dict[str, Any] = {
        section: {name: entry for name, entry in entries.items() if entry is not None}
        for section, entries in named.items()
    }
    match config:
        case {"comparison": {"experiment": str(shown)}, "experiments": dict(given)} if given.get(shown, 0) is None:
            left["comparison"] = None
    return config | left


def with_nulls(checked: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A checked configuration as a file to lay over the same one again: with null for what was left out of it.

    Args:
        checked: What :func:`validated` made of ``given``.
        given: The configuration as Snakemake read it.
    """
    left_out = {
        section: {name: None for name, entry in given.get(section, {}).items() if entry is None} for section in NAMED
    }
    return {**checked, **{section: checked[section] | names for section, names in left_out.items()}}


def _check_references(config: Mapping[str, Any]) -> None:
    """Every name that refers to another entry exists, and every experiment is complete."""
    for name, dataset in config["datasets"].items():
        _check_source(dataset, f"datasets.{name}")
        for part in dataset.get("parts", []):
            _known(part, config["datasets"], f"datasets.{name}.parts")
        _check_no_part_of_itself(config["datasets"], name)
    for name, model in config["models"].items():
        _known(model.get("dataset"), config["datasets"], f"models.{name}.dataset")
        _known(model.get("start_from"), config["models"], f"models.{name}.start_from")
        if model.get("centre") == "zero" and trained_here(model):
            raise ConfigError(
                f"models.{name}.centre: zero is for a model of `path` or `url`, and this one is trained here, with its "
                "medians. Leave it out."
            )
        _check_no_cycle(config["models"], name)
        _check_widths(config["models"], name)
        _check_batch(config, name)
    _known(config["training"].get("evaluate_on"), config["datasets"], "training.evaluate_on")
    for name in config["bundle"]:
        _known(name, config["models"], "bundle")
    if config["bundle"] and "evaluate_on" not in config["training"]:
        raise ConfigError("bundle: needs training.evaluate_on, the data set that the models are measured on.")
    for name, method in config["methods"].items():
        _check_rounding(method, f"methods.{name}")
        if not colours.is_known(method["color"]):
            raise ConfigError(
                f'methods.{name}.color: Matplotlib has no colour {method["color"]!r}. Write "#D55E00", say.'
            )
    for name, entry in config["experiments"].items():
        where = f"experiments.{name}"
        _known(entry.get("dataset"), config["datasets"], f"{where}.dataset")
        for section in ("models", "methods"):
            for item in entry.get(section, []):
                _known(item, config[section], f"{where}.{section}")
        _check_experiment(config, name)
    for name in config["claims"]:
        _check_claim(config, name)
    if config["comparison"]:
        _check_comparison(config)


def _known(name: str | None, entries: Iterable[str], where: str) -> None:
    if name is not None and name not in entries:
        raise ConfigError(f"{where}: no entry {name!r}.{did_you_mean(name, entries)}")


def _check_source(dataset: Mapping[str, Any], where: str) -> None:
    """A data set names one source; the manifest has the data set and the splits that it names."""
    kinds = [key for key in sources.KINDS if key in dataset]
    if len(kinds) > 1 and kinds not in (["path", "manifest"], ["path", "parts"]):
        raise ConfigError(f"{where}: has {' and '.join(kinds)}, which name different images. Keep one of them.")
    if "manifest" in dataset:
        rows = manifest.read()
        _known(dataset["manifest"], {row.dataset for row in rows}, f"{where}.manifest")
        for split in dataset.get("splits", []):
            known = {row.split for row in manifest.select(rows, dataset["manifest"])}
            _known(split, known, f"{where}.splits")
    if "archive" in dataset and all(row.urls for row in manifest.select(rows, dataset["manifest"])):
        raise ConfigError(
            f"{where}.archive: {dataset['manifest']} can be downloaded. Leave it out, or name the images by `path`."
        )


def _check_no_part_of_itself(datasets: Mapping[str, Any], name: str, chain: tuple[str, ...] = ()) -> None:
    if name in chain:
        raise ConfigError(f"datasets.{chain[0]}.parts: {' -> '.join([*chain, name])} is a circle.")
    for part in datasets.get(name, {}).get("parts", []):
        _check_no_part_of_itself(datasets, part, (*chain, name))


def _check_no_cycle(models: Mapping[str, Any], name: str) -> None:
    seen, current = [name], models[name].get("start_from")
    while current is not None:
        if current in seen:
            raise ConfigError(f"models.{name}.start_from: {' -> '.join([*seen, current])} is a circle.")
        seen.append(current)
        current = models.get(current, {}).get("start_from")


def _check_widths(models: Mapping[str, Any], name: str) -> None:
    model, start = models[name], models.get(models[name].get("start_from"), {})
    for width in ("N", "M"):
        if trained_here(model) and trained_here(start) and start.get(width, 0) > model.get(width, 0):
            raise ConfigError(
                f"models.{name}.start_from: {model['start_from']} has {width} = {start[width]} and this model only "
                f"{width} = {model[width]}. Make it as wide."
            )


def _check_batch(config: Mapping[str, Any], name: str) -> None:
    """The crops of a training's step are so many of each image."""
    batch, part = ({**config["training"], **config["models"][name]}[key] for key in ("batch_size", "crops_per_image"))
    if trained_here(config["models"][name]) and batch % part:
        raise ConfigError(
            f"training.crops_per_image: {part} does not divide the batch_size {batch} of models.{name}. "
            "Choose one that does."
        )


def _check_rounding(method: Mapping[str, Any], where: str) -> None:
    try:
        takes = rounding_source.parameters(method["rounding"])
    except ConfigError as error:
        raise ConfigError(f"{where}.rounding: {error}") from None
    for key in ("parameters", "searched"):
        for parameter in method.get(key, {}):
            _known(parameter, takes, f"{where}.{key}")


def _check_experiment(config: Mapping[str, Any], name: str) -> None:
    """An experiment has the keys that its figure and table need, as many values as they need, and no useless key."""
    entry, where = config["experiments"][name], f"experiments.{name}"
    shown = [kinds.find(family, entry[family]) for family in ("figure", "table") if family in entry]
    title = " and ".join(kind.name for kind in shown)
    needed = ["methods"]
    if any(kind.refines for kind in shown):
        needed += ["dataset", "models", "steps", *(key for kind in shown for key in kind.needs)]
    _check_keys(entry, needed, {key for kind in shown for key in kind.takes} | ABOUT, title, where)
    experiment = Experiment.of(entry)
    for kind in shown:
        for key, demand, number in kind.misfits(experiment):
            raise ConfigError(f"{where}.{key}: {kind.name} needs {demand}, and has {number}.")
    crop = config["datasets"].get(experiment.dataset, {}).get("crop", [])
    side = QUALITIES[experiment.quality].smallest_side
    if crop and min(crop) < side:
        raise ConfigError(
            f"{where}.quality: {experiment.quality} needs pictures of {side} pixels a side, and "
            f"datasets.{experiment.dataset}.crop is {crop}. Name another data set, or leave it out."
        )
    for anchor in experiment.anchors or ():
        _check_anchor(anchor, experiment, f"{where}.anchors")
    for key, methods in (("against", [experiment.against]), ("differences", experiment.differences)):
        for method in methods:
            _known(method, experiment.methods, f"{where}.{key}")


def _check_anchor(name: str, experiment: Experiment, where: str) -> None:
    """An anchor is a classical codec, or published for the experiment's data set."""
    published = [codec for dataset, codec in published_points() if dataset == experiment.dataset]
    if name in published and experiment.quality != "psnr":
        raise ConfigError(f"{where}: {name} is published with its PSNR alone. Leave it out, or quality.")
    if name not in CODECS and name not in published:
        raise ConfigError(
            f"{where}: {name!r} is no classical codec, and none of the codecs that config/published_rd.csv has for a "
            f"data set {experiment.dataset!r}.{did_you_mean(name, [*CODECS, *published])}"
        )


def _check_keys(entry: Mapping[str, Any], needed: Iterable[str], taken: set[str], title: str, where: str) -> None:
    """An entry has all keys that are needed, and none that would change nothing."""
    for key in needed:
        if key not in entry:
            raise ConfigError(f"{where}: needs {key} for {title}.")
    if "dataset" in needed:
        taken = taken | {"targets"}
    for key in entry:
        if key not in {*needed, *taken}:
            raise ConfigError(f"{where}: {key} means nothing to {title}; leave it out.")


def _check_bitstreams(config: Mapping[str, Any], name: str) -> None:
    """Real bitstreams are there for every step count at which an experiment shows their rate or what they decode to."""
    experiment = Experiment.of(config["experiments"][name])
    for key, value, instead in (
        ("bitrate", "actual", "estimated"),
        *(("quality", quality, "psnr") for quality in QUALITIES if quality != "psnr"),
    ):
        if getattr(experiment, key) != value:
            continue
        for refinement in plan.refinements(config, name).values():
            counts = {experiment.last_step} if plan.at_last_step(experiment) else set(experiment.steps)
            for count in sorted(counts & refinement.record - {refinement.steps}):
                raise ConfigError(
                    f"experiments.{name}.{key}: {value} needs bitstreams, which are written after the last step of a "
                    f"refinement. {refinement.variant} ends after {refinement.steps} steps, and {count} is asked for. "
                    f"Ask for the last one, or write `{key}: {instead}`."
                )


def _check_claim(config: Mapping[str, Any], name: str) -> None:
    """A claim has what its check needs and nothing else, and its experiment suits the check."""
    entry, where = config["claims"][name], f"claims.{name}"
    check = kinds.find("check", entry["check"])
    _known(entry["experiment"], config["experiments"], f"{where}.experiment")
    _check_keys(entry, check.needs, {*check.takes, *SAYING}, check.name, where)
    claim = Claim.of(entry)
    experiment = Experiment.of(config["experiments"][claim.experiment])
    place = f"experiments.{claim.experiment}"
    if experiment.dataset is None:
        raise ConfigError(f"{where}.experiment: {place} refines nothing, so there is nothing to judge. Name another.")
    _check_methods(config, claim, experiment, where)
    lacking = [key for key in check.of_experiment if not getattr(experiment, key)]
    for demand in [*lacking, *(demand for _, demand, _ in check.misfits(experiment))]:
        raise ConfigError(
            f"{where}.experiment: {check.name} needs {demand}, which {place} has not. Name another, or leave the claim "
            f"out by `{name}: null`."
        )
    if check.swept and any(len(values) < 2 for values in experiment.sweep.values()):
        raise ConfigError(
            f"{where}.experiment: {place} sweeps one value, so there is nothing to compare. Name another."
        )
    if not check.compares(len(claim.methods)):
        raise ConfigError(f"{where}.methods: {check.name} needs {check.compared}, and has {len(claim.methods)}.")
    _check_values(claim, check, experiment, where)
    _check_published(config, claim, experiment, where)
    if check.in_pairs and claim.method in experiment.methods[1::2]:
        raise ConfigError(f"{where}.method: {claim.method} is the three-class one of its pair. Name the two-class one.")
    _check_step(config, claim, experiment, where)


def _check_comparison(config: Mapping[str, Any]) -> None:
    """The pictures that are compared are those of an experiment that refines."""
    entry = config["comparison"]
    _known(entry["experiment"], config["experiments"], "comparison.experiment")
    experiment = Experiment.of(config["experiments"][entry["experiment"]])
    if experiment.dataset is None:
        raise ConfigError(
            f"comparison.experiment: experiments.{entry['experiment']} refines nothing, so there is nothing to "
            "compare. Name another."
        )
    _known(entry["method"], experiment.methods, "comparison.method")
    for model in entry.get("models", ()):
        _known(model, experiment.models, "comparison.models")


def _check_methods(config: Mapping[str, Any], claim: Claim, experiment: Experiment, where: str) -> None:
    """A claim's methods are its experiment's, and run for as many steps as it is about."""
    beside = {"base", *(experiment.anchors or ())} if kinds.find("check", claim.check).base else set()
    others = [other for other in claim.than if other not in beside]
    for method in filter(None, [*claim.methods, *others, claim.method]):
        if method not in experiment.methods:
            raise ConfigError(
                f"{where}: experiments.{claim.experiment} has no method {method!r}."
                f"{did_you_mean(method, experiment.methods)}"
            )
        own, steps = config["methods"][method]["steps"], claim.step(experiment)
        if own < steps:
            raise ConfigError(f"{where}: is about {steps} steps, but methods.{method}.steps is {own}. Leave it out.")
    if claim.method in claim.than:
        raise ConfigError(f"{where}.than: {claim.method} would be compared with itself. Leave it out.")


def _check_values(claim: Claim, check: kinds.Kind, experiment: Experiment, where: str) -> None:
    """The values that a claim is about are in its experiment's sweep, and as many as its check needs."""
    if "values" not in check.needs:
        return
    place, ((_, swept),) = f"experiments.{claim.experiment}", experiment.sweep.items()
    for value in claim.values:
        if value not in swept:
            raise ConfigError(f"{where}.values: {value:g} is not in the sweep of {place}. Name some of its values.")
    if len(claim.values) < check.fewest_values:
        raise ConfigError(f"{where}.values: {check.name} compares two values or more, and has one.")
    if check.beside_others and set(swept) == set(claim.values):
        raise ConfigError(f"{where}.values: has all of the sweep of {place}, so there is none to compare with.")


def _check_published(config: Mapping[str, Any], claim: Claim, experiment: Experiment, where: str) -> None:
    """The curves that a claim compares with are published for its data set, and have a point per model if they must."""
    for codec in claim.published:
        points = published_points().get((experiment.dataset, codec), 0)
        if not points:
            raise ConfigError(
                f"{where}.published: config/published_rd.csv has no {codec!r} for a data set {experiment.dataset!r}. "
                "Add its points, or leave the claim out by null."
            )
        lmbdas = {config["models"][model]["lmbda"] for model in experiment.models}
        if claim.check == "gains_as_published" and len(lmbdas) != points:
            raise ConfigError(
                f"{where}.experiment: {codec} has {points} lambdas, and the models of experiments.{claim.experiment} "
                f"have {len(lmbdas)}. Name an experiment of the same lambdas."
            )


@cache
def published_points() -> dict[tuple[str | None, str], int]:
    """How many points each published curve has, by data set and codec; without pandas, which is slow to import."""
    with shipped("config/published_rd.csv").open() as file:
        return dict(Counter((row["dataset"], row["codec"]) for row in csv.DictReader(file)))


def _check_step(config: Mapping[str, Any], claim: Claim, experiment: Experiment, where: str) -> None:
    """The step that a claim is about is measured, and comes before the last if its check compares the two."""
    step = claim.step(experiment)
    every = sorted({config["refinement"]["record_every"], experiment.record_every} - {None})
    if step > experiment.last_step or (step not in experiment.steps and all(step % number for number in every)):
        raise ConfigError(
            f"{where}.steps: {step} is not measured. Name one of {', '.join(map(str, sorted(experiment.steps)))}, or a "
            f"multiple of {' or '.join(map(str, every))} below the last."
        )
    of_bitstreams = {"bitrate": experiment.bitrate == "actual", "quality": experiment.quality != "psnr"}
    for key in (key for key, needed in of_bitstreams.items() if needed):
        if kinds.find("check", claim.check).base and step < experiment.last_step:
            raise ConfigError(
                f"{where}.steps: experiments.{claim.experiment}.{key} is {getattr(experiment, key)}, and bitstreams "
                "are written after its last step. Leave steps out."
            )
    if "steps" in kinds.find("check", claim.check).needs and step == experiment.last_step:
        raise ConfigError(f"{where}.steps: {claim.check} compares {step} steps with the last, which they are.")
