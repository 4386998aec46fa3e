# Checks the configuration, expands it into what must be made, and holds the helpers of all rules.
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path

from snakemake.exceptions import WorkflowError

from sgaplus import code_version, stale_lock
from sgaplus.artifacts import kinds
from sgaplus.config import needed, plan, references
from sgaplus.data import datasets as data_sets
from sgaplus.data import inventory, manifest
from sgaplus.data.remote import RemoteFile
from sgaplus.errors import SgaplusError
from sgaplus.refinement import rounding_source
from sgaplus.training import recipe

# Threads that spin while they wait stop each other where jobs share cores: two trainings of two threads on two
# cores ran four times slower. Jobs inherit it, and it is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    MANIFEST = manifest.read()
    config = references.validated(config)
    SOURCES = data_sets.sources(config["datasets"], MANIFEST)
    REFINEMENTS = plan.refinements(config)
    PARTS = plan.parts(config)
    CHUNKS = {
        dataset: plan.chunks(
            data_sets.count(SOURCES, dataset),
            config["refinement"]["images_per_job"],
        )
        for dataset in {refinement.dataset for refinement in REFINEMENTS.values()}
    }
except SgaplusError as error:
    raise WorkflowError(str(error)) from None

DATA = Path(config["data_folder"]).expanduser()
RUN = f"results/{config['run']}"
GPU = 0 if config["device"] == "cpu" else 1
PUBLISHED = expand("config/published_{what}.csv", what=["rd", "losses"])
ENVIRONMENT = "../../envs/sgaplus.yaml"

TABLES = [name for name, entry in config["experiments"].items() if "table" in entry]
FIGURES = [name for name, entry in config["experiments"].items() if "figure" in entry]
QUALITATIVE = [
    name
    for name in FIGURES
    if kinds.find("figure", config["experiments"][name]["figure"]).bitstreams
]
TABLE_FORMATS = ["csv", "md", "html", "tex"]
TABLE_FILES = expand(
    f"{RUN}/tables/{{table}}.{{suffix}}", table=TABLES, suffix=TABLE_FORMATS
)
FIGURE_FILES = expand(
    f"{RUN}/figures/{{figure}}.{{suffix}}", figure=FIGURES, suffix=["pdf", "png"]
)
MODEL_FILES = sorted(
    {
        f"{RUN}/models/{refinement.model}/model.pth"
        for refinement in REFINEMENTS.values()
    }
)
TRAINED = [
    name
    for name, entry in config["models"].items()
    if plan.trained_here(entry) and f"{RUN}/models/{name}/model.pth" in MODEL_FILES
]
TRAINING_FIGURE = (
    expand(f"{RUN}/figures/training.{{suffix}}", suffix=["pdf", "png"])
    if TRAINED
    else []
)
JUDGED = sorted({claim["experiment"] for claim in config["claims"].values()})
CLAIM_FILES = expand(f"{RUN}/claims.{{suffix}}", suffix=TABLE_FORMATS if JUDGED else [])
COST_FILES = expand(f"{RUN}/tables/run_cost.{{suffix}}", suffix=TABLE_FORMATS)
ARTIFACTS = [*TABLE_FILES, *FIGURE_FILES, *TRAINING_FIGURE, *CLAIM_FILES, *COST_FILES]
OPTIONAL = needed.optional(config, SOURCES, DATA)
DATASET_FILES = {
    name: f"{RUN}/datasets/{name}.csv"
    for name in config["datasets"]
    if name not in OPTIONAL
}


wildcard_constraints:
    **{
        name: r"[A-Za-z0-9][A-Za-z0-9._-]*"
        for name in ("dataset", "model", "table", "figure", "experiment")
    },
    part=r"\d+",
    chunk=r"\d+",


def growing(megabytes):
    """The memory of a job that a cluster may run: on each retry more, as too little may have been why it failed."""
    return lambda wildcards, attempt: megabytes * attempt


def code_of(script):
    """The version of what a rule's script runs; looked up only for jobs that are looked at."""
    return lambda wildcards: code_version.of_script(script)


def code_of_kind(script, family):
    """The versions of a script and of the function that makes an experiment's figure or table."""

    def versions(wildcards):
        entry = config["experiments"][wildcards[family]]
        kind = kinds.find(family, entry[family])
        return [code_version.of_script(script), kind.code()]

    return versions


def code_of_checks(wildcards):
    """The versions of the script that judges claims and of the checks that it does."""
    checks = sorted({claim["check"] for claim in config["claims"].values()})
    codes = [kinds.find("check", check).code() for check in checks]
    return [code_version.of_script("judge_claims"), *codes]


def refinements_of(wildcards):
    """The refinements that a job does, as plain values that Snakemake can compare between runs."""
    keys = PARTS[(wildcards.dataset, wildcards.model, wildcards.part)]
    entries = [asdict(REFINEMENTS[key]) for key in keys]
    return [entry | {"record": sorted(entry["record"])} for entry in entries]


def versions_of(roundings):
    """The versions of roundings, which code that makes them by their names does not tell."""
    return {name: rounding_source.code(name) for name in sorted(set(roundings))}


def roundings_of(wildcards):
    """The versions of the roundings that a job uses."""
    entries = refinements_of(wildcards)
    return versions_of(entry["settings"]["rounding"] for entry in entries)


