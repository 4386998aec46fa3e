from __future__ import annotations

import copy
import math
import re

import pytest
import yaml
from jsonschema import Draft202012Validator
from matplotlib.markers import MarkerStyle

from sgaplus.artifacts import kinds
from sgaplus.config import plan
from sgaplus.config.references import validated
from sgaplus.refinement import rounding_source

from .configurations import CONFIG, SCHEMA, overlaid, refusal, small, without


def test_defaults_are_filled_in_at_every_level():
    config = validated(small())
    assert config["device"] == "auto"
    assert config["training"]["batch_size"] == 32
    assert config["training"]["clip_norm"] is None
    assert config["refinement"]["images_per_job"] == 8
    assert config["methods"]["ssl"]["tau_max"] == 1.0
    assert config["methods"]["sga"]["parameters"] == {}
    assert config["experiments"]["curves"]["seeds"] == [0]


def test_what_is_said_is_not_overwritten_by_a_default():
    config = validated(small(device="cpu", **{"training.crop": 64, "experiments.curves.seeds": [3]}))
    assert config["device"] == "cpu"
    assert config["training"]["crop"] == 64
    assert config["methods"]["sga"]["tau_max"] == 0.5
    assert config["experiments"]["curves"]["seeds"] == [3]


def test_validation_leaves_its_argument_as_it_was():
    config = small()
    validated(config)
    assert config == small()


def test_entries_do_not_share_their_defaults():
    config = validated(small(**{"methods.ste": {"label": "STE", "rounding": "ste"}}))
    config["methods"]["sga"]["parameters"]["a"] = 1
    assert config["methods"]["ste"]["parameters"] == {}
    assert validated(small())["methods"]["sga"]["parameters"] == {}


@pytest.mark.parametrize(
    ("place", "right"),
    [
        ("experimnts", "experiments"),
        ("datasets.photos.pth", "path"),
        ("models.low.stepz", "steps"),
        ("models.low.lmda", "lmbda"),
        ("training.batchsize", "batch_size"),
        ("methods.sga.taumax", "tau_max"),
        ("methods.sga.colour", "color"),
        ("refinement.image_per_job", "images_per_job"),
        ("experiments.curves.method", "methods"),
    ],
)
def test_a_misspelt_key_is_named_and_the_right_one_suggested(place, right):
    message = refusal(small(**{place: 1}))
    section, _, key = place.rpartition(".")
    assert message.startswith(f"{section or 'configuration'}: unknown key '{key}'. Did you mean '{right}'?")


def test_a_key_unlike_any_is_answered_with_all_of_them():
    message = refusal(small(**{"refinement.zzz": 1}))
    assert "Did you mean" not in message
    assert "images_per_job, memory_mb, precision, record_every, refinements_per_job, threads" in message


@pytest.mark.parametrize(
    "place",
    [
        *("run", "datasets", "models", "methods", "experiments"),
        *("models.low.lmbda", "methods.sga.label", "methods.sga.rounding", "experiments.curves.title"),
    ],
)
def test_a_missing_key_is_named(place):
    section, _, key = place.rpartition(".")
    message = refusal(without(place))
    assert message.startswith(f"{section or 'configuration'}: ")
    assert f"'{key}'" in message


