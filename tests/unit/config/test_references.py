from __future__ import annotations

import copy

import pytest
from snakemake.utils import update_config

from sgaplus.config import plan
from sgaplus.config.references import validated, with_nulls

from .configurations import CLAIM, PROBABILITIES, SMALL, overlaid, refusal, small, swept, without

MULTI_RATE = {"figure": "multi_rate", "models": ["low", "high"], "targets": [0.01, 0.02]}


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
        (
            "methods.ssl",
            SMALL["methods"]["ssl"] | {"searched": {"r": 1}, "settings": "paper"},
            "methods.ssl.searched: no entry 'r'.",
        ),
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
    validated(small(**{"datasets.photos": below | {"path": "photos"}}))


def test_only_a_model_that_is_brought_in_may_be_centred_at_zero():
    assert validated(small(**{"models.high.centre": "zero"}))["models"]["high"]["centre"] == "zero"
    message = refusal(small(**{"models.low.centre": "zero"}))
    assert message.startswith("models.low.centre: zero is for a model of `path` or `url`")


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
    assert validated(config)["models"]["c"]["start_from"] == "b"


@pytest.mark.parametrize("width", ["N", "M"])
def test_a_model_starts_from_one_that_is_as_wide_at_most(width):
    config = small(**{"models.narrow": SMALL["models"]["low"] | {"start_from": "low", width: 4}})
    assert refusal(config) == (
        f"models.narrow.start_from: low has {width} = 8 and this model only {width} = 4. Make it as wide."
    )
    config["models"]["narrow"][width] = 16
    validated(config)
    config["models"]["narrow"] |= {width: 4, "start_from": "high"}  # of widths that only its file knows
    validated(config)


