"""The configuration: its checks, and what it asks the workflow to run.

The schema (workflow/schemas/config.schema.yaml) says what each key may be; here it is applied, names
that refer to other entries are resolved, and experiments are expanded into the union of the
refinements that they select. Nothing here imports torch, because every job reads the configuration.
"""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from sgaplus.data import images, manifest
from sgaplus.errors import ConfigError, did_you_mean
from sgaplus.paths import shipped
from sgaplus.refinement import rounding_source
from sgaplus.refinement.task import Refinement

SCHEMA = shipped("workflow/schemas/config.schema.yaml")
SWEEPABLE = ("tau_max", "tau_rate", "lr")
"""Settings of a method, beside its rounding's own parameters, that an experiment may sweep."""

PRESENTATION = ("label", "color", "marker")
"""Settings of a method that no refinement depends on."""

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

AT_THE_END = ("sweep", "classes", "grid", "multi_rate", "cover", "qualitative")
"""What shows every method after the most steps, and so needs methods that take as many."""

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
    _check_schema(checked, _schema())
    _check_references(checked)
    refinements(checked)  # raises where a sweep or a step count does not fit
    return checked


def refinements(config: Mapping[str, Any], experiment: str | None = None) -> dict[tuple[str, ...], Refinement]:
    """The refinements of one experiment, or the union of all, by key.

    Step counts and record steps are those of the union in both cases, because a shared refinement
    is one job.
    """
    union: dict[tuple[str, ...], Refinement] = {}
    selected: set[tuple[str, ...]] = set()
    for name, entry in config["experiments"].items():
        for wanted in _selection(config, entry, f"experiments.{name}"):
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


def _selection(config: Mapping[str, Any], entry: Mapping[str, Any], where: str) -> Iterator[Refinement]:
    if "dataset" not in entry:
        return
    for model, method, seed in itertools.product(entry["models"], entry["methods"], entry["seeds"]):
        targets = entry.get("targets", [config["models"][model]["lmbda"]])
        for target, (variant, settings) in itertools.product(targets, _variants(config, entry, method, where)):
            counts = _counts(entry, method, settings.get("steps"), where)
            yield Refinement(
                entry["dataset"],
                model,
                float(target),
                method,
                variant,
                seed,
                {key: value for key, value in settings.items() if key not in PRESENTATION},
                settings.get("steps", max(counts)),
                counts,
            )


def _counts(entry: Mapping[str, Any], method: str, own: int | None, where: str) -> set[int]:
    """The step counts of an experiment that a method has; one of its own number of steps has none beyond."""
    counts = {count for count in entry["steps"] if own is None or count <= own}
    whole = method == entry.get("against") or any(entry.get(kind) in AT_THE_END for kind in ("figure", "table"))
    asked = max(entry["steps"]) if whole else min(entry["steps"])
    if asked not in counts:
        raise ConfigError(
            f"{where}.steps: asks for {asked}, but methods.{method}.steps is {own}. Ask for at most that many."
        )
    return counts


def _variants(
    config: Mapping[str, Any], entry: Mapping[str, Any], method: str, where: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The method itself, or one variant per combination of the sweep's values."""
    own = config["methods"][method]
    sweep = entry.get("sweep", {})
    takes = (*SWEEPABLE, *rounding_source.parameters(own["rounding"]))
    for parameter in sweep:
        if parameter not in takes:
            raise ConfigError(
                f"{where}.sweep: methods.{method} has no {parameter!r} to sweep.{did_you_mean(parameter, takes)}"
            )
    for values in itertools.product(*sweep.values()):
        variant, settings = method, copy.deepcopy(own)
        for parameter, value in zip(sweep, values, strict=True):
            group = settings if parameter in SWEEPABLE else settings["parameters"]
            if group.get(parameter) != value:
                group[parameter] = value
                variant += f"_{parameter}{value:g}"
        if sweep:
            _check_schema(settings, _schema()["properties"]["methods"]["additionalProperties"], f"{where}.sweep")
        yield variant, settings


def short_name(experiment: str) -> str:
    """What an experiment is called as a target: ``fig2`` for ``fig2_true_loss``; other names as they are."""
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


@cache
def _schema() -> dict[str, Any]:
    return yaml.safe_load(SCHEMA.read_text())


def _check_schema(instance: dict[str, Any], schema: Mapping[str, Any], where: str = "") -> None:
    """Check an instance and fill in defaults; ``where`` is its place in the configuration."""
    errors = sorted(_Validator(schema).iter_errors(instance), key=lambda e: list(map(str, e.absolute_path)))
    if errors:
        raise ConfigError(_explain(errors[0], where))


def _filling_properties(
    validator: Any, schemas: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    """The check of an object's properties, after missing ones got their defaults."""
    if isinstance(instance, dict):
        for key, subschema in schemas.items():
            if "default" in subschema:
                instance.setdefault(key, copy.deepcopy(subschema["default"]))
    yield from Draft202012Validator.VALIDATORS["properties"](validator, schemas, instance, schema)


def _is_integer(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # 10.0 would stay a float, also in file names


def _is_number(_checker: Any, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_Validator = validators.extend(
    Draft202012Validator,
    {"properties": _filling_properties},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number}),
)


def _explain(error: ValidationError, prefix: str) -> str:
    """A schema error as a sentence that names the key."""
    where = ".".join(filter(None, [prefix, *map(str, error.absolute_path)])) or "configuration"
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = schema.get("properties", {})
        unknown = next(key for key in error.instance if key not in known)
        return f"{where}: unknown key {unknown!r}.{did_you_mean(str(unknown), known)}"
    if error.validator in ("oneOf", "anyOf"):
        options = [" and ".join(option["required"]) for option in error.validator_value]  # type: ignore[union-attr]
        return f"{where}: needs either {' or '.join(options)}{', and not both' * (error.validator == 'oneOf')}."
    wrong = _not_of_type(error) if error.validator == "type" else error.message
    meaning = f" It is: {schema['description']}" if "description" in schema else ""
    return f"{where}: {wrong}.{meaning}"


def _not_of_type(error: ValidationError) -> str:
    wanted = (
        " or ".join(error.validator_value) if isinstance(error.validator_value, list) else str(error.validator_value)
    )
    text = "nothing (null)" if error.instance is None else repr(error.instance)
    hint = ""
    if wanted.startswith("number") and isinstance(error.instance, str):
        hint = " (YAML reads 1e-4 as text; write 1.0e-4)"
    return f"{text} is not of type {wanted.replace('object', 'mapping')!r}{hint}"


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


def trained_here(model: Mapping[str, Any]) -> bool:
    """Whether a model's entry asks for a training: ``path`` and ``url`` go before the keys of one."""
    return not {"path", "url"} & model.keys()


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