@pytest.mark.parametrize(
    ("place", "value"),
    [
        # out of range
        ("datasets.photos.count", 0),
        ("datasets.photos.crop", [256]),
        ("datasets.photos.path", ""),
        ("datasets.tiny.files", []),
        ("models.low.lmbda", 0),
        ("models.low.N", 0),
        ("models.low.lr", 0),
        ("training.crop", 100),
        ("training.crop", 0),
        ("training.clip_norm", 0),
        ("training.warmup_steps", -1),
        ("methods.sga.tau_max", 0),
        ("methods.sga.tau_max", 1.5),
        ("methods.sga.cooling", -1),
        ("methods.sga.lr", 0),
        ("methods.sga.marker", "oo"),
        ("refinement.images_per_job", 0),
        ("refinement.memory_mb", 99),
        ("experiments.curves.steps", []),
        ("experiments.curves.record_every", 0),
        ("experiments.curves.enlarge", []),
        ("experiments.curves.r", 1),
        ("experiments.curves.n", 0),
        ("experiments.curves.models", ["low", "low"]),
        # of the wrong kind
        ("run", 3),
        ("datasets", ["photos"]),
        ("datasets.photos.count", 2.5),
        ("models.low.lmbda", "0.01"),
        ("models.low.lmbda", math.nan),
        ("models.low.lmbda", math.inf),
        ("models.low.steps", True),
        ("models.low.steps", 10.0),  # would stay a float, also in file names
        ("training.lr_schedule", "linear"),
        ("device", "gpu"),
        ("methods.sga.optimizer", "Adam"),
        ("methods.sga.parameters", [1]),
        ("refinement.threads", "4"),
        ("experiments.curves.methods", "sga"),
        ("experiments.curves.steps", 20),
        ("experiments.curves.figure", "curves"),
        ("experiments.curves.sweep", {}),
        ("experiments.curves.sweep", {"a": [1], "n": [1], "r": [1]}),
    ],
)
def test_a_wrong_value_is_refused_and_its_key_explained(place, value):
    message = refusal(small(**{place: value}))
    assert message.startswith(f"{place}: {value!r} ")
    assert "It is: " in message


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("training", None, "nothing (null) is not of type 'mapping'. It is: How models are trained."),
        ("refinement", None, "nothing (null) is not of type 'mapping'."),
        ("models.low.lmbda", "1e-4", "'1e-4' is not of type 'number' (YAML reads 1e-4 as text; write 1.0e-4). It is: "),
        ("training.clip_norm", "1e-1", "'1e-1' is not of type 'number or null' (YAML reads 1e-4 as text; "),
    ],
)
def test_a_wrong_type_is_called_what_yaml_calls_it(place, value, said):
    assert refusal(small(**{place: value})).startswith(f"{place}: {said}")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("experiments.curves.seeds", [0, 1.0]),  # another file than seed 1
        ("experiments.curves.steps", [20, 0]),
        ("experiments.curves.targets", [0.1, -1]),
        ("datasets.photos.crop", [8, 0]),
    ],
)
def test_a_wrong_item_of_a_list_is_named_by_its_position(place, value):
    assert refusal(small(**{place: value})).startswith(f"{place}.1: {value[1]!r} ")


@pytest.mark.parametrize("section", ["datasets", "models", "methods", "experiments"])
@pytest.mark.parametrize("name", ["two words", "../up", ".hidden", "a/b", "newline\n", ""])
def test_a_name_that_cannot_be_part_of_a_file_name_is_refused(section, name):
    config = small()
    config[section][name] = next(iter(config[section].values()))
    assert refusal(config).startswith(f"{section}: {name!r} ")
    assert refusal(small(run=name)).startswith(f"run: {name!r} ")


def schemas(schema: dict, place: str = "configuration"):
    """Every schema of a mapping in the schema, and where it is."""
    if schema.get("type") == "object":
        yield place, schema
        for key, inner in schema.get("properties", {}).items():
            yield from schemas(inner, f"{place}.{key}")
        if isinstance(schema.get("additionalProperties"), dict):
            yield from schemas(schema["additionalProperties"], f"{place}.*")


PROPERTIES = [
    pytest.param(inner, id=f"{place}.{key}")
    for place, schema in schemas(SCHEMA)
    for key, inner in schema.get("properties", {}).items()
]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("schema", PROPERTIES)
def test_every_property_has_a_type_and_a_description_and_its_default_fits(schema):
    assert {"type", "enum"} & schema.keys()
    assert re.fullmatch(r"\S.*\.", schema["description"])
    if "default" in schema:
        Draft202012Validator(schema).validate(schema["default"])


@pytest.mark.parametrize("schema", [pytest.param(schema, id=place) for place, schema in schemas(SCHEMA)])
def test_every_mapping_says_what_else_it_may_hold(schema):
    assert "additionalProperties" in schema


README = (CONFIG / "README.md").read_text()


