"""The configuration checked as a whole: its names refer to entries, and every entry is complete."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from sgaplus.config import plan, schema
from sgaplus.config.plan import trained_here
from sgaplus.data import images, manifest
from sgaplus.errors import ConfigError, did_you_mean
from sgaplus.refinement import rounding_source

NEEDS = {
    "sweep": ("sweep",),
    "grid": ("sweep",),
    "multi_rate": ("targets",),
    "cover": ("targets",),
    "qualitative": ("targets", "image"),
    "bd": ("against",),
    "cost": ("against",),
    "budget": ("against",),
}
"""What a kind of figure or table needs beside a selection of refinements."""

TAKES = {
    "loss_curves": ("sweep", "panels"),
    "rate_distortion": ("bitrate",),
    "multi_rate": ("prune", "bitrate"),
    "cover": ("cover", "bitrate"),
    "qualitative": ("crop",),
    "sweep": ("differences",),
    "bd": ("bitrate",),
    "cost": ("bitrate",),
}
"""What it takes if it is there."""

SWEPT = {"sweep": 1, "grid": 2}
"""How many parameters its sweep has."""

OF_ONE_METHOD = ("multi_rate", "cover", "qualitative")

OF_A_CURVE = ("multi_rate", "cover", "qualitative", "bd")

CLAIM_NEEDS = {
    "lower_loss": ("method", "than"),
    "smaller_gap": ("method", "than"),
    "less_sensitive": ("method", "than"),
    "best_value": ("methods", "value"),
    "worst_value": ("methods", "value"),
    "gains_most": ("method",),
    "alike": ("methods", "within"),
    "converge": ("methods",),
    "fewer_bits": ("method", "than"),
    "covers": (),
    "better_at_its_rate": (),
}
"""What each check of a claim needs; ``lower_loss`` and ``fewer_bits`` take ``steps``, and the latter ``at_most``."""

CLAIM_TAKES = {"lower_loss": ("steps",), "fewer_bits": ("steps", "at_most")}


def validated(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the configuration, checked, with defaults filled in.

    Raises:
        ConfigError: one line that names the key, what is wrong and what would be right.
    """
    checked = copy.deepcopy(dict(config))
    schema.check(checked, schema.load())
    _check_references(checked)
    plan.refinements(checked)  # raises where a sweep or a step count does not fit
    return checked


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
        _check_no_cycle(config["models"], name)
        _check_widths(config["models"], name)
    _known(config["training"].get("evaluate_on"), config["datasets"], "training.evaluate_on")
    for name in config["bundle"]:
        _known(name, config["models"], "bundle")
    if config["bundle"] and "evaluate_on" not in config["training"]:
        raise ConfigError("bundle: needs training.evaluate_on, the data set that the models are measured on.")
    for name, method in config["methods"].items():
        _check_rounding(method, f"methods.{name}")
    for name, entry in config["experiments"].items():
        where = f"experiments.{name}"
        _known(entry.get("dataset"), config["datasets"], f"{where}.dataset")
        for kind in ("models", "methods"):
            for item in entry.get(kind, []):
                _known(item, config[kind], f"{where}.{kind}")
        _check_complete(entry, where)
    for name, claim in config["claims"].items():
        _check_claim(config, claim, f"claims.{name}")


def _known(name: str | None, entries: Iterable[str], where: str) -> None:
    if name is not None and name not in entries:
        raise ConfigError(f"{where}: no entry {name!r}.{did_you_mean(name, entries)}")


def _check_source(dataset: Mapping[str, Any], where: str) -> None:
    """A data set comes from one place, of which the manifest has what it names."""
    kinds = [key for key in images.SOURCES if key in dataset]
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


def _check_rounding(method: Mapping[str, Any], where: str) -> None:
    try:
        takes = rounding_source.parameters(method["rounding"])
    except ConfigError as error:
        raise ConfigError(f"{where}.rounding: {error}") from None
    for parameter in method["parameters"]:
        _known(parameter, takes, f"{where}.parameters")


def _check_complete(entry: Mapping[str, Any], where: str) -> None:
    """An experiment has the keys that its artifacts need, and none that would change nothing."""
    kinds = [entry[artifact] for artifact in ("figure", "table") if artifact in entry]
    needed = ["methods"]
    if kinds != ["probabilities"]:
        needed += ["dataset", "models", "steps", *(key for kind in kinds for key in NEEDS.get(kind, ()))]
    for key in needed:
        if key not in entry:
            raise ConfigError(f"{where}: needs {key} for {' and '.join(kinds)}.")
    taken = {*needed, *(key for kind in kinds for key in TAKES.get(kind, ())), "title", "figure", "table", "seeds"}
    if kinds != ["probabilities"]:
        taken.add("targets")
    for key in entry:
        if key not in taken:
            raise ConfigError(f"{where}: {key} means nothing to {' and '.join(kinds)}; leave it out.")
    for kind in kinds:
        _check_numbers(entry, kind, where)
    for key in ("against", "differences"):
        for method in [entry[key]] if isinstance(entry.get(key), str) else entry.get(key, []):
            _known(method, entry["methods"], f"{where}.{key}")


def _check_numbers(entry: Mapping[str, Any], kind: str, where: str) -> None:
    """How many of each key a kind of artifact is about."""
    if kind in SWEPT and len(entry["sweep"]) != SWEPT[kind]:
        raise ConfigError(f"{where}.sweep: {kind} is about {SWEPT[kind]} parameter(s), not {len(entry['sweep'])}.")
    if kind in OF_ONE_METHOD and len(entry["methods"]) != 1:
        raise ConfigError(f"{where}.methods: {kind} is about one method. Name one.")
    if kind in OF_A_CURVE and len(entry["models"]) < 2:
        raise ConfigError(f"{where}.models: {kind} is about a rate-distortion curve. Name two models or more.")
    if kind == "classes" and (len(entry["methods"]) % 2 or len(entry["steps"]) != 2):
        raise ConfigError(f"{where}: classes needs methods in pairs, of two classes and of three, and two step counts.")


def _check_claim(config: Mapping[str, Any], claim: Mapping[str, Any], where: str) -> None:
    """A claim has what its check needs and nothing else, and its experiment has the methods."""
    _known(claim["experiment"], config["experiments"], f"{where}.experiment")
    check = claim["check"]
    for key in CLAIM_NEEDS[check]:
        if key not in claim:
            raise ConfigError(f"{where}: needs {key} for {check}.")
    taken = {"text", "source", "check", "experiment", *CLAIM_NEEDS[check], *CLAIM_TAKES.get(check, ())}
    for key in claim:
        if key not in taken:
            raise ConfigError(f"{where}: {key} means nothing to {check}; leave it out.")
    experiment = config["experiments"][claim["experiment"]]
    methods = experiment["methods"]
    others = [other for other in claim.get("than", []) if (check, other) != ("fewer_bits", "base")]
    for method in [*claim.get("methods", []), *others, *([claim["method"]] if "method" in claim else [])]:
        if method not in methods:
            raise ConfigError(
                f"{where}: experiments.{claim['experiment']} has no method {method!r}.{did_you_mean(method, methods)}"
            )
        own, steps = config["methods"][method].get("steps"), claim.get("steps", max(experiment["steps"]))
        if own is not None and own < steps:
            raise ConfigError(f"{where}: is about {steps} steps, but methods.{method}.steps is {own}. Leave it out.")
