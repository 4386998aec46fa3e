"""Which refinements are done anew after a change of the configuration, a model, a picture or a rounding."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from sgaplus import records

from .conftest import CONFIG, LIBRARY, TINY, checkout, edited, photographs, write_config

OWN = """
import torch
from dataclasses import dataclass
from sgaplus.refinement.rounding import TwoClass

@dataclass(frozen=True)
class Mine(TwoClass):
    b: float = 2.0

    def log_odds(self, d):
        return self.b * torch.logit(d)
"""
PROBE = {
    "run": "given",
    "models": {"low": {"lmbda": 0.01, "path": "low.pth"}},
    "refinement": TINY["refinement"] | {"precision": "float32"},
    "experiments": {
        "probe": {
            **{"title": "A probe", "figure": "loss_curves", "dataset": "pictures", "models": ["low"]},
            **{"methods": ["ste", "ssl"], "steps": [4], "targets": [0.01], "seeds": [0]},
        }
    },
    "claims": {},
    "comparison": None,
}
ROWS = "results/given/records/probe.parquet"


def probe(**changes) -> dict:
    return {"probe": PROBE["experiments"]["probe"] | changes}


def methods(**changes) -> dict:
    return TINY["methods"] | changes


class Given:
    """Two refinements under a model that another run trained, in a checkout of their own."""

    def __init__(self, folder: Path, snakemake) -> None:
        self.folder, self.snakemake = checkout(folder), snakemake
        photographs(folder / "pictures")
        write_config(folder)
        snakemake(folder, "results/tiny/models/high/model.pth", *CONFIG)  # which starts from the other, low
        paper = yaml.safe_load((folder / "config/config.yaml").read_text())
        (folder / "config/config.yaml").write_text(yaml.safe_dump(paper | {"experiments": {}, "claims": {}}))
        self.take("low")
        self.refined, self.losses = self.run()

    def take(self, model: str) -> None:
        """Put one of the models that were trained in the place of the one that is given."""
        shutil.copy(self.folder / f"results/tiny/models/{model}/model.pth", self.folder / "low.pth")

    def run(self, **changes) -> tuple[set[str], dict]:
        """What is refined anew with top-level keys replaced, and the loss of every method, image and step."""
        write_config(self.folder, PROBE | changes, "given.yaml")
        printed = self.snakemake(self.folder, ROWS, "--cores", "2", "--configfile", "given.yaml").stdout
        refined = set(re.findall(r"^low (.*?): +\d+%", printed.replace("\r", "\n"), re.MULTILINE))
        table = records.read([self.folder / ROWS])
        return refined, table.set_index(["method", "image", "step"])["method_loss"].to_dict()


@pytest.fixture(scope="module")
def given(tmp_path_factory, snakemake) -> Given:
    return Given(tmp_path_factory.mktemp("given"), snakemake)


BOTH = {"ste, target 0.01, seed 0", "ssl, target 0.01, seed 0"}


def test_what_is_asked_for_is_refined(given):
    assert given.refined == BOTH
    assert len(given.losses) == 2 * 4 * 3


def test_other_targets_and_seeds_are_refined_beside_what_is_there(given):
    refined, _ = given.run(experiments=probe(targets=[0.01, 0.02], seeds=[0, 1]))
    every = {f"{m}, target {t}, seed {s}" for m in ("ste", "ssl") for t in ("0.01", "0.02") for s in (0, 1)}
    assert refined == every - BOTH


def test_another_precision_is_refined_anew(given):
    refined, losses = given.run(refinement=PROBE["refinement"] | {"precision": "bfloat16"})
    assert refined == BOTH
    assert losses != given.losses


def test_a_changed_method_is_refined_anew_alone_also_where_jobs_are_cut_otherwise_and_another_has_a_new_look(given):
    refined, _ = given.run(
        methods=methods(ste={"lr": 2.0e-4}, ssl={"label": "Mine", "color": "#123456"}),
        refinement=PROBE["refinement"] | {"images_per_job": 2},
    )
    assert refined == {"ste, target 0.01, seed 0"}


def test_another_model_under_the_same_name_is_refined_anew(given):
    """Its records were once those of the model before."""
    given.take("high")
    try:
        refined, losses = given.run()
    finally:
        given.take("low")
    assert refined == BOTH
    assert all(losses[key] != given.losses[key] for key in losses)


def test_another_picture_under_the_same_name_is_refined_anew_and_no_other(given):
    picture = given.folder / "pictures/gray.png"
    kept = picture.read_bytes()
    shutil.copy(given.folder / "pictures/dot.png", picture)
    try:
        refined, losses = given.run()
    finally:
        picture.write_bytes(kept)
    assert refined == BOTH
    assert {key[1] for key in losses if losses[key] != given.losses[key]} == {"gray"}


def test_a_new_rounding_of_the_library_or_of_ones_own_costs_its_own_refinements_alone(given):
    new = OWN.partition("\n\n")[2].replace("b: float = 2.0", 'name = "mine"\n    b: float = 2.0')
    own = given.folder / "own.py"
    own.write_text(OWN)
    changes = {
        "methods": methods(
            mine={"label": "Mine", "rounding": "mine"},
            own={"label": "Own", "rounding": "own.py:Mine", "parameters": {"b": 3}},
        ),
        "experiments": probe(methods=["ste", "ssl", "mine", "own"]),
    }
    with edited(given.folder / LIBRARY / "refinement/rounding.py", "def make(", f"{new}\n\ndef make("):
        refined, _ = given.run(**changes)
        assert refined == {"mine, target 0.01, seed 0", "own, target 0.01, seed 0"}
        own.write_text(OWN.replace("self.b *", "2 * self.b *"))
        refined, _ = given.run(**changes)
        assert refined == {"own, target 0.01, seed 0"}


def test_a_rounding_of_ones_own_that_is_none_stops_before_the_plan_with_one_line(given):
    (given.folder / "own.py").write_text(OWN.replace("def log_odds", "def log_odd"))
    changes = {"methods": methods(own={"label": "Own", "rounding": "own.py:Mine"})}
    write_config(given.folder, PROBE | changes, "given.yaml")
    printed = given.snakemake(given.folder, "-n", ROWS, "--configfile", "given.yaml", ok=False).stdout
    assert "methods.own.rounding: own.py:Mine: lacks the method log_odds(self, d: Tensor)." in printed
    assert "Building DAG" not in printed


def test_back_where_it_began_nothing_is_refined_and_the_records_are_the_same(given):
    assert given.run() == (set(), given.losses)
