from __future__ import annotations

import copy
import math
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from sgaplus.codec.hyperprior import load_state, widths
from sgaplus.config import settings
from sgaplus.errors import ConfigError
from sgaplus.refinement import rounding_source

CONFIG = Path(__file__).parents[3] / "config"
SCHEMA = yaml.safe_load(settings.SCHEMA.read_text())

SMALL = yaml.safe_load("""
run: test
datasets:
  photos: {path: photos}
  tiny: {package: skimage.data, files: [coffee.png]}
models:
  low: {lmbda: 0.01, N: 8, M: 8, steps: 10, dataset: tiny}
  high: {lmbda: 0.02, path: high.pth}
methods:
  sga: {label: SGA, rounding: sga, tau_max: 0.5}
  ssl: {label: SSL, rounding: ssl, parameters: {a: 2.3}}
experiments:
  curves: {title: Curves, figure: loss_curves, dataset: photos, models: [low], methods: [sga, ssl], steps: [20]}
  table: {title: Table, table: steps, dataset: photos, models: [low], methods: [sga], steps: [10, 40]}
""")


def parent(config: dict, place: str) -> tuple[dict, str]:
    """The mapping that a dotted place lies in, and its key there."""
    *path, key = place.split(".")
    for name in path:
        config = config.setdefault(name, {})
    return config, key


def small(**changes) -> dict:
    """The small configuration, with values put at dotted places: small(**{"models.low.lmbda": 1})."""
    config = copy.deepcopy(SMALL)
    for place, value in changes.items():
        entry, key = parent(config, place)
        entry[key] = value
    return config


def without(place: str) -> dict:
    config = small()
    entry, key = parent(config, place)
    del entry[key]
    return config


def swept(sweep: dict, *methods: str) -> dict:
    """The small configuration with a table of a sweep, of SGA and SSL unless other methods are named."""
    entry = {"title": "Sweep", "table": "sweep", "dataset": "photos", "models": ["low"], "steps": [20]}
    return small(**{"experiments.sweep": entry | {"methods": list(methods or ("sga", "ssl")), "sweep": sweep}})


def overlaid(*names: str | dict) -> dict:
    """Configurations laid over one another as Snakemake does, from left to right."""
    config: dict = {}
    for name in names:
        update_config(config, load_configfile(CONFIG / name) if isinstance(name, str) else name)
    return config


def refusal(config: dict) -> str:
    """The line that a configuration is refused with."""
    with pytest.raises(ConfigError) as caught:
        settings.validated(config)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def paper() -> dict:
    return settings.validated(overlaid("config.yaml"))


@pytest.fixture(scope="module")
def demo() -> dict:
    return settings.validated(overlaid("config.yaml", "demo.yaml"))


def test_the_demo_needs_only_its_own_data_sets_and_models(demo):
    own = load_configfile(CONFIG / "demo.yaml")
    refinements = settings.refinements(demo).values()
    assert {refinement.dataset for refinement in refinements} <= set(own["datasets"])
    assert {refinement.model for refinement in refinements} <= set(own["models"])
    for model in own["models"].values():
        assert model["dataset"] in own["datasets"] if settings.trained_here(model) else bundled(model).is_file()
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
        assert bool(settings.refinements(demo, name)) == ("dataset" in entry)


def test_the_demo_is_small(demo):
    refinements = settings.refinements(demo).values()
    assert max(refinement.steps for refinement in refinements) <= 1000
    for name in {refinement.model for refinement in refinements}:
        model = demo["models"][name]
        N, M = (model["N"], model["M"]) if settings.trained_here(model) else widths(load_state(bundled(model)))
        assert N <= 64
        assert M <= 96


