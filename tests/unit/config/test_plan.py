from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from snakemake.common.configfile import load_configfile

from sgaplus.codec.hyperprior import load_state, widths
from sgaplus.config import plan
from sgaplus.config.references import validated

from .configurations import CONFIG, PROBABILITIES, SMALL, overlaid, refusal, small, swept

TABLES = ("1_temperature", "2_shape", "3_classes")


def test_the_demo_needs_only_its_own_data_sets_and_models(demo):
    own = load_configfile(CONFIG / "demo.yaml")
    refinements = plan.refinements(demo).values()
    assert {refinement.dataset for refinement in refinements} <= set(own["datasets"])
    assert {refinement.model for refinement in refinements} <= set(own["models"])
    for model in own["models"].values():
        assert model["dataset"] in own["datasets"] if plan.trained_here(model) else bundled(model).is_file()
    assert demo["training"]["evaluate_on"] in own["datasets"]
    assert all("package" in dataset for dataset in own["datasets"].values())  # nothing to download


def bundled(model: dict) -> Path:
    """The file of a model that comes with the repository."""
    return CONFIG.parent / model["path"]


def test_the_demo_makes_every_artifact_of_the_paper(paper, demo):
    assert demo["experiments"].keys() > paper["experiments"].keys()
    for name, entry in demo["experiments"].items():
        if name in paper["experiments"]:
            assert entry.get("figure") == paper["experiments"][name].get("figure")
        assert bool(plan.refinements(demo, name)) == ("dataset" in entry)


def test_the_demo_is_small(demo):
    refinements = plan.refinements(demo).values()
    assert max(refinement.steps for refinement in refinements) <= 1000
    for name in {refinement.model for refinement in refinements}:
        model = demo["models"][name]
        N, M = (model["N"], model["M"]) if plan.trained_here(model) else widths(load_state(bundled(model)))
        assert N <= 64
        assert M <= 160


def test_a_laptop_makes_every_artifact_of_the_paper_at_2000_steps_on_all_of_kodak_under_the_small_models(paper):
    laptop = validated(overlaid("config.yaml", "laptop.yaml"))
    left_out = {"bd_clic", "codecs_kodak", "ms_ssim_kodak"}
    of_the_paper = paper["experiments"].keys() - left_out
    assert laptop["experiments"].keys() >= of_the_paper  # and its own
    for name in of_the_paper:
        entry, theirs = laptop["experiments"][name], paper["experiments"][name]
        assert [entry.get(key) for key in ("figure", "table", "steps")] == [
            theirs.get(key) for key in ("figure", "table", "steps")
        ]
    assert {laptop["datasets"][name]["count"] for name in ("kodak_centres", "kodak_small")} == {24}
    assert all(len(laptop["experiments"][f"table{number}"]["seeds"]) == 3 for number in TABLES)
    used = {refinement.model for refinement in plan.refinements(laptop).values()}
    assert len(used) == 7
    assert all(bundled(laptop["models"][name]).is_file() for name in used)