def documented(section: str) -> dict[str, list[str]]:
    """Rows of a section's table in the README by key: meaning, range, default, paper."""
    (text,) = re.findall(rf"^## {section}$(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[0].strip("`"): row[1:] for row in rows if len(row) == 5 and row[0].startswith("`")}


SECTIONS = {"Top level": SCHEMA} | {
    name: entry if "properties" in entry else entry["additionalProperties"]
    for name, entry in SCHEMA["properties"].items()
    if entry.get("type") == "object"
}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_readme_has_every_key_with_its_choices_and_its_default(section):
    rows, schema = documented(section), SECTIONS[section]
    assert rows.keys() == schema["properties"].keys()
    for key, inner in schema["properties"].items():
        meaning, unit, default, _ = rows[key]
        if key not in kinds.FOLDERS:  # kinds have a table of their own
            assert all(f"`{choice}`" in meaning + unit for choice in inner.get("enum", [])), key
        if "default" in inner:
            assert yaml.safe_load(default.strip("`")) == inner["default"], key
        else:
            assert default == ("required" if key in schema.get("required", []) else "none"), key


def test_markers_are_matplotlibs():
    schema = SCHEMA["properties"]["methods"]["additionalProperties"]["properties"]["marker"]
    shown = {marker for marker in MarkerStyle.markers if isinstance(marker, str) and len(marker) == 1} - {" "}
    assert {sign for sign in map(chr, range(256)) if re.match(schema["pattern"], sign)} == shown


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("methods.sga.marker", "Q", "methods.sga.marker: 'Q' does not match"),
        ("methods.sga.color", "nocolour", "methods.sga.color: Matplotlib has no colour 'nocolour'."),
        ("run", "a" * 300, "run: 'aaa"),
        ("models.low.N", 10**9, "models.low.N: 1000000000 is greater than the maximum of 10000."),
        ("training.seed", 2**64, "training.seed: 18446744073709551616 is greater than the maximum"),
        ("run", [["deep"] * 1000] * 1000, "run: [['deep', "),
    ],
)
def test_values_that_would_end_a_run_later_are_refused(place, value, said):
    message = refusal(small(**{place: value}))
    assert message.startswith(said)
    assert len(message) < 500


def test_names_of_entries_are_short_enough_for_file_names():
    assert "is too long" in refusal(small(**{f"methods.{'a' * 101}": {"label": "A", "rounding": "sga"}}))


@pytest.mark.parametrize("place", ["training", "models.low"])
def test_the_crops_of_an_image_divide_the_batch(place):
    changes = {"training.crops_per_image": 5, f"{place}.batch_size": 24}
    message = "training.crops_per_image: 5 does not divide the batch_size 24 of models.low. Choose one that does."
    assert refusal(small(**changes)) == message
    validated(small(**changes | {f"{place}.batch_size": 25}))
    validated(small(**changes | {"models.low": {"lmbda": 0.01, "path": "trained.pth"}}))


def test_the_readme_has_every_rounding_with_its_parameters():
    (table,) = re.findall(r"^\| Rounding \|.*?\n\n", README, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", table, re.MULTILINE)
    known = {name: set(rounding_source.parameters(name)) for name in rounding_source.names()}
    assert {name: set(re.findall(r"\b(\w+) =", text)) for name, text in rows} == known


def test_the_readme_has_every_setting_that_may_be_swept():
    meaning = documented("experiments")["sweep"][0]
    assert all(f"`{setting}`" in meaning for setting in plan.SWEEPABLE)


EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
(OWN_ROUNDING,) = re.findall(r"^```python\n# mine.py\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.split(":")[0])
@pytest.mark.parametrize("below", [["config.yaml"], ["config.yaml", "demo.yaml"]], ids=["paper", "demo"])
def test_an_example_of_the_readme_is_a_good_configuration(example, below, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(OWN_ROUNDING)
    monkeypatch.chdir(tmp_path)
    if "demo.yaml" in below:
        example = example.replace("steps: [2000]", "steps: [200]")  # there a method has no more
    changes = yaml.safe_load(example)
    config = validated(overlaid(*below, copy.deepcopy(changes)))
    for name in changes.get("experiments", {}):
        assert plan.refinements(config, name)


def test_the_readme_has_examples():
    assert EXAMPLES
