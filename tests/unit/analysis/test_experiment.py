from __future__ import annotations

import re

import pytest

from sgaplus.analysis.experiment import Claim, Experiment
from sgaplus.artifacts.figures.over_steps import PANELS
from sgaplus.paths import shipped

ENTRY = {"title": "T", "methods": ["a", "b"], "seeds": [0], "sweep": {"a": [1, 2]}, "steps": [500, 100]}


def test_an_entry_becomes_an_experiment_that_nothing_can_change():
    experiment = Experiment.of(ENTRY | {"table": "sweep"})
    assert (experiment.methods, experiment.sweep["a"]) == (("a", "b"), (1, 2))
    assert (experiment.first_step, experiment.last_step) == (100, 500)
    assert experiment.kinds == {"table": "sweep"}


def test_a_claim_is_about_the_largest_step_count_if_it_names_none():
    said = {"text": "T", "source": "S", "check": "lower_loss", "experiment": "e", "method": "a"}
    assert Claim.of(said).step(Experiment.of(ENTRY)) == 500
    assert Claim.of(said | {"steps": 100}).step(Experiment.of(ENTRY)) == 100


def test_panels_are_by_default_all_that_there_are():
    assert Experiment.of(ENTRY).panels == tuple(PANELS)


@pytest.mark.parametrize("file", ["config/README.md", "workflow/schemas/config.schema.yaml"])
def test_the_defaults_are_those_that_are_documented(file):
    text = shipped(file).read_text()
    experiment = Experiment.of(ENTRY)
    (cover,) = re.findall(r"models that are to cover the curve; (\d+) ", text)
    assert int(cover) == experiment.cover
    assert experiment.bitrate == "estimated"
    (at_most,) = re.findall(r"BD-rate that must be reached(?: \(%\))?; (\d+) ", text)
    assert float(at_most) == Claim.at_most