def test_the_small_models_have_the_papers_lambdas_and_no_more_than_half_of_its_channels(paper):
    small = validated(overlaid("config.yaml", "small.yaml"))
    lmbdas = {model["lmbda"]: model["N"] for model in paper["models"].values()}
    models = [small["models"][name] for name in small["bundle"]]
    assert [model["lmbda"] for model in models] == sorted(lmbdas)
    assert all(model["N"] <= lmbdas[model["lmbda"]] // 2 for model in models)
    assert [model["M"] for model in models] == sorted(model["M"] for model in models)
    assert {model["dataset"] for model in models} == {"photographs"}
    assert small["training"]["evaluate_on"] == "kodak"


def test_the_models_for_a_gpu_are_twice_as_wide_at_the_same_lambdas(paper):
    small, larger = (validated(overlaid("config.yaml", file)) for file in ("small.yaml", "gpu-small.yaml"))
    ours, theirs = ([config["models"][name] for name in config["bundle"]] for config in (small, larger))
    assert [model["lmbda"] for model in theirs] == [model["lmbda"] for model in ours]
    assert all(model["N"] >= 2 * our["N"] for model, our in zip(theirs, ours, strict=True))


def numbers(settings: dict) -> list[str]:
    """The settings that are numbers: 2 and 2.0 are one."""
    return [key for key, value in settings.items() if isinstance(value, int | float)]


def distinct(config: dict) -> set[str]:
    """Every combination that some experiment asks for, written out with all settings that decide its result."""
    found = set()
    for entry in config["experiments"].values():
        if "dataset" in entry:
            for model, name, seed in itertools.product(entry["models"], entry["methods"], entry["seeds"]):
                own = {key: value for key, value in config["methods"][name].items() if key not in plan.PRESENTATION}
                for target in entry.get("targets", [config["models"][model]["lmbda"]]):
                    for values in itertools.product(*entry.get("sweep", {}).values()):
                        swept = dict(zip(entry.get("sweep", {}), values, strict=True))
                        settings = {"method": name} | own | own["parameters"] | swept
                        settings |= {"parameters": None} | {key: float(settings[key]) for key in numbers(settings)}
                        found.add(json.dumps([entry["dataset"], model, float(target), seed, settings], sort_keys=True))
    return found


@pytest.mark.parametrize("overlay", [None, "demo.yaml", "fast.yaml"])
def test_every_combination_that_experiments_ask_for_is_refined_once(overlay):
    config = validated(overlaid("config.yaml", *filter(None, [overlay])))
    assert len(plan.refinements(config)) == len(distinct(config))
    for name, entry in config["experiments"].items():
        assert len(plan.refinements(config, name)) == len(distinct(config | {"experiments": {name: entry}}))


def test_the_search_for_fast_settings_is_around_them_and_is_confirmed_on_other_photographs(paper):
    search = validated(overlaid("config.yaml", "fast.yaml"))
    methods, experiments = search["methods"], search["experiments"]
    assert methods == paper["methods"]
    grids = [experiments[name] for name in experiments if name.startswith("search_")]
    assert {model for grid in grids for model in grid["models"]} < set(experiments["fast_confirmed"]["models"])
    assert {grid["dataset"] for grid in grids}.isdisjoint({experiments["fast_confirmed"]["dataset"]})
    for grid in grids:
        (method,) = grid["methods"]
        found = methods[method]
        for name, values in grid["sweep"].items():
            assert min(values) < (found["parameters"] | found)[name] < max(values)
        assert grid["steps"] == [found["steps"]]


@pytest.mark.parametrize("settings", ["parameters", "searched"])
def test_the_search_for_three_class_settings_is_around_them_and_on_other_images(paper, settings):
    grids = [paper["experiments"][name] for name in ("grid_three_classes", "grid_three_class_shape")]
    shown = {entry.get("dataset") for entry in paper["experiments"].values() if entry not in grids}
    for grid in grids:
        assert grid["dataset"] not in shown
        for method, (name, values) in itertools.product(grid["methods"], grid["sweep"].items()):
            assert min(values) < paper["methods"][method][settings][name] < max(values)
            assert paper["methods"][method][settings][name] in values


def test_a_refinement_that_figures_share_is_one_job(paper):
    """Figures 2 and 7, Tables 1 and 3, and more, show SSL on Kodak at lambda 0.01."""
    ssl = ("kodak", "mshp_lmbda0.01", "0.01", "ssl", "0")
    sharing = [name for name in paper["experiments"] if ssl in plan.refinements(paper, name)]
    assert {"fig2_true_loss", "fig7_kodak_rd", "fig4_multi_rate", "table1_temperature", "table3_classes"} < set(sharing)
    assert sum(ssl in keys for keys in plan.parts(paper).values()) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_parts_hold_every_refinement_once_and_never_more_than_they_may(size):
    changes = {"models": ["low", "high"], "seeds": [0, 1]}
    config = small(**{f"experiments.curves.{key}": value for key, value in changes.items()})
    config["refinement"] = {"refinements_per_job": size}
    config = validated(config)
    parts = plan.parts(config)
    assert sorted(key for keys in parts.values() for key in keys) == sorted(plan.refinements(config))
    assert all(len(keys) <= size for keys in parts.values())
    assert all(key[:2] == part[:2] for part, keys in parts.items() for key in keys)
    # as few as that allows: 4 refinements under each of two models
    assert len(parts) == 2 * -(-4 // size)


@pytest.mark.parametrize(
    ("experiment", "target"),
    [("fig2_true_loss", "fig2"), ("table1_temperature", "table1"), ("figment", "figment"), ("bd_kodak", "bd_kodak")],
)
def test_artifacts_of_the_paper_have_short_names(experiment, target):
    assert plan.short_name(experiment) == target


def test_no_two_experiments_share_a_target(paper, demo):
    for config in (paper, demo):
        names = [plan.short_name(name) for name in config["experiments"]]
        assert len(set(names)) == len(names)


def test_settings_of_the_paper_are_the_papers(paper):
    """Section 4.1 and 4.6, and the table of models in the authors' code."""
    table = {model["lmbda"]: (model["N"], model["M"], model["steps"]) for model in paper["models"].values()}
    middle = dict.fromkeys((0.0025, 0.005, 0.01, 0.02), (192, 192, 2_000_000))
    assert table == {0.001: (128, 128, 10**6), **middle, 0.04: (256, 256, 2 * 10**6), 0.08: (256, 256, 3 * 10**6)}
    training = paper["training"]
    assert [training[key] for key in ("batch_size", "crop", "lr", "lr_schedule")] == [32, 256, 1e-4, "constant"]
    lr = {name: method["lr"] for name, method in paper["methods"].items()}
    ours = {"ssl_fast": 0.04, "ssl_faster": 0.05, "ssl_thorough": 0.02}
    assert lr == dict.fromkeys(lr, 5e-3) | {"ste": 1e-4} | ours
    assert paper["methods"]["sga"]["tau_max"] == 0.5
    for name in ("linear", "cosine", "ssl", "linear3", "cosine3", "ssl3"):
        assert [paper["methods"][name][key] for key in ("tau_max", "cooling", "steps")] == [1.0, 2.0, 2000]


def test_probabilities_need_only_methods():
    config = validated(small(**{"experiments.p": PROBABILITIES}))
    assert plan.refinements(config, "p") == {}


@pytest.mark.parametrize("order", [["curves", "table"], ["table", "curves"]])
def test_a_refinement_that_experiments_share_is_one_with_the_steps_of_all(order):
    config = validated(small(experiments={name: SMALL["experiments"][name] for name in order}))
    union = plan.refinements(config)
    assert {key[3] for key in union} == {"sga", "ssl"}
    shared = union["photos", "low", "0.01", "sga", "0"]
    assert (shared.steps, shared.record) == (40, {10, 20, 40})
    alone = union["photos", "low", "0.01", "ssl", "0"]
    assert (alone.steps, alone.record) == (20, {20})
    # one job serves both, so either experiment knows the union's
    assert plan.refinements(config, "curves") == union
    assert plan.refinements(config, "table") == {shared.key: shared}


def test_an_experiment_may_have_its_refinements_measured_more_often_and_those_that_share_them_with_it():
    config = validated(small(**{"experiments.curves.record_every": 8}))
    union = plan.refinements(config)
    assert union["photos", "low", "0.01", "ssl", "0"].record == {0, 8, 16, 20}
    assert union["photos", "low", "0.01", "sga", "0"].record == {0, 8, 10, 16, 20, 40}


def test_the_figure_over_steps_is_measured_often_enough_to_show_peaks(paper):
    for refinement in plan.refinements(paper, "fig2_true_loss").values():
        assert refinement.record >= set(range(0, 2001, 5))


def test_an_experiment_selects_every_combination():
    changes = {"models": ["low", "high"], "targets": [0.5, 2], "seeds": [0, 1], "methods": ["sga", "ssl"]}
    config = validated(small(**{f"experiments.curves.{key}": value for key, value in changes.items()}))
    keys = set(plan.refinements(config, "curves"))
    assert keys == {
        ("photos", model, target, method, seed)
        for model in ("low", "high")
        for target in ("0.5", "2")
        for method in ("sga", "ssl")
        for seed in ("0", "1")
    }


def test_without_targets_each_model_keeps_its_own_lambda():
    config = validated(small(**{"experiments.curves.models": ["low", "high"]}))
    targets = {(one.model, one.target) for one in plan.refinements(config, "curves").values()}
    assert targets == {("low", 0.01), ("high", 0.02)}


def test_a_sweep_shares_the_method_itself_where_the_value_is_its_own():
    config = validated(swept({"tau_max": [0.5, 1.0]}))
    selected = plan.refinements(config, "sweep")
    assert {one.variant for one in selected.values()} == {"sga", "sga_tau_max1", "ssl", "ssl_tau_max0.5"}
    assert selected["photos", "low", "0.01", "sga", "0"].steps == 40  # the table's, which sweeps nothing


@pytest.mark.parametrize("parameter", plan.SWEEPABLE)
def test_a_setting_of_the_method_may_be_swept(parameter):
    config = validated(swept({parameter: [0.25]}))
    for one in plan.refinements(config, "sweep").values():
        assert one.variant == f"{one.method}_{parameter}0.25"
        own = config["methods"][one.method]
        assert one.settings == {key: own[key] for key in own if key not in plan.PRESENTATION} | {parameter: 0.25}


def test_a_swept_parameter_of_the_rounding_goes_to_its_parameters():
    config = validated(swept({"a": [1, 2.3]}, "ssl"))
    selected = plan.refinements(config, "sweep")
    assert {one.variant for one in selected.values()} == {"ssl", "ssl_a1"}
    assert selected["photos", "low", "0.01", "ssl_a1", "0"].settings["parameters"] == {"a": 1}
    assert config["methods"]["ssl"]["parameters"] == {"a": 2.3}  # the entry keeps its own


def test_a_sweep_of_two_parameters_tries_every_combination():
    config = swept({"a": [1, 2.3], "tau_max": [0.5, 1.0]}, "ssl")
    config["experiments"]["sweep"] |= {"table": "grid"}
    variants = {one.variant for one in plan.refinements(validated(config), "sweep").values()}
    assert variants == {"ssl", "ssl_tau_max0.5", "ssl_a1", "ssl_a1_tau_max0.5"}


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({"tau_max": [0.5, 0]}, ".tau_max: 0 is less than or equal to the minimum of 0. It is: Highest temperature."),
        ({"tau_max": [0.5, -0.5]}, ".tau_max: -0.5 is less than or equal to the minimum of 0."),
        ({"tau_max": [0.5, 1.5]}, ".tau_max: 1.5 is greater than the maximum of 1."),
        ({"cooling": [-1]}, ".cooling: -1 is less than the minimum of 0."),
        ({"lr": [0]}, ".lr: 0 is less than or equal to the minimum of 0."),
        ({"lr": ["1e-4"]}, ".lr.0: '1e-4' is not of type 'number' (YAML reads 1e-4 as text; write 1.0e-4)"),
        (
            {"tau_mx": [0.5]},
            ": methods.sga has no 'tau_mx' to sweep. Did you mean 'tau_max'? Known: cooling, lr, tau_max.",
        ),
        ({"a": [1]}, ": methods.sga has no 'a' to sweep. Known: cooling, lr, tau_max."),
        ({"steps": [10]}, ": methods.sga has no 'steps' to sweep. Known: cooling, lr, tau_max."),
        ({}, ": {} should be non-empty. It is: One parameter"),
        ({"lr": [1], "tau_max": [1], "cooling": [1]}, ": {'lr': [1], 'tau_max': [1], 'cooling': [1]} has too many"),
    ],
)
def test_a_wrong_sweep_is_refused(sweep, said):
    assert refusal(swept(sweep)).startswith(f"experiments.sweep.sweep{said}")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (swept({"tau_max": [0.2, 0.20000001]}), "experiments.sweep: {}photos/low/0.01/sga_tau_max0.2/0"),
        (swept({"tau_max": [0.50000001, 0.5000000001]}), "experiments.sweep: {}photos/low/0.01/sga_tau_max0.5/0"),
        (small(**{"experiments.curves.targets": [0.1, 0.1 + 1e-9]}), "experiments.curves: {}photos/low/0.1/sga/0"),
        (small(**{"experiments.table.targets": [0.01 + 1e-9]}), "experiments.table: {}photos/low/0.01/sga/0"),
    ],
    ids=["sweep", "sweep beside the method's own", "targets", "targets of two experiments"],
)
def test_refinements_that_would_share_a_file_name_are_refused(config, said):
    message = refusal(config)
    assert message.startswith(said.format("two different refinements are both written '"))
    assert message.endswith("Round the values of the sweep or of the targets, or rename the method.")


