from __future__ import annotations

import copy

import pytest
import yaml

from sgaplus.config.references import validated
from sgaplus.config.run_files import RunFiles, described
from sgaplus.data.datasets import sources
from sgaplus.errors import ImageError
from sgaplus.refinement.task import Refinement

CONFIG = yaml.safe_load("""
run: test
datasets:
  photos: {path: photos, count: 5}
  others: {path: others, count: 2}
models:
  low: {lmbda: 0.01, N: 8, M: 8, steps: 10, dataset: photos}
  high: {lmbda: 0.02, path: high.pth}
  spare: {lmbda: 0.04, N: 8, M: 8, steps: 10, dataset: photos}
methods:
  sga: {label: SGA, rounding: sga, tau_max: 0.5}
  ssl: {label: SSL, rounding: ssl, parameters: {a: 2.3}}
refinement: {images_per_job: 2, refinements_per_job: 1}
experiments:
  explained: {title: Rounding, figure: probabilities, methods: [sga]}
  curves: {title: Curves, figure: loss_curves, dataset: photos, models: [low], methods: [sga, ssl], steps: [20]}
  table: {title: Table, table: steps, dataset: others, models: [low, high], methods: [sga], steps: [10]}
  pictures:
    {title: Seen, figure: qualitative, dataset: others, image: a, models: [low, high], methods: [sga], steps: [10],
     targets: [0.01, 0.02]}
claims:
  better: {text: It is better., source: here, check: lower_loss, experiment: curves, method: ssl, than: [sga]}
""")


def files(**changes) -> RunFiles:
    """The files of the configuration, with top-level keys replaced."""
    config = validated(copy.deepcopy(CONFIG) | changes)
    return RunFiles(config, sources(config["datasets"], []))


@pytest.fixture(scope="module")
def found() -> RunFiles:
    return files()


def test_an_experiment_needs_the_jobs_that_do_its_refinements_on_every_chunk(found):
    assert found.records("curves") == [
        f"results/test/refinements/photos/low/part{part}_chunk{chunk}.parquet" for part in (0, 1) for chunk in (0, 1, 2)
    ]
    table = [f"results/test/refinements/others/{model}/part0_chunk0" for model in ("low", "high")]
    assert found.records("table") == [f"{job}.parquet" for job in table]
    assert set(found.streams("pictures")) > {f"{job}.zip" for job in table}


def test_the_jobs_of_all_experiments_are_all_jobs_once(found):
    together = [record for name in found.selected for record in found.records(name)]
    assert len(found.records()) == len(set(found.records()))
    assert set(found.records()) == set(together)


def test_an_experiment_without_records_needs_no_job(found):
    assert found.records("explained") == []


def test_a_job_does_the_refinements_of_its_part(found):
    (first,) = found.refinements_of("photos", "low", "0")
    (second,) = found.refinements_of("photos", "low", "1")
    assert [first.key, second.key] == found.selected["curves"]


def test_an_experiment_needs_the_classical_codecs_among_its_anchors_on_every_chunk():
    curves = CONFIG["experiments"]["curves"] | {"figure": "rate_distortion", "anchors": ["jpeg", "jxl"]}
    again = curves | {"anchors": ["jxl"]}
    found = files(experiments={"curves": curves, "again": again}, codecs={"images_per_job": 3})
    jobs = [f"results/test/codecs/photos/{codec}/chunk{chunk}.parquet" for codec in ("jpeg", "jxl") for chunk in (0, 1)]
    assert found.coded("curves") == jobs
    assert found.coded("curves", "again") == jobs
    assert found.coded("again") == jobs[2:]


def test_an_experiment_without_anchors_measures_no_codec(found):
    assert found.coded(*CONFIG["experiments"]) == []


def test_bitstreams_are_decoded_only_where_an_experiment_has_another_quality():
    similar = CONFIG["experiments"]["curves"] | {"figure": "rate_distortion", "quality": "ms_ssim", "methods": ["ssl"]}
    found = files(experiments=CONFIG["experiments"] | {"similar": similar})
    assert found.decoded("curves") == []
    jobs = [f"photos/low/part1_chunk{chunk}" for chunk in (0, 1, 2)]
    assert found.decoded("similar") == [f"results/test/decoded/{job}.parquet" for job in jobs]
    again = files(experiments=CONFIG["experiments"] | {"similar": similar, "again": similar})
    assert again.decoded("similar", "again") == found.decoded("similar")
    assert [one.method for one in found.to_decode("photos", "low", "1")] == ["ssl"]
    assert found.to_decode("photos", "low", "0") == []