def drawn_roundings(wildcards):
    """The versions of the roundings that a figure draws itself, where it draws no records: Figure 1."""
    selected = experiment_of(wildcards.figure)
    refines = kinds.find("figure", selected["experiment"]["figure"]).refines
    methods = [] if refines else selected["methods"].values()
    return versions_of(method["rounding"] for method in methods)


def refinement_options(wildcards, threads):
    """How a refinement is run. Snakemake compares no parameter that depends on threads: this changes no result."""
    return {"memory_mb": config["refinement"]["memory_mb"]}


def recipe_of(wildcards):
    """What decides how a model turns out, beside its own entry."""
    entry = config["models"][wildcards.model]
    return asdict(recipe.Recipe.of(entry, config["training"]))


def training_options(wildcards, threads):
    """How a training is run and watched. As in `refinement_options`, this changes no model."""
    watching = config["training"].keys() - recipe.Recipe.__annotations__.keys()
    return {key: config["training"][key] for key in sorted(watching)} | {
        "device": config["device"]
    }


def variants_of(wildcards):
    """What a job does, for its message: methods, with target and seed where they are not the usual ones."""
    own = config["models"][wildcards.model]["lmbda"]
    return ", ".join(
        entry["variant"]
        + f" toward {entry['target']:g}" * (entry["target"] != own)
        + f" with seed {entry['seed']}" * (entry["seed"] != 0)
        for entry in refinements_of(wildcards)
    )


def records_of(experiment=None):
    """The record files in which every refinement is found that an experiment selects, or that any does."""
    selected = plan.refinements(config, experiment)
    return [
        f"{RUN}/refinements/{dataset}/{model}/part{part}_chunk{chunk}.parquet"
        for (dataset, model, part), keys in PARTS.items()
        if not selected.keys().isdisjoint(keys)
        for chunk in range(CHUNKS[dataset])
    ]


def streams_of(experiment):
    """The bitstreams of every refinement that an experiment selects."""
    return [str(Path(file).with_suffix(".zip")) for file in records_of(experiment)]


def artifact_of(experiment):
    """What shows an experiment on a page: its figure or, if it has none, its table."""
    if experiment in FIGURES:
        return f"{RUN}/figures/{experiment}.png"
    return f"{RUN}/tables/{experiment}.html"


def files_of_experiment(experiment):
    """All files of an experiment's figure and table."""
    return [
        file for file in [*FIGURE_FILES, *TABLE_FILES] if Path(file).stem == experiment
    ]


def experiment_of(name):
    """An experiment's entry, and the methods that it names."""
    entry = config["experiments"][name]
    return {
        "experiment": entry,
        "methods": {method: config["methods"][method] for method in entry["methods"]},
    }


def absent(places, suffix=""):
    """A pattern of those places in the data folder where, with the suffix, nothing is yet.

    What is there has no rule that makes it. So Snakemake never deletes it, nor makes it again because
    the code or an address changed, and a file that was put there by hand is used; index_dataset and
    unpack verify it.
    """
    return (
        "|".join(
            re.escape(place)
            for place in places
            if not (DATA / f"{place}{suffix}").exists()
        )
        or "none^"
    )


def files_of(wildcards):
    """The files that a data set is indexed from, so that a new or changed one is noticed; none if none is there yet.

    Large folders of images are left to their index: stating a million files would slow every start.
    """
    try:
        files = SOURCES[wildcards.dataset].inputs(DATA)
    except SgaplusError:
        return []  # the rule says what is wrong
    return files if len(files) <= 10_000 else []


def parts_of(wildcards):
    """The indexes of the data sets that a data set consists of."""
    parts = SOURCES[wildcards.dataset].needs
    return expand(f"{RUN}/datasets/{{part}}.csv", part=parts)


def source_of(wildcards):
    """A data set's entry, without the key that does not change its images."""
    source = config["datasets"][wildcards.dataset]
    return {key: value for key, value in source.items() if key != "archive"}


def archive_of(wildcards):
    """The place of the archive whose images come into a folder."""
    return DATA / manifest.filling(MANIFEST, wildcards.folder).key


def start_of(wildcards):
    """The model whose weights a training starts from, if any."""
    start = config["models"][wildcards.model].get("start_from")
    return f"{RUN}/models/{start}/model.pth" if start else []


def evaluation_index(wildcards):
    """The index of the images that a training is evaluated on, if any."""
    dataset = config["training"].get("evaluate_on")
    return f"{RUN}/datasets/{dataset}.csv" if dataset else []


def weights_of(wildcards):
    """The file of a model that is not trained here: a path, or what its url is downloaded to."""
    entry = config["models"][wildcards.model]
    if "path" in entry:
        return Path(entry["path"]).expanduser()
    return DATA / place_of_weights(wildcards.model)


def place_of_weights(model):
    """The place in the data folder of the weights of a model with a url."""
    return f"models/{model}/{RemoteFile.at(config['models'][model]['url']).name}"


def names_of_models(trained):
    """A pattern of the models that are trained here, or of those that are brought in."""
    names = [
        name
        for name, entry in config["models"].items()
        if plan.trained_here(entry) == trained
    ]
    return "|".join(map(re.escape, names)) or "none^"


def figure_records(wildcards):
    """The records that a figure reads, if it reads any."""
    entry = config["experiments"][wildcards.figure]
    return f"{RUN}/records/{wildcards.figure}.parquet" if "dataset" in entry else []