def test_a_path_goes_before_the_keys_of_a_training(paper):
    config = overlaid("config.yaml", {"models": {"mshp_lmbda0.01": {"path": "mine.pth"}}})
    assert plan.refinements(validated(config)) == plan.refinements(paper)
    validated(small(**{"models.high": SMALL["models"]["low"] | {"path": "x", "N": 9, "start_from": "low"}}))


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
        (
            swept({"tau_max": [0.5], "lr": [1]}),
            "experiments.sweep.sweep: sweep needs a sweep of one parameter, and has 2.",
        ),
        (
            small(**{"experiments.table.table": "bd", "experiments.table.against": "sga"}),
            "experiments.table.models: bd needs two models or more, and has 1.",
        ),
        (
            small(**{"experiments.curves.figure": "multi_rate", "experiments.curves.targets": [1]}),
            "experiments.curves.models: multi_rate needs two models or more, and has 1.",
        ),
        (
            small(**{"experiments.table.table": "classes"}),
            "experiments.table.methods: classes needs methods in pairs, of two classes and of three, and has 1.",
        ),
        (
            small(**{"experiments.curves.table": "classes"}),
            "experiments.curves.steps: classes needs two step counts, and has 1.",
        ),
        (
            small(**{f"experiments.curves.{key}": value for key, value in MULTI_RATE.items()}),
            "experiments.curves.methods: multi_rate needs one method, and has 2.",
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
        ("table", "record_every", 5),
        ("table", "sweep", {"tau_max": [0.5]}),
        ("curves", "r", 0.5),
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


@pytest.mark.parametrize("check", ["fewer_bits", "more_bits"])
def test_bits_may_be_compared_with_the_base_model(check):
    claim = CLAIM | {"check": check, "method": "ssl", "than": ["base", "sga"]}
    config = small(**{"experiments.curves.models": ["low", "high"]}, claims={"c": claim})
    assert validated(config)["claims"]["c"] == claim


CURVES = {"title": "Curves", "figure": "rate_distortion", "dataset": "photos", "models": ["low", "high"], "steps": [20]}
CURVES |= {"methods": ["sga", "ssl"]}


def test_anchors_are_classical_codecs_and_what_is_published_for_the_data_set():
    entry = CURVES | {"dataset": "kodak", "anchors": ["jpeg", "jxl", "VTM (CompressAI)"]}
    config = small(**{"datasets.kodak": {"path": "kodak"}, "experiments.curves": entry})
    assert validated(config)["experiments"]["curves"] == entry | {"seeds": [0]}


@pytest.mark.parametrize("anchor", ["jpg", "VTM (CompressAI)"])
def test_an_anchor_that_has_no_curve_is_refused(anchor):
    message = refusal(small(**{"experiments.curves": CURVES | {"anchors": ["jpeg", anchor]}}))
    assert message.startswith(
        f"experiments.curves.anchors: {anchor!r} is no classical codec, and none of the codecs that "
        "config/published_rd.csv has for a data set 'photos'."
    )
    assert ("Did you mean 'jpeg'?" in message) == (anchor == "jpg")


def test_anchors_mean_nothing_to_a_figure_without_them():
    message = refusal(small(**{"experiments.curves.anchors": ["jpeg"]}))
    assert message.startswith("experiments.curves: anchors means nothing to loss_curves")


@pytest.mark.parametrize("check", ["fewer_bits", "more_bits"])
def test_bits_may_be_compared_with_an_anchor_of_the_experiment(check):
    claim = CLAIM | {"check": check, "method": "ssl", "than": ["base", "jpeg"]}
    changes = {"experiments.curves": CURVES | {"anchors": ["jpeg"]}}
    assert validated(small(**changes, claims={"c": claim}))["claims"]["c"] == claim
    other = claim | {"than": ["webp"]}
    assert refusal(small(**changes, claims={"c": other})).startswith(
        "claims.c: experiments.curves has no method 'webp'"
    )
    lower = CLAIM | {"check": "lower_loss", "method": "ssl", "than": ["jpeg"]}
    assert refusal(small(**changes, claims={"c": lower})).startswith(
        "claims.c: experiments.curves has no method 'jpeg'"
    )


def test_bits_of_real_files_are_compared_after_the_last_step():
    claim = CLAIM | {"check": "fewer_bits", "method": "ssl", "than": ["base"], "steps": 20}
    config = small(**{"experiments.curves": CURVES | {"steps": [40], "bitrate": "actual"}}, claims={"c": claim})
    assert refusal(config).startswith(
        "claims.c.steps: experiments.curves.bitrate is actual, and bitstreams are written"
    )


def test_ms_ssim_needs_large_pictures_and_anchors_that_are_measured():
    entry = CURVES | {"methods": ["ssl"], "quality": "ms_ssim", "anchors": ["jpeg"]}
    validated(small(**{"experiments.curves": entry}))
    cropped = small(**{"experiments.curves": entry, "datasets.photos.crop": [200, 160]})
    assert refusal(cropped).startswith("experiments.curves.quality: ms_ssim needs pictures of 161 pixels a side, and")
    kodak = {"datasets.kodak": {"path": "kodak"}, "experiments.curves.dataset": "kodak"}
    published = small(**{"experiments.curves": entry | {"anchors": ["VTM (CompressAI)"]}, **kodak})
    assert refusal(published).startswith(
        "experiments.curves.anchors: VTM (CompressAI) is published with its PSNR alone."
    )


def test_haarpsi_is_there_for_smaller_pictures():
    entry = CURVES | {"methods": ["ssl"], "quality": "haarpsi", "anchors": ["jpeg"]}
    validated(small(**{"experiments.curves": entry, "datasets.photos.crop": [200, 160]}))
    cropped = small(**{"experiments.curves": entry, "datasets.photos.crop": [15, 160]})
    assert refusal(cropped).startswith("experiments.curves.quality: haarpsi needs pictures of 16 pixels a side, and")


@pytest.mark.parametrize("quality", ["ms_ssim", "haarpsi", "lpips", "dists"])
def test_similarities_and_distances_need_bitstreams(quality):
    entry = CURVES | {"quality": quality, "steps": [20, 40]}
    message = refusal(small(**{"experiments.curves": entry}))
    assert message.startswith(
        f"experiments.curves.quality: {quality} needs bitstreams, which are written after the last"
    )
    assert message.endswith("or write `quality: psnr`.")
    claim = CLAIM | {"check": "fewer_bits", "method": "ssl", "than": ["base"], "steps": 20}
    config = small(**{"experiments.curves": entry | {"steps": [40]}}, claims={"c": claim})
    assert refusal(config).startswith(f"claims.c.steps: experiments.curves.quality is {quality}, and bitstreams are")


SWEPT = {"tau_max": [0.5, 1.0]}


@pytest.mark.parametrize(
    ("claim", "experiment", "said"),
    [
        (
            {"check": "best_value", "methods": ["ssl"], "values": [1.0], "within": 0.001},
            {},
            "claims.c.experiment: best_value needs a sweep of one parameter, which experiments.judged has not.",
        ),
        (
            {"check": "best_value", "methods": ["ssl"], "values": [0.7], "within": 0.001},
            {"table": "sweep", "sweep": SWEPT},
            "claims.c.values: 0.7 is not in the sweep of experiments.judged.",
        ),
        (
            {"check": "best_value", "methods": ["ssl"], "values": [1.0], "within": 0.001},
            {"table": "sweep", "sweep": {"tau_max": [1.0]}},
            "claims.c.experiment: experiments.judged sweeps one value, so there is nothing to compare.",
        ),
        (
            {"check": "best_value", "methods": ["ssl"], "values": [0.5, 1.0], "within": 0.001},
            {"table": "sweep", "sweep": SWEPT},
            "claims.c.values: has all of the sweep of experiments.judged, so there is none to compare with.",
        ),
        (
            {"check": "equal_values", "methods": ["ssl"], "values": [1.0], "within": 0.001},
            {"table": "sweep", "sweep": SWEPT},
            "claims.c.values: equal_values compares two values or more, and has one.",
        ),
        (
            {"check": "near_best", "method": "ssl", "within": 0.001},
            {"table": "sweep", "sweep": SWEPT, "methods": ["ssl"]},
            "claims.c.experiment: near_best needs two methods or more, which experiments.judged has not.",
        ),
        (
            {"check": "gains_most_at_the_ends", "method": "ssl", "than": ["sga"]},
            {"models": ["low", "high"]},
            "claims.c.experiment: gains_most_at_the_ends needs three models or more, which experiments.judged has not.",
        ),
        (
            {"check": "diverges", "method": "ssl", "steps": 20},
            {"steps": [20]},
            "claims.c.steps: diverges compares 20 steps with the last, which they are.",
        ),
        (
            {"check": "base_as_published", "published": ["mbt2018-mean (CompressAI)"], "within": 0.05},
            {"models": ["low", "high"]},
            "claims.c.published: config/published_rd.csv has no 'mbt2018-mean (CompressAI)' for a data set 'photos'.",
        ),
        (
            {"check": "less_sensitive", "method": "ssl", "than": ["sga"]},
            {},
            "claims.c.experiment: less_sensitive needs a sweep of one parameter, which experiments.judged has not.",
        ),
        (
            {"check": "better_at_its_rate", "method": "ssl"},
            MULTI_RATE | {"methods": ["ssl"]},
            "claims.c.experiment: better_at_its_rate needs image, which experiments.judged has not.",
        ),
        (
            {"check": "covers"},
            {"targets": [0.01, 0.02], "methods": ["ssl"]},
            "claims.c.experiment: covers needs two models or more, which experiments.judged has not.",
        ),
        (
            {"check": "fewer_bits", "method": "ssl", "than": ["base"]},
            {},
            "claims.c.experiment: fewer_bits needs two models or more, which experiments.judged has not.",
        ),
        (
            {"check": "gains_most", "method": "ssl"},
            {"methods": ["ssl", "sga", "ste"]},
            "claims.c.experiment: gains_most needs methods in pairs, of two classes and of three, which",
        ),
        (
            {"check": "gains_most", "method": "ssl"},
            {"methods": ["sga", "ssl"]},
            "claims.c.method: ssl is the three-class one of its pair.",
        ),
        (
            {"check": "lower_loss", "method": "ssl", "than": ["sga"], "steps": 333},
            {"steps": [500]},
            "claims.c.steps: 333 is not measured. Name one of 500, or a multiple of 20 below the last.",
        ),
        (
            {"check": "lower_loss", "method": "ssl", "than": ["sga"], "steps": 1000},
            {"steps": [500]},
            "claims.c.steps: 1000 is not measured.",
        ),
        (
            {"check": "lower_loss", "method": "ssl", "than": ["ssl"]},
            {},
            "claims.c.than: ssl would be compared with itself.",
        ),
        (
            {"check": "alike", "methods": ["ssl", "sga", "ste"], "within": 0.1},
            {"methods": ["ssl", "sga", "ste"]},
            "claims.c.methods: alike needs two `methods`, and has 3.",
        ),
        (
            {"check": "converge", "methods": ["ssl"]},
            {"steps": [10, 20]},
            "claims.c.methods: converge needs two `methods` or more, and has 1.",
        ),
        (
            {"check": "converge", "methods": ["ssl", "sga"]},
            {},
            "claims.c.experiment: converge needs two step counts or more, which experiments.judged has not.",
        ),
    ],
)
def test_a_claim_that_its_experiment_cannot_show_is_refused(claim, experiment, said):
    judged = SMALL["experiments"]["curves"] | experiment
    if "table" in judged:
        del judged["figure"]
    ste = {"label": "STE", "rounding": "ste"}
    config = small(
        **{"experiments.judged": judged, "methods.ste": ste}, claims={"c": CLAIM | {"experiment": "judged"} | claim}
    )
    assert refusal(config).startswith(said)


def test_published_gains_are_compared_lambda_by_lambda():
    claim = {"check": "gains_as_published", "method": "sga", "published": ["SGA (Yang 2020)"], "decibels": 0.2}
    config = small(
        **{"datasets.kodak": {"path": "kodak"}, "experiments.curves.models": ["low", "high"]},
        **{"experiments.curves.dataset": "kodak", "claims": {"c": CLAIM | claim}},
    )
    assert refusal(config).startswith("claims.c.experiment: SGA (Yang 2020) has 7 lambdas, and the models of exper")


def test_a_claim_about_an_experiment_that_refines_nothing_is_refused():
    claim = CLAIM | {"check": "lower_loss", "experiment": "p", "method": "ssl", "than": ["sga"]}
    config = small(**{"experiments.p": PROBABILITIES | {"methods": ["sga", "ssl"]}}, claims={"c": claim})
    assert refusal(config).startswith("claims.c.experiment: experiments.p refines nothing, so there is nothing to ju")


@pytest.mark.parametrize("step", [10, 20, 40])
def test_a_claim_may_be_about_any_step_that_is_measured(step):
    claim = CLAIM | {"check": "lower_loss", "experiment": "table", "method": "ssl", "than": ["sga"], "steps": step}
    validated(small(**{"experiments.table.methods": ["sga", "ssl"]}, claims={"c": claim}))


def test_a_claim_may_be_about_a_step_that_its_experiment_has_measured():
    claim = CLAIM | {"check": "lower_loss", "method": "ssl", "than": ["sga"], "steps": 14}
    assert refusal(small(claims={"c": claim})).startswith("claims.c.steps: 14 is not measured.")
    validated(small(**{"experiments.curves.record_every": 7}, claims={"c": claim}))


def test_real_rates_are_asked_for_only_where_bitstreams_are_written():
    rates = {"title": "R-D", "figure": "rate_distortion", "dataset": "photos", "models": ["low"], "methods": ["ssl"]}
    rates |= {"bitrate": "actual", "steps": [20]}
    validated(small(**{"experiments.rates": rates}))
    message = (
        "experiments.rates.bitrate: actual needs bitstreams, which are written after the last step of a refinement."
    )
    longer = rates | {"title": "Longer", "steps": [60], "bitrate": "estimated"}
    config = small(**{"experiments.rates": rates, "experiments.longer": longer})
    assert refusal(config).startswith(f"{message} ssl ends after 60 steps, and 20 is asked for.")
    assert refusal(small(**{"experiments.rates": rates | {"steps": [20, 60]}})).startswith(message)


def test_a_claim_about_more_steps_than_the_method_runs_is_refused():
    claim = CLAIM | {"check": "lower_loss", "experiment": "table", "method": "ssl", "than": ["sga"]}
    config = small(**{"methods.ssl.steps": 30, "experiments.table.methods": ["sga", "ssl"]}, claims={"c": claim})
    assert refusal(config) == "claims.c: is about 40 steps, but methods.ssl.steps is 30. Leave it out."
    validated(config | {"claims": {"c": claim | {"steps": 10}}})


@pytest.mark.parametrize("place", ["experiments.table", "claims.c", "datasets.spare", "methods.spare", "models.spare"])
def test_an_entry_of_null_is_left_out(place):
    section, name = place.split(".")
    assert name not in validated(small(**{place: None})).get(section, {})


@pytest.mark.parametrize(("settings", "a"), [("paper", 2.3), ("searched", 4)])
def test_a_method_has_the_parameters_that_its_settings_name(settings, a):
    config = validated(small(**{"methods.ssl.searched": {"a": 4}, "methods.ssl.settings": settings}))
    assert config["methods"]["ssl"]["parameters"] == {"a": a}
    refined = plan.refinements(config)["photos", "low", "0.01", "ssl", "0"].settings
    assert refined["parameters"] == {"a": a}
    assert not {"settings", "searched"} & refined.keys()
    assert validated(config) == config  # the configuration of a run is read again for its report


@pytest.mark.parametrize("key", ["searched", "settings"])
def test_searched_parameters_and_the_choice_of_them_go_together(key):
    value = {"searched": {"a": 4}, "settings": "searched"}[key]
    assert refusal(small(**{f"methods.ssl.{key}": value})).startswith("methods.ssl: ")


@pytest.mark.parametrize("place", ["experiments.table", "claims.c"])
def test_what_is_left_out_stays_so_when_the_configuration_is_laid_over_the_same_one_again(place):
    claim = CLAIM | {"check": "lower_loss", "method": "ssl", "than": ["sga"]}
    whole, given = small(claims={"c": claim}), small(**{"claims": {"c": claim}, place: None})
    again = copy.deepcopy(whole)
    update_config(again, with_nulls(validated(given), given))
    assert validated(again) == validated(given)


def test_what_names_an_entry_of_null_is_refused():
    assert refusal(small(**{"methods.ssl": None})).startswith("experiments.curves.methods: no entry 'ssl'.")
    assert refusal(small(**{"datasets.photos": None})).startswith("experiments.curves.dataset: no entry 'photos'.")


COMPARISON = {"experiment": "curves", "method": "ssl", "images": ["a"]}


def test_pictures_are_compared_of_what_an_experiment_refines():
    config = small(**{"experiments.figure1": PROBABILITIES})
    for change, said in (
        ({"experiment": "curvs"}, "comparison.experiment: no entry 'curvs'. Did you mean 'curves'?"),
        ({"experiment": "figure1"}, "comparison.experiment: experiments.figure1 refines nothing"),
        ({"method": "sl"}, "comparison.method: no entry 'sl'. Did you mean 'ssl'?"),
        ({"models": ["lo"]}, "comparison.models: no entry 'lo'. Did you mean 'low'?"),
        ({"images": []}, "comparison.images: "),
    ):
        assert refusal(config | {"comparison": COMPARISON | change}).startswith(said)
    assert validated(config | {"comparison": COMPARISON})["comparison"] == COMPARISON
    assert validated(config)["comparison"] is None
    gone = config["experiments"] | {COMPARISON["experiment"]: None}
    assert validated(config | {"comparison": COMPARISON, "experiments": gone, "claims": {}})["comparison"] is None
