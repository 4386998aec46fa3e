from __future__ import annotations

import math
from dataclasses import replace

import pytest
import yaml

from sgaplus.errors import ConfigError
from sgaplus.paths import shipped
from sgaplus.refinement import rounding
from sgaplus.refinement.method import Method, record_steps


def test_the_cosine_schedule_falls_from_the_rate_to_zero():
    method = Method(rounding.make("ssl"), lr=0.4, lr_schedule="cosine", steps=10)
    assert method.learning_rate(0) == 0.4
    assert method.learning_rate(5) == pytest.approx(0.2)
    assert method.learning_rate(10) == pytest.approx(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"optimizer": "adamm"}, "adamm"), ({"draws": "sobol"}, "sobol"), ({"lr_schedule": "step"}, "'step'")],
)
def test_unknown_choices_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        Method(rounding.make("ssl"), **change)


def test_record_steps_hold_first_last_every_kth_and_those_asked_for():
    assert record_steps(10, 4, [5, 50]) == {0, 4, 5, 8, 10}
    assert record_steps(0, 4) == {0}


def test_the_papers_temperatures_are_the_default():
    method = Method(rounding.make("ssl"))
    assert [method.temperature(step) for step in range(2001)] == [math.exp(-1e-3 * step) for step in range(2001)]


def test_the_temperature_falls_as_far_in_other_steps():
    method = Method(rounding.make("ssl"), tau_max=0.9, cooling=1.5, steps=500)
    other = replace(method, steps=100)
    assert other.temperature(100) == pytest.approx(method.temperature(500)) == pytest.approx(math.exp(-1.5))
    assert other.temperature(0) == 0.9


def test_a_method_without_settings_is_that_of_an_entry_without_any():
    schema = yaml.safe_load(shipped("workflow/schemas/config.schema.yaml").read_text())
    settings = schema["properties"]["methods"]["additionalProperties"]["properties"]
    defaults = {key: entry["default"] for key, entry in settings.items() if "default" in entry}
    assert Method.from_settings(defaults | {"rounding": "sga"}) == Method(rounding.make("sga"))