def test_the_small_models_have_the_papers_lambdas_and_no_more_than_a_quarter_of_its_channels(paper):
    small = settings.validated(overlaid("config.yaml", "small.yaml"))
    lmbdas = {model["lmbda"]: model["N"] for model in paper["models"].values()}
    models = [small["models"][name] for name in small["bundle"]]
    assert [model["lmbda"] for model in models] == sorted(lmbdas)
    assert all(model["N"] <= lmbdas[model["lmbda"]] // 4 for model in models)
    assert [model["M"] for model in models] == sorted(model["M"] for model in models)
    assert {model["dataset"] for model in models} == {"photographs"}
    assert small["training"]["evaluate_on"] == "kodak"


def test_the_paper_is_a_known_number_of_refinements(paper):
    """Counted by hand, each experiment's own; what an earlier one has is not counted again."""
    new = {
        "fig2_true_loss": 4,  # ste, uniform, sga, ssl at one lambda
        "table1_temperature": 4 * 5 - 1,  # four methods at five temperatures; SSL at its own is Figure 2's
        "table2_shape": 8,  # none of which is SSL's own
        "table3_classes": 3,  # the three-class ones; SSL is Figure 2's, linear and cosine are Table 1's
        "grid_three_classes": 3 * 4 * 5 - 3,  # three methods; the configured setting of each is Table 3's
        # at SSL's own a the three values of r are, with its own n, on the other grid
        "grid_three_class_shape": 4 * 3 - 3,
        "fig3_tecnick_rd": 7 * 4,
        "fig7_kodak_rd": 6 * 4,  # at lambda 0.01 Figure 2's
        "fig4_multi_rate": 7 * 7 - 7,  # toward their own lambda Figure 7's
        # eleven methods, three seeds; with the first, deterministic annealing and the fast setting are new
        "methods_by_steps": 11 * 2 + 2,
        "bd_kodak": 7 * 6,  # the seven methods that Figure 7 lacks, at the six other lambdas
    }
    assert len(settings.refinements(paper)) == sum(new.values()) == 260
    selected: set = set()
    for name in paper["experiments"]:
        keys = settings.refinements(paper, name).keys()
        assert len(keys - selected) == new.get(name, 0), name
        selected |= keys


def test_the_demo_is_a_known_number_of_refinements(demo):
    curves = 7 * 4 + 7 * 2  # Figure 7, and Figures 3 and 8 on other photographs
    # on the small photographs, at lambda 0.01: every method, and what each sweep adds to it
    small = 11 + (4 * 5 - 3) + 8 + (3 * 3 * 3 - 3) + (3 * 3 - 3)
    targets = 7 * 7 - 1  # SSL at lambda 0.01 is among them
    assert len(settings.refinements(demo)) == curves + small + targets + 7 + 2 == 165


def test_the_search_for_the_fast_setting_is_around_it_and_is_confirmed_on_other_photographs(paper):
    search = settings.validated(overlaid("config.yaml", "fast.yaml"))
    found, experiments = search["methods"]["ssl_fast"], search["experiments"]
    assert found == paper["methods"]["ssl_fast"]
    grids = [experiments[name] for name in experiments if name.startswith("search_")]
    assert {model for grid in grids for model in grid["models"]} < set(experiments["fast_confirmed"]["models"])
    assert {grid["dataset"] for grid in grids}.isdisjoint({experiments["fast_confirmed"]["dataset"]})
    for grid in grids:
        for name, values in grid["sweep"].items():
            assert min(values) < (found["parameters"] | found)[name] < max(values)
    assert found["steps"] <= 500


def test_a_refinement_that_figures_share_is_one_job(paper):
    """Figures 2 and 7, Tables 1 and 3, and more, show SSL on Kodak at lambda 0.01."""
    ssl = ("kodak", "mshp_lmbda0.01", "0.01", "ssl", "0")
    sharing = [name for name in paper["experiments"] if ssl in settings.refinements(paper, name)]
    assert {"fig2_true_loss", "fig7_kodak_rd", "fig4_multi_rate", "table1_temperature", "table3_classes"} < set(sharing)
    assert sum(ssl in keys for keys in settings.parts(paper).values()) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_parts_hold_every_refinement_once_and_never_more_than_they_may(size):
    changes = {"models": ["low", "high"], "seeds": [0, 1]}
    config = small(**{f"experiments.curves.{key}": value for key, value in changes.items()})
    config["refinement"] = {"refinements_per_job": size}
    config = settings.validated(config)
    parts = settings.parts(config)
    assert sorted(key for keys in parts.values() for key in keys) == sorted(settings.refinements(config))
    assert all(len(keys) <= size for keys in parts.values())
    assert all(key[:2] == part[:2] for part, keys in parts.items() for key in keys)
    # as few as that allows: 4 refinements under each of two models
    assert len(parts) == 2 * -(-4 // size)


@pytest.mark.parametrize(
    ("experiment", "target"),
    [("fig2_true_loss", "fig2"), ("table1_temperature", "table1"), ("figment", "figment"), ("bd_kodak", "bd_kodak")],
)
def test_artifacts_of_the_paper_have_short_names(experiment, target):
    assert settings.short_name(experiment) == target


def test_no_two_experiments_share_a_target(paper, demo):
    for config in (paper, demo):
        names = [settings.short_name(name) for name in config["experiments"]]
        assert len(set(names)) == len(names)


def test_settings_of_the_paper_are_the_papers(paper):
    """Section 4.1 and 4.6, and the table of models in the authors' code."""
    table = {model["lmbda"]: (model["N"], model["M"], model["steps"]) for model in paper["models"].values()}
    middle = dict.fromkeys((0.0025, 0.005, 0.01, 0.02), (192, 192, 2_000_000))
    assert table == {0.001: (128, 128, 10**6), **middle, 0.04: (256, 256, 2 * 10**6), 0.08: (256, 256, 3 * 10**6)}
    training = paper["training"]
    assert [training[key] for key in ("batch_size", "crop", "lr", "lr_schedule")] == [32, 256, 1e-4, "constant"]
    lr = {name: method["lr"] for name, method in paper["methods"].items()}
    assert lr == dict.fromkeys(lr, 5e-3) | {"ste": 1e-4, "ssl_fast": 0.04}  # which is ours
    assert paper["methods"]["sga"]["tau_max"] == 0.5
    for name in ("linear", "cosine", "ssl", "linear3", "cosine3", "ssl3"):
        assert (paper["methods"][name]["tau_max"], paper["methods"][name]["tau_rate"]) == (1.0, 1e-3)


def test_defaults_are_filled_in_at_every_level():
    config = settings.validated(small())
    assert config["device"] == "auto"
    assert config["training"]["batch_size"] == 32
    assert config["training"]["clip_norm"] is None
    assert config["refinement"]["images_per_job"] == 8
    assert config["methods"]["ssl"]["tau_max"] == 1.0
    assert config["methods"]["sga"]["parameters"] == {}
    assert config["experiments"]["curves"]["seeds"] == [0]


def test_what_is_said_is_not_overwritten_by_a_default():
    config = settings.validated(small(device="cpu", **{"training.crop": 64, "experiments.curves.seeds": [3]}))
    assert config["device"] == "cpu"
    assert config["training"]["crop"] == 64
    assert config["methods"]["sga"]["tau_max"] == 0.5
    assert config["experiments"]["curves"]["seeds"] == [3]


def test_validation_leaves_its_argument_as_it_was():
    config = small()
    settings.validated(config)
    assert config == small()


def test_entries_do_not_share_their_defaults():
    config = settings.validated(small(**{"methods.ste": {"label": "STE", "rounding": "ste"}}))
    config["methods"]["sga"]["parameters"]["a"] = 1
    assert config["methods"]["ste"]["parameters"] == {}
    assert settings.validated(small())["methods"]["sga"]["parameters"] == {}


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
        ("methods.sga.tau_rate", -1),
        ("methods.sga.lr", 0),
        ("methods.sga.marker", "oo"),
        ("refinement.images_per_job", 0),
        ("refinement.memory_mb", 99),
        ("experiments.curves.steps", []),
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
        ("datasets.photos", None, "nothing (null) is not of type 'mapping'."),
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


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("datasets.photos", {"manifest": "kodac"}, "datasets.photos.manifest: no entry 'kodac'. Did you mean 'kodak'?"),
        (
            "datasets.photos",
            {"manifest": "clic", "splits": ["mobile_vald"]},
            "datasets.photos.splits: no entry 'mobile_vald'. Did you mean 'mobile_valid'?",
        ),
        ("datasets.photos", {"parts": ["tny"]}, "datasets.photos.parts: no entry 'tny'. Did you mean 'tiny'?"),
        ("models.low.dataset", "phots", "models.low.dataset: no entry 'phots'. Did you mean 'photos'?"),
        ("models.low.start_from", "hihg", "models.low.start_from: no entry 'hihg'. Did you mean 'high'?"),
        ("methods.ssl.rounding", "sll", "methods.ssl.rounding: there is no rounding 'sll'. Did you mean 'ssl'?"),
        ("methods.ssl.parameters", {"aa": 1}, "methods.ssl.parameters: no entry 'aa'. Did you mean 'a'?"),
        ("methods.sga.parameters", {"a": 1}, "methods.sga.parameters: no entry 'a'. Known: none."),
        ("experiments.curves.dataset", "tny", "experiments.curves.dataset: no entry 'tny'. Did you mean 'tiny'?"),
        ("experiments.curves.models", ["low", "hi"], "experiments.curves.models: no entry 'hi'. Did you mean 'high'?"),
        ("experiments.curves.methods", ["sll"], "experiments.curves.methods: no entry 'sll'. Did you mean 'ssl'?"),
    ],
)
def test_a_name_without_an_entry_is_refused_and_the_right_one_suggested(place, value, said):
    assert refusal(small(**{place: value})).startswith(said)