def test_a_method_with_steps_of_its_own_has_the_counts_up_to_those():
    config = validated(small(**{"methods.sga.steps": 30, "experiments.table.methods": ["sga", "ssl"]}))
    refinement = plan.refinements(config)["photos", "low", "0.01", "sga", "0"]
    assert (refinement.steps, refinement.record) == (20, {10, 20})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods.sga.steps": 5}, "experiments.curves.steps: asks for 20, but methods.sga.steps is 5."),
        ({"methods.sga.steps": 15}, "experiments.curves.steps: asks for 20, but methods.sga.steps is 15."),
        (
            {
                "methods.sga.steps": 30,
                "experiments.table.table": "budget",
                "experiments.table.against": "sga",
                "experiments.table.methods": ["sga", "ssl"],
            },
            "experiments.table.steps: asks for 40, but methods.sga.steps is 30.",
        ),
        (
            {
                "methods.ssl.steps": 30,
                "experiments.table.table": "classes",
                "experiments.table.methods": ["sga", "ssl"],
            },
            "experiments.table.steps: asks for 40, but methods.ssl.steps is 30.",
        ),
    ],
    ids=["all counts", "the only one", "what others are compared with", "an artifact of the last one"],
)
def test_more_steps_than_the_method_runs_are_refused(changes, said):
    assert refusal(small(**changes)) == f"{said} Ask for at most that many."


def test_a_method_stops_where_no_experiment_asks_for_more():
    config = validated(small(**{"methods.sga.steps": 100}))
    refinement = plan.refinements(config)["photos", "low", "0.01", "sga", "0"]
    assert (refinement.steps, refinement.record) == (40, {10, 20, 40})


def test_more_steps_than_any_method_has_are_refused():
    changes = {"methods.sga.steps": 30, "methods.ssl.steps": 30, "experiments.table.methods": ["sga", "ssl"]}
    assert refusal(small(**changes)) == (
        "experiments.table.steps: asks for 40, but none of its methods has more than 30. "
        "Ask for at most that many, or raise methods.sga.steps."
    )


@pytest.mark.parametrize(("count", "size", "jobs"), [(24, 8, 3), (25, 8, 4), (1, 8, 1), (8, 1, 8), (7, 8, 1)])
def test_the_last_chunk_may_be_smaller(count, size, jobs):
    assert plan.chunks(count, size) == jobs
