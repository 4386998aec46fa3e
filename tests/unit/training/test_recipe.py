from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields, replace

import pytest
import yaml

from sgaplus.paths import shipped
from sgaplus.training.recipe import Recipe, notes

TRAINING = {"batch_size": 32, "lr": 1e-4, "save_minutes": 5, "seed": 0}
MODELS = {
    "low": {"lmbda": 0.01, "N": 8, "M": 8, "steps": 20, "dataset": "photos"},
    "high": {"lmbda": 0.05, "N": 8, "M": 8, "steps": 10, "dataset": "photos", "start_from": "low", "lr": 2e-4},
}
RECIPE = Recipe.of(MODELS["high"], TRAINING)


@pytest.fixture
def trained(tmp_path):
    """The folder of a run in which both models are trained."""
    for name, model in MODELS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.pth").write_bytes(b"weights")
        (tmp_path / name / "model.json").write_text(json.dumps({"model": model, "training": TRAINING, "code": "one"}))
    return tmp_path


def test_a_models_own_settings_go_before_those_of_all():
    assert (RECIPE.lr, RECIPE.batch_size, RECIPE.steps) == (2e-4, 32, 10)
    assert Recipe.of(MODELS["low"], TRAINING).lr == 1e-4


def test_a_model_may_see_larger_crops_than_others():
    own = Recipe.of({**MODELS["low"], "crop": 128, "batch_size": 2}, TRAINING)
    assert (own.crop, own.batch_size) == (128, 2)


def test_trunks_of_constant_and_branches_of_falling_learning_rates_fit_into_one_configuration():
    trunk = {**MODELS["low"], "lr_schedule": "constant"}
    branch = {**MODELS["high"], "lr_schedule": "cosine"}
    for schedule in ("constant", "cosine"):
        training = {**TRAINING, "lr_schedule": schedule}
        assert Recipe.of(trunk, training).rate_factor(9_999) == 1
        assert Recipe.of(branch, training).lr_schedule == "cosine"
        # without a schedule of its own, a model's recipe is the one that it always was
        assert Recipe.of(MODELS["low"], training) == replace(Recipe.of(MODELS["low"], TRAINING), lr_schedule=schedule)


def test_a_recipe_is_known_again_also_by_a_version_that_had_fewer_settings():
    saved = asdict(RECIPE)
    assert RECIPE.is_that_of(saved)
    assert not RECIPE.is_that_of(saved | {"steps": 11})
    del saved["crops_per_image"]
    assert RECIPE.is_that_of(saved)
    assert not replace(RECIPE, crops_per_image=2).is_that_of(saved)
    assert not RECIPE.is_that_of(saved | {"a_setting_of_later": 1})


def test_a_finished_run_needs_no_note(trained):
    assert list(notes(trained, MODELS, TRAINING, "one")) == []


def test_nor_does_how_a_training_is_run(trained):
    assert list(notes(trained, MODELS, TRAINING | {"save_minutes": 9}, "one")) == []


def test_models_of_other_code_are_named_in_one_line_with_what_trains_one_anew(trained):
    (line,) = notes(trained, MODELS, TRAINING, "two")
    assert line.startswith("Trained by another version of the code, and kept: low, high. To train one anew, delete")
    assert str(trained / "low") in line


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("low", {"steps": 30}, "steps 20 -> 30"),
        ("low", {"lmbda": 0.02, "M": 12}, "lmbda 0.01 -> 0.02, M 8 -> 12"),
        ("low", {"lr_schedule": "cosine"}, "lr_schedule constant -> cosine"),
        ("low", {"dataset": "others"}, "dataset photos -> others"),
        ("high", {"start_from": "other"}, "start_from low -> other"),
    ],
)
def test_a_changed_recipe_is_said_with_what_changed(trained, name, change, said):
    (line,) = notes(trained, MODELS | {name: MODELS[name] | change}, TRAINING, "one")
    assert line.startswith(f"models.{name}: its recipe changed ({said}), so it is trained anew.")


def test_a_change_for_all_models_is_said_of_each_that_it_concerns(trained):
    (line,) = notes(trained, MODELS, TRAINING | {"lr": 3e-4}, "one")
    assert "models.low: its recipe changed (lr 0.0001 -> 0.0003)" in line


def test_a_model_that_is_not_trained_yet_needs_no_note(trained):
    (trained / "low" / "model.pth").unlink()
    assert list(notes(trained, MODELS | {"new": MODELS["low"]}, TRAINING, "one")) == []


def test_the_learning_rate_warms_up_then_holds_or_falls():
    constant = replace(RECIPE, steps=100, warmup_steps=10)
    assert constant.rate_factor(0) == pytest.approx(0.1)
    assert constant.rate_factor(9) == constant.rate_factor(99) == 1.0
    cosine = replace(RECIPE, steps=100, warmup_steps=0, lr_schedule="cosine")
    assert cosine.rate_factor(0) == 1.0
    assert cosine.rate_factor(50) == pytest.approx(0.5)


def test_the_defaults_are_those_of_the_configuration():
    schema = yaml.safe_load(shipped("workflow/schemas/config.schema.yaml").read_text())
    settings = schema["properties"]["training"]["properties"]
    own = {each.name: each.default for each in fields(Recipe) if each.default is not MISSING}
    assert own == {name: settings[name]["default"] for name in own}
