from __future__ import annotations

from dataclasses import replace

import yaml

from sgaplus.codec.hyperprior import save_state
from sgaplus.paths import shipped
from sgaplus.training.initialisation import fresh_model
from sgaplus.training.job import Job, TrainingOptions
from tests.unit.training.tiny import CPU, OPTIONS, TINY


def job(recipe=TINY, start_from=None, **options) -> Job:
    return Job(recipe, [], tuple(CPU), replace(OPTIONS, **options), start_from, [])


def test_recipe_data_and_start_decide_the_model_and_nothing_else_does(tmp_path):
    save_state(fresh_model(TINY).state_dict(), tmp_path / "start.pth")
    identity = job(data="one").identity
    assert job(data="one", code="other", log_every=1, workers=3).identity == identity
    for other in (
        job(data="two"),
        job(replace(TINY, seed=5), data="one"),
        job(start_from=tmp_path / "start.pth", data="one"),
    ):
        assert other.identity != identity
        assert not other.is_that_of(identity)
    assert job(data="one").is_that_of(identity)


def test_the_configurations_options_are_in_seconds_and_bytes():
    schema = yaml.safe_load(shipped("workflow/schemas/config.schema.yaml").read_text())
    training = {key: entry.get("default") for key, entry in schema["properties"]["training"]["properties"].items()}
    options = TrainingOptions.of(training | {"save_minutes": 2, "time_limit_minutes": 30, "cache_mb": 5}, label="low")
    assert (options.save_seconds, options.seconds, options.cache_bytes) == (120, 1800, 5_000_000)
    assert (options.label, options.workers, options.folder) == ("low", 6, None)
    assert TrainingOptions.of(training).seconds is None
