"""The configuration's schema applied: each key's type and range, and defaults filled in.

The schema itself is workflow/schemas/config.schema.yaml.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from sgaplus.artifacts import kinds
from sgaplus.errors import ConfigError, did_you_mean
from sgaplus.files import shorten
from sgaplus.paths import shipped

SCHEMA = shipped("workflow/schemas/config.schema.yaml")


@cache
def load() -> dict[str, Any]:
    """The schema, with the kinds of figures, tables and checks as choices."""
    schema = yaml.safe_load(SCHEMA.read_text())
    for section, family in (("experiments", "figure"), ("experiments", "table"), ("claims", "check")):
        schema["properties"][section]["additionalProperties"]["properties"][family]["enum"] = list(kinds.kinds(family))
    return schema


def section(name: str) -> dict[str, Any]:
    """The schema of a configuration that has one section alone."""
    whole = load()
    return {"properties": {name: whole["properties"][name]}, "$defs": whole["$defs"]}


def check(instance: dict[str, Any], schema: Mapping[str, Any], where: str = "") -> None:
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
    wrong = shorten(_not_of_type(error) if error.validator == "type" else error.message)
    meaning = f" It is: {schema['description']}" if "description" in schema else ""
    return f"{where}: {wrong}.{meaning}"


def _not_of_type(error: ValidationError) -> str:
    wanted = (
        " or ".join(error.validator_value) if isinstance(error.validator_value, list) else str(error.validator_value)
    )
    text = "nothing (null)" if error.instance is None else shorten(repr(error.instance), 100)
    hint = ""
    if wanted.startswith("number") and isinstance(error.instance, str):
        hint = " (YAML reads 1e-4 as text; write 1.0e-4)"
    return f"{text} is not of type {wanted.replace('object', 'mapping')!r}{hint}"