def test_a_distance_is_measured_only_where_an_experiment_has_it():
    curves = CONFIG["experiments"]["curves"] | {"figure": "rate_distortion", "methods": ["ssl"], "anchors": ["jpeg"]}
    seen = {"seen": curves | {"quality": "dists"}, "alike": curves | {"quality": "ms_ssim", "anchors": ["webp"]}}
    found = files(experiments=CONFIG["experiments"] | seen)
    assert found.distances_of_job("photos", "low", "1") == ["dists"]
    assert found.distances_of_job("photos", "low", "0") == []
    assert found.distances_of_codec("photos", "jpeg") == ["dists"]
    assert found.distances_of_codec("photos", "webp") == found.distances_of_codec("others", "jpeg") == []
    both = files(experiments=CONFIG["experiments"] | seen | {"both": curves | {"quality": "lpips"}})
    assert both.distances_of_job("photos", "low", "1") == ["lpips", "dists"]


def test_the_base_model_is_timed_in_one_job_per_model_and_chunk():
    entry = {**CONFIG["experiments"]["curves"], "table": "speed", "models": ["low", "high"]}
    entry = {key: value for key, value in entry.items() if key != "figure"}
    found = files(experiments={"curves": CONFIG["experiments"]["curves"], "speed": entry})
    jobs = [f"photos/{model}/part0_chunk{chunk}" for model in ("low", "high") for chunk in (0, 1, 2)]
    assert found.decoded("speed") == [f"results/test/decoded/{job}.parquet" for job in jobs]
    assert len(found.records("speed")) > len(jobs)
    assert found.to_decode("photos", "low", "0") == []


def test_experiments_by_what_shows_them(found):
    assert found.with_figure == ["explained", "curves", "pictures"]
    assert found.with_pictures == ["pictures"]
    assert found.with_table == ["table"]
    assert found.judged == ["curves"]
    assert found.shown("curves") == ["results/test/figures/curves.png"]
    assert found.shown("table") == ["results/test/tables/table.html"]


def test_models_are_those_that_something_is_refined_under(found):
    assert found.refined_under == ["high", "low"]
    assert found.trained == ["low"]


def test_the_artifacts_are_every_experiments_and_the_runs_own(found):
    assert found.of_experiment("curves") == [f"results/test/figures/curves.{suffix}" for suffix in ("pdf", "png")]
    assert found.of_experiment("table") == [
        f"results/test/tables/table.{suffix}" for suffix in ("csv", "md", "html", "tex")
    ]
    every = {file for name in CONFIG["experiments"] for file in found.of_experiment(name)}
    own = {f"results/test/figures/training.{suffix}" for suffix in ("pdf", "png")}
    own |= {
        f"results/test/{name}.{suffix}"
        for name in ("claims", "tables/run_cost")
        for suffix in ("csv", "md", "html", "tex")
    }
    assert len(found.artifacts) == len(set(found.artifacts))
    assert set(found.artifacts) == every | own


def test_a_page_of_pictures_is_an_artifact_where_it_is_asked_for(found):
    assert found.comparison == []
    asked = files(comparison={"experiment": "curves", "method": "ssl", "images": ["a"]})
    assert set(asked.artifacts) - set(found.artifacts) == {"results/test/compare.html"}


def test_an_experiment_can_have_a_figure_and_a_table():
    both = CONFIG["experiments"]["curves"] | {"table": "steps"}
    found = files(experiments={"curves": both})
    assert [file.rpartition(".")[2] for file in found.of_experiment("curves")] == [
        "pdf",
        "png",
        "csv",
        "md",
        "html",
        "tex",
    ]
    assert found.shown("curves") == ["results/test/figures/curves.png"]


def test_of_another_runs_records_everything_is_made_that_needs_no_more():
    found = files(records="elsewhere")
    assert found.records() == [f"elsewhere/records/{name}.parquet" for name in ("curves", "table", "pictures")]
    assert found.records("table") == ["elsewhere/records/table.parquet"]
    assert found.with_figure == ["explained", "curves"]
    assert not found.shown("pictures")
    assert not found.training_curves
    assert not found.costs
    assert found.claims


def test_without_claims_or_trainings_there_is_nothing_of_them():
    given = {"low": {"lmbda": 0.01, "path": "low.pth"}}
    found = files(models=CONFIG["models"] | given, claims={})
    assert found.claims == found.training_curves == []


def test_an_unknown_number_of_images_is_refused_to_what_needs_it():
    found = files(datasets=CONFIG["datasets"] | {"photos": {"path": "photos", "min_side": 64}})
    assert found.artifacts
    with pytest.raises(ImageError, match=r"datasets\.photos"):
        found.records("curves")
    absent = files(datasets=CONFIG["datasets"] | {"photos": {"path": "/no/where"}})
    with pytest.raises(ImageError, match=r"datasets\.photos: /no/where: no such folder"):
        absent.records("curves")


@pytest.mark.parametrize(
    ("target", "seed", "text"),
    [
        (0.01, 0, "ssl"),
        (0.02, 0, "ssl toward 0.02"),
        (0.01, 1, "ssl with seed 1"),
        (0.02, 3, "ssl toward 0.02 with seed 3"),
    ],
)
def test_a_message_tells_what_is_not_usual(target, seed, text):
    assert described(Refinement("photos", "low", target, "ssl", "ssl", seed, {}), own=0.01) == text