@pytest.mark.parametrize("chain", [["photos"], ["photos", "b"], ["photos", "b", "c"]])
def test_data_sets_that_are_parts_of_themselves_are_refused(chain):
    config = small()
    for name, part in zip(chain, [*chain[1:], chain[0]], strict=True):
        config["datasets"][name] = {"parts": ["tiny", part]}
    message = refusal(config)
    assert message == f"datasets.photos.parts: {' -> '.join([*chain, 'photos'])} is a circle."


@pytest.mark.parametrize("below", [{"manifest": "kodak"}, {"parts": ["tiny"]}])
def test_a_path_goes_before_where_a_data_set_would_come_from(below):
    settings.validated(small(**{"datasets.photos": below | {"path": "photos"}}))


@pytest.mark.parametrize("chain", [["low"], ["low", "b"], ["low", "b", "c"]])
def test_models_that_start_from_each_other_are_refused(chain):
    config = small()
    for model, start in zip(chain, [*chain[1:], chain[0]], strict=True):
        config["models"][model] = config["models"]["low"] | {"start_from": start}
    message = refusal(config)
    assert message.startswith(f"models.low.start_from: {' -> '.join([*chain, 'low'])} is a circle")


def test_a_model_may_start_from_one_that_starts_from_another():
    config = small()
    for model, start in (("b", "low"), ("c", "b")):
        config["models"][model] = config["models"]["low"] | {"start_from": start}
    assert settings.validated(config)["models"]["c"]["start_from"] == "b"


