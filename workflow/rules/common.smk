# Checks the configuration, expands it into what must be made, and holds the helpers of all rules.
import re
from dataclasses import asdict
from pathlib import Path

from snakemake.exceptions import WorkflowError

from sgaplus import config as settings
from sgaplus import images
from sgaplus.errors import SgaplusError

try:
    config = settings.validated(config)
    REFINEMENTS = settings.refinements(config)
    CHUNKS = {
        dataset: settings.chunks(
            config["datasets"][dataset].get("count")
            or len(images.find(config["datasets"][dataset])),
            config["refinement"]["images_per_job"],
        )
        for dataset in {refinement.dataset for refinement in REFINEMENTS.values()}
    }
except SgaplusError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{config['run']}"
GPU = 0 if config["device"] == "cpu" else 1
ENVIRONMENT = "../../envs/sgaplus.yaml"

TABLES = [name for name, entry in config["experiments"].items() if "table" in entry]
FIGURES = [name for name, entry in config["experiments"].items() if "figure" in entry]
TABLE_FILES = expand(
    f"{RUN}/tables/{{table}}.{{suffix}}", table=TABLES, suffix=["csv", "md", "html"]
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
    if "path" not in entry and f"{RUN}/models/{name}/model.pth" in MODEL_FILES
]
TRAINING_FIGURE = (
    expand(f"{RUN}/figures/training.{{suffix}}", suffix=["pdf", "png"])
    if TRAINED
    else []
)
DATASET_FILES = expand(f"{RUN}/datasets/{{dataset}}.csv", dataset=config["datasets"])


wildcard_constraints:
    **{
        name: r"[A-Za-z0-9][A-Za-z0-9._-]*"
        for name in ("dataset", "model", "variant", "table", "figure")
    },
    target=r"[0-9.e+-]+",
    seed=r"\d+",
    chunk=r"\d+",


def refinement_of(wildcards):
    """The refinement that a record file belongs to."""
    return REFINEMENTS[
        (
            wildcards.dataset,
            wildcards.model,
            wildcards.target,
            wildcards.variant,
            wildcards.seed,
        )
    ]


def records_of(experiment):
    """The record files of every refinement that an experiment selects."""
    return [
        f"{RUN}/refinements/{dataset}/{model}/target{target}/{variant}/seed{seed}/chunk{chunk}.parquet"
        for dataset, model, target, variant, seed in settings.refinements(
            config, experiment
        )
        for chunk in range(CHUNKS[dataset])
    ]


def experiment_of(name):
    """An experiment's entry, and the methods that it names."""
    entry = config["experiments"][name]
    return {
        "experiment": entry,
        "methods": {method: config["methods"][method] for method in entry["methods"]},
    }


def files_of(wildcards):
    """The images on disk, so that a new or changed one is noticed; none where there are none yet.

    Large data sets are left to their index: stating a million files would slow every start.
    """
    try:
        files = images.find(config["datasets"][wildcards.dataset])
    except SgaplusError:
        return []  # the rule says what is wrong
    return files if len(files) <= 10_000 else []


def start_of(wildcards):
    """The model whose weights a training starts from, if any."""
    start = config["models"][wildcards.model].get("start_from")
    return f"{RUN}/models/{start}/model.pth" if start else []


def evaluation_index(wildcards):
    """The index of the images that a training is evaluated on, if any."""
    dataset = config["training"].get("evaluate_on")
    return f"{RUN}/datasets/{dataset}.csv" if dataset else []


def names_of_models(trained):
    """A pattern of the models that are trained here, or of those that are brought in."""
    names = [
        name
        for name, entry in config["models"].items()
        if ("path" not in entry) == trained
    ]
    return "|".join(map(re.escape, names)) or "none^"


def refinement_settings(wildcards):
    """A refinement as plain values that Snakemake can compare between runs."""
    refinement = asdict(refinement_of(wildcards))
    return refinement | {"record": sorted(refinement["record"])}


def figure_records(wildcards):
    """The records that a figure reads, if it reads any."""
    entry = config["experiments"][wildcards.figure]
    return f"{RUN}/records/{wildcards.figure}.parquet" if "dataset" in entry else []