@pytest.mark.parametrize("width", ["N", "M"])
def test_a_model_starts_from_one_that_is_as_wide_at_most(width):
    config = small(**{"models.narrow": SMALL["models"]["low"] | {"start_from": "low", width: 4}})
    assert refusal(config) == (
        f"models.narrow.start_from: low has {width} = 8 and this model only {width} = 4. Make it as wide."
    )
    config["models"]["narrow"][width] = 16
    settings.validated(config)
    config["models"]["narrow"] |= {width: 4, "start_from": "high"}  # of widths that only its file knows
    settings.validated(config)


def test_a_path_goes_before_the_keys_of_a_training(paper):
    config = overlaid("config.yaml", {"models": {"mshp_lmbda0.01": {"path": "mine.pth"}}})
    assert settings.refinements(settings.validated(config)) == settings.refinements(paper)
    settings.validated(small(**{"models.high": SMALL["models"]["low"] | {"path": "x", "N": 9, "start_from": "low"}}))


PROBABILITIES = {"title": "Figure 1", "figure": "probabilities", "methods": ["sga"]}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (without("experiments.curves.figure"), "experiments.curves: needs either figure or table."),
        (without("datasets.photos.path"), "datasets.photos: needs either path or package and files or manifest or pa"),
        (without("datasets.tiny.files"), "datasets.tiny: needs either path or package and files or manifest or parts."),
        (small(**{"datasets.tiny.path": "photos"}), "datasets.tiny: has path and package, which name different images"),
        (
            small(**{"datasets.photos": {"manifest": "kodak", "parts": ["tiny"]}}),
            "datasets.photos: has manifest and pa",
        ),
        (small(**{"datasets.photos.splits": ["all"]}), "datasets.photos: 'manifest' is a dependency of 'splits'."),
        (small(**{"datasets.photos.archive": "a.tar"}), "datasets.photos: 'manifest' is a dependency of 'archive'."),
        (
            small(**{"datasets.photos": {"manifest": "kodak", "archive": "kodak.tar"}}),
            "datasets.photos.archive: kodak can be downloaded. Leave it out, or name the images by `path`.",
        ),
        (small(**{"datasets.photos.package": "skimage"}), "datasets.photos: 'files' is a dependency of 'package'."),
        (small(**{"datasets.photos.files": ["a.png"]}), "datasets.photos: 'package' is a dependency of 'files'."),
        (without("models.low.N"), "models.low: needs either path or url or N and M and steps and dataset."),
        *(
            (without(f"experiments.curves.{key}"), f"experiments.curves: needs {key} for loss_curves.")
            for key in ("dataset", "models", "methods", "steps")
        ),
        (small(**{"experiments.table.table": "sweep"}), "experiments.table: needs sweep for sweep."),
        *(
            (small(**{f"experiments.curves.{artifact}": kind}), f"experiments.curves: needs {key} for {kinds}.")
            for artifact, kind, kinds, key in (
                ("figure", "multi_rate", "multi_rate", "targets"),
                ("figure", "qualitative", "qualitative", "targets"),
                ("figure", "grid", "grid", "sweep"),
                ("table", "bd", "loss_curves and bd", "against"),
                ("table", "cost", "loss_curves and cost", "against"),
                ("table", "budget", "loss_curves and budget", "against"),
            )
        ),
        (swept({"tau_max": [0.5], "lr": [1]}), "experiments.sweep.sweep: sweep is about 1 parameter(s), not 2."),
        (
            small(**{"experiments.table.table": "bd", "experiments.table.against": "sga"}),
            "experiments.table.models: bd is about a rate-distortion curve. Name two models or more.",
        ),
        (
            small(**{"experiments.curves.figure": "multi_rate", "experiments.curves.targets": [1]}),
            "experiments.curves.methods: multi_rate is about one method. Name one.",
        ),
        (
            small(**{"experiments.table.table": "classes"}),
            "experiments.table: classes needs methods in pairs, of two classes and of three, and two step counts.",
        ),
        (
            small(**{"experiments.table.table": "cost", "experiments.table.against": "slg"}),
            "experiments.table.against: no entry 'slg'. Did you mean 'sga'?",
        ),
        (
            small(**{"experiments.p": {"title": "Figure 1", "figure": "probabilities"}}),
            "experiments.p: needs methods for probabilities.",
        ),
    ],
)
def test_an_entry_is_complete_and_makes_its_choice(config, said):
    assert refusal(config).startswith(said)


@pytest.mark.parametrize(
    ("experiment", "key", "value"),
    [
        ("curves", "bitrate", "actual"),
        ("curves", "differences", ["sga"]),
        ("table", "panels", ["psnr"]),
        ("table", "sweep", {"tau_max": [0.5]}),
        ("p", "dataset", "photos"),
        ("p", "models", ["low"]),
        ("p", "steps", [20]),
        ("p", "targets", [1]),
        ("p", "sweep", {"tau_max": [0.5]}),
    ],
)
def test_a_key_that_would_change_nothing_is_refused(experiment, key, value):
    config = small(**{"experiments.p": dict(PROBABILITIES)})
    config["experiments"][experiment][key] = value
    kind = {"curves": "loss_curves", "table": "steps", "p": "probabilities"}[experiment]
    assert refusal(config) == f"experiments.{experiment}: {key} means nothing to {kind}; leave it out."


CLAIM = {"text": "It is so.", "source": "Section 1", "experiment": "curves"}


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"check": "lower_loss", "method": "ssl"}, "claims.c: needs than for lower_loss."),
        ({"check": "covers", "method": "ssl"}, "claims.c: method means nothing to covers; leave it out."),
        ({"check": "covers", "experiment": "curvs"}, "claims.c.experiment: no entry 'curvs'. Did you mean 'curves'?"),
        ({"check": "converge", "methods": ["sla"]}, "claims.c: experiments.curves has no method 'sla'. Did you mean"),
        ({"check": "lower_loss", "method": "ssl", "than": ["base"]}, "claims.c: experiments.curves has no method 'ba"),
        ({"check": "lower"}, "claims.c.check: 'lower' is not one of"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused(claim, said):
    assert refusal(small(claims={"c": CLAIM | claim})).startswith(said)


def test_bits_may_be_compared_with_the_base_model():
    claim = CLAIM | {"check": "fewer_bits", "method": "ssl", "than": ["base", "sga"]}
    assert settings.validated(small(claims={"c": claim}))["claims"]["c"] == claim


def test_what_checks_need_and_what_they_judge_are_the_same_list():
    from sgaplus.artifacts import claims

    assert claims.CHECKS.keys() == settings.CLAIM_NEEDS.keys()


def test_every_kind_of_artifact_has_its_function():
    from sgaplus.artifacts import figures, tables

    kinds = SCHEMA["properties"]["experiments"]["additionalProperties"]["properties"]
    assert set(kinds["figure"]["enum"]) == {*figures.FIGURES, "probabilities", "qualitative"}
    assert set(kinds["table"]["enum"]) == set(tables.TABLES)


def test_probabilities_need_only_methods():
    config = settings.validated(small(**{"experiments.p": PROBABILITIES}))
    assert settings.refinements(config, "p") == {}


@pytest.mark.parametrize("order", [["curves", "table"], ["table", "curves"]])
def test_a_refinement_that_experiments_share_is_one_with_the_steps_of_all(order):
    config = settings.validated(small(experiments={name: SMALL["experiments"][name] for name in order}))
    union = settings.refinements(config)
    assert {key[3] for key in union} == {"sga", "ssl"}
    shared = union["photos", "low", "0.01", "sga", "0"]
    assert (shared.steps, shared.record) == (40, {10, 20, 40})
    alone = union["photos", "low", "0.01", "ssl", "0"]
    assert (alone.steps, alone.record) == (20, {20})
    # one job serves both, so either experiment knows the union's
    assert settings.refinements(config, "curves") == union
    assert settings.refinements(config, "table") == {shared.key: shared}


def test_an_experiment_selects_every_combination():
    changes = {"models": ["low", "high"], "targets": [0.5, 2], "seeds": [0, 1], "methods": ["sga", "ssl"]}
    config = settings.validated(small(**{f"experiments.curves.{key}": value for key, value in changes.items()}))
    keys = set(settings.refinements(config, "curves"))
    assert keys == {
        ("photos", model, target, method, seed)
        for model in ("low", "high")
        for target in ("0.5", "2")
        for method in ("sga", "ssl")
        for seed in ("0", "1")
    }


def test_without_targets_each_model_keeps_its_own_lambda():
    config = settings.validated(small(**{"experiments.curves.models": ["low", "high"]}))
    targets = {(one.model, one.target) for one in settings.refinements(config, "curves").values()}
    assert targets == {("low", 0.01), ("high", 0.02)}


def test_a_sweep_shares_the_method_itself_where_the_value_is_its_own():
    config = settings.validated(swept({"tau_max": [0.5, 1.0]}))
    selected = settings.refinements(config, "sweep")
    assert {one.variant for one in selected.values()} == {"sga", "sga_tau_max1", "ssl", "ssl_tau_max0.5"}
    assert selected["photos", "low", "0.01", "sga", "0"].steps == 40  # the table's, which sweeps nothing


@pytest.mark.parametrize("parameter", settings.SWEEPABLE)
def test_a_setting_of_the_method_may_be_swept(parameter):
    config = settings.validated(swept({parameter: [0.25]}))
    for one in settings.refinements(config, "sweep").values():
        assert one.variant == f"{one.method}_{parameter}0.25"
        own = config["methods"][one.method]
        assert one.settings == {key: own[key] for key in own if key not in settings.PRESENTATION} | {parameter: 0.25}


def test_a_swept_parameter_of_the_rounding_goes_to_its_parameters():
    config = settings.validated(swept({"a": [1, 2.3]}, "ssl"))
    selected = settings.refinements(config, "sweep")
    assert {one.variant for one in selected.values()} == {"ssl", "ssl_a1"}
    assert selected["photos", "low", "0.01", "ssl_a1", "0"].settings["parameters"] == {"a": 1}
    assert config["methods"]["ssl"]["parameters"] == {"a": 2.3}  # the entry keeps its own


def test_a_sweep_of_two_parameters_tries_every_combination():
    config = swept({"a": [1, 2.3], "tau_max": [0.5, 1.0]}, "ssl")
    config["experiments"]["sweep"] |= {"table": "grid"}
    variants = {one.variant for one in settings.refinements(settings.validated(config), "sweep").values()}
    assert variants == {"ssl", "ssl_tau_max0.5", "ssl_a1", "ssl_a1_tau_max0.5"}


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({"tau_max": [0.5, 0]}, ".tau_max: 0 is less than or equal to the minimum of 0. It is: Highest temperature."),
        ({"tau_max": [0.5, -0.5]}, ".tau_max: -0.5 is less than or equal to the minimum of 0."),
        ({"tau_max": [0.5, 1.5]}, ".tau_max: 1.5 is greater than the maximum of 1."),
        ({"tau_rate": [-1]}, ".tau_rate: -1 is less than the minimum of 0."),
        ({"lr": [0]}, ".lr: 0 is less than or equal to the minimum of 0."),
        ({"lr": ["1e-4"]}, ".lr.0: '1e-4' is not of type 'number' (YAML reads 1e-4 as text; write 1.0e-4)"),
        ({"tau_mx": [0.5]}, ": methods.sga has no 'tau_mx' to sweep. Did you mean 'tau_max'? Known: lr, tau_max, tau_"),
        ({"a": [1]}, ": methods.sga has no 'a' to sweep. Known: lr, tau_max, tau_rate."),
        ({"steps": [10]}, ": methods.sga has no 'steps' to sweep. Known: lr, tau_max, tau_rate."),
        ({}, ": {} should be non-empty. It is: One parameter"),
        ({"lr": [1], "tau_max": [1], "tau_rate": [1]}, ": {'lr': [1], 'tau_max': [1], 'tau_rate': [1]} has too many"),
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
    config = settings.validated(small(**{"methods.sga.steps": 30}))
    refinement = settings.refinements(config)["photos", "low", "0.01", "sga", "0"]
    assert (refinement.steps, refinement.record) == (30, {10, 20})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods.sga.steps": 5}, "experiments.curves.steps: asks for 20, but methods.sga.steps is 5."),
        ({"methods.sga.steps": 15}, "experiments.curves.steps: asks for 20, but methods.sga.steps is 15."),
        (
            {"methods.sga.steps": 30, "experiments.table.table": "budget", "experiments.table.against": "sga"},
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


def test_a_claim_about_more_steps_than_the_method_runs_is_refused():
    claim = CLAIM | {"check": "lower_loss", "experiment": "table", "method": "ssl", "than": ["sga"]}
    config = small(**{"methods.ssl.steps": 30, "experiments.table.methods": ["sga", "ssl"]}, claims={"c": claim})
    assert refusal(config) == "claims.c: is about 40 steps, but methods.ssl.steps is 30. Leave it out."
    settings.validated(config | {"claims": {"c": claim | {"steps": 10}}})


def test_a_method_with_steps_of_its_own_always_runs_them():
    config = settings.validated(small(**{"methods.sga.steps": 100}))
    refinement = settings.refinements(config)["photos", "low", "0.01", "sga", "0"]
    assert (refinement.steps, refinement.record) == (100, {10, 20, 40})


@pytest.mark.parametrize(("count", "size", "jobs"), [(24, 8, 3), (25, 8, 4), (1, 8, 1), (8, 1, 8), (7, 8, 1)])
def test_the_last_chunk_may_be_smaller(count, size, jobs):
    assert settings.chunks(count, size) == jobs


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
        assert all(f"`{choice}`" in meaning + unit for choice in inner.get("enum", [])), key
        if "default" in inner:
            assert yaml.safe_load(default.strip("`")) == inner["default"], key
        else:
            assert default == ("required" if key in schema.get("required", []) else "none"), key


def test_the_readme_has_every_rounding_with_its_parameters():
    (table,) = re.findall(r"^\| Rounding \|.*?\n\n", README, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", table, re.MULTILINE)
    known = {name: set(rounding_source.parameters(name)) for name in rounding_source.names()}
    assert {name: set(re.findall(r"\b(\w+) =", text)) for name, text in rows} == known


def test_the_readme_has_every_setting_that_may_be_swept():
    meaning = documented("experiments")["sweep"][0]
    assert all(f"`{setting}`" in meaning for setting in settings.SWEEPABLE)


EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
(OWN_ROUNDING,) = re.findall(r"^```python\n# mine.py\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.split(":")[0])
@pytest.mark.parametrize("below", [["config.yaml"], ["config.yaml", "demo.yaml"]], ids=["paper", "demo"])
def test_an_example_of_the_readme_is_a_good_configuration(example, below, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(OWN_ROUNDING)
    monkeypatch.chdir(tmp_path)
    changes = yaml.safe_load(example)
    config = settings.validated(overlaid(*below, copy.deepcopy(changes)))
    for name in changes.get("experiments", {}):
        assert settings.refinements(config, name)


def test_the_readme_has_its_examples():
    assert len(EXAMPLES) == 9
