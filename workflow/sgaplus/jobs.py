"""What the workflow's scripts call: one function per rule, and the log that they share."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sgaplus.errors import SgaplusError
from sgaplus.files import replacing, sha256, write_json

if TYPE_CHECKING:
    from sgaplus.codec import Codec

logger = logging.getLogger("sgaplus")

PACKAGES = ("torch", "torchvision", "compressai", "numpy", "pandas", "pyarrow", "pillow", "matplotlib", "snakemake")


@contextmanager
def logged(path: str | Path) -> Iterator[None]:
    """Set up a script's process, and send its messages and errors to the terminal and to the rule's log.

    An error that a user can mend ends the script with its sentence; any other leaves its traceback
    in the log too.
    """
    # Threads that spin while they wait stop each other where jobs share cores: two trainings of two
    # threads on two cores ran four times slower. Read when torch is loaded, so it must come first.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr), logging.FileHandler(path, mode="w")]
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=handlers, force=True)
    logger.setLevel(logging.INFO)
    try:
        yield
    except SgaplusError as error:
        logger.error("error: %s", error)
        sys.exit(1)
    except Exception:
        logger.exception("unexpected error")
        sys.exit(1)


def download(key: str, output: str) -> None:
    """Have a file of the manifest in its place."""
    from sgaplus import downloads, manifest

    downloads.fetch(manifest.named(manifest.read(), "key", key), output)


def download_model(model: Mapping[str, Any], output: str) -> None:
    """Have the weights of a model in their place."""
    from sgaplus import downloads

    downloads.fetch_weights(model["url"], output, model.get("sha256"))


def unpack(folder: str, archive: str, output: str) -> None:
    """Verify an archive of the manifest, and unpack its images into a folder."""
    from sgaplus import archives, images, manifest

    row = manifest.named(manifest.read(), "folder", folder)
    manifest.verify(row, archive)
    count = archives.unpack(archive, output, images.SUFFIXES, row.members)
    logger.info("%d images", count)


def pack_shards(
    folder: str, sources: Mapping[str, Any], default: str, outputs: Mapping[str, str], threads: int
) -> None:
    """Verify the user's own copy of an archive of the manifest, and pack its images into shards."""
    from tqdm import tqdm

    from sgaplus import datasets, manifest, shards

    row = manifest.named(manifest.read(), "folder", folder)
    archive = datasets.archive_of(sources, row, default)
    with tqdm(desc=row.file, total=archive.stat().st_size, unit="B", unit_scale=True, mininterval=1) as bar:
        packed = shards.pack(archive, row, outputs["shards"], outputs["index"], threads, progress=bar.update)
    logger.info("%d images", len(packed))


def index_dataset(source: dict[str, Any], data_folder: str, parts: Mapping[str, str], output: str) -> None:
    """Write the index of a data set's images."""
    from tqdm import tqdm

    from sgaplus import datasets, images

    def progress(files: list[Path]) -> tqdm:
        return tqdm(files, desc=Path(output).stem, unit="image", mininterval=1)

    found = datasets.index(source, Path(data_folder), parts, progress)
    images.write_index(found, output)
    logger.info("%d images, %.1f megapixels", len(found), sum(i.width * i.height for i in found) / 1e6)


def list_datasets(sources: Mapping[str, Any], data_folder: str, indexes: Mapping[str, str], output: str) -> None:
    """Print the table of data sets, and write it; ``indexes`` are those to list as ready, by name."""
    from sgaplus import inventory

    states = [inventory.state(name, sources, indexes.get(name), Path(data_folder)) for name in sources]
    inventory.write_states(states, output)
    print(inventory.table(states))


def train_model(
    model: Mapping[str, Any],
    training: Mapping[str, Any],
    index: str,
    test_index: str | None,
    device: str,
    threads: int,
    start_from: str | None,
    name: str,
    code: str,
    outputs: Mapping[str, str],
) -> None:
    """Train a model on an indexed data set; write its state dict, its metrics and what it was made with.

    A state to go on from, and TensorBoard's events, lie beside the outputs, undeclared: Snakemake
    removes what a rule declares before it runs the rule again.
    """
    import torch

    from sgaplus import devices, images
    from sgaplus.hyperprior import save_state
    from sgaplus.training import Recipe, Supervision, train, write_metrics

    torch.set_num_threads(threads)
    folder = Path(outputs["model"]).parent
    settings = {**training, **model}  # a model may have a learning rate of its own
    recipe = Recipe(**{key: value for key, value in settings.items() if key in Recipe.__annotations__})
    limit = settings["time_limit_minutes"]
    supervision = Supervision(
        label=name,
        data=sha256(index),
        code=code,
        log_every=settings["log_every"],
        evaluate_every=settings["evaluate_every"],
        save_seconds=60 * settings["save_minutes"],
        seconds=None if limit is None else 60 * limit,
        state=folder / "state.pth",
        events=folder / "events",
        workers=settings["workers"],
        cache_bytes=settings["cache_mb"] * 10**6,
        compile=settings["compile"],
    )
    pictures = images.read_index(index)
    tested = images.read_index(test_index) if test_index else []
    trained, rows = train(recipe, pictures, devices.granted(device, settings["gpus"]), supervision, start_from, tested)
    write_metrics(rows, outputs["metrics"])
    card = {"model": dict(model), "training": dict(training), "hardware": devices.describe(), "versions": versions()}
    write_json(card | {"last": rows[-1]}, outputs["card"])
    save_state(trained.state_dict(), outputs["model"])


def bundle_models(
    names: list[str],
    models: list[str],
    metrics: list[str],
    cards: list[str],
    test: str,
    test_index: str,
    threads: int,
    output: str,
) -> None:
    """Write models to give away into the folder of ``output``, with their card, and print their curve."""
    import torch

    from sgaplus import bundle, images

    torch.set_num_threads(threads)
    files = {name: {"model": m, "metrics": t} for name, m, t in zip(names, models, metrics, strict=True)}
    made = {name: json.loads(Path(card).read_text()) for name, card in zip(names, cards, strict=True)}
    table = bundle.write(files, made, test, images.read_index(test_index), Path(output).parent)
    print(table.to_string(index=False))


def check_model(path: str, output: str) -> None:
    """Bring a model that was trained elsewhere into the run, after checking that it is one."""
    from sgaplus.hyperprior import load_state, save_state

    save_state(load_state(path), output)


def refine_chunk(
    index: str,
    model: str,
    chunk: int,
    refinements: Sequence[Mapping[str, Any]],
    model_lmbda: float,
    options: Mapping[str, Any],
    device: str,
    threads: int,
    code: str,
    output: str,
    failed: str,
) -> None:
    """Refine one chunk of a data set's images in several ways, one after another, and write their records.

    The records of each refinement are kept beside the output, undeclared, under a name that follows
    from all that they depend on. So a job that was killed, or of which one method has changed, does
    only what is not there yet.

    Args:
        index: Index file of the data set.
        model: Model file.
        chunk: Number of the chunk, from 0.
        refinements: The settings of each ``config.Refinement``, as a dictionary.
        model_lmbda: Lambda that the model was trained with.
        options: The configuration's ``refinement`` section.
        device, threads: Where, and with how many CPU threads.
        code: Version of the library.
        output: Parquet file of the records of all.
        failed: Where to keep the records so far if a loss stops being finite.
    """
    import torch

    from sgaplus import devices, images, records
    from sgaplus.codec import Codec, as_tensor
    from sgaplus.refinement import NonFiniteLossError

    torch.set_num_threads(threads)
    codec = Codec.load(model, devices.resolve(device))
    members = images.read_index(index)[chunk * options["images_per_job"] :][: options["images_per_job"]]
    parts = [(image.name, image.sha256, image.left, image.top, image.width, image.height) for image in members]
    sources = {"model": sha256(model), "images": parts, "code": code}
    sources |= {"device": codec.device.type, "record_every": options["record_every"], "lmbda": model_lmbda}
    kept = [_kept(output, sources | dict(refinement)) for refinement in refinements]
    pictures: list[tuple[str, Any]] = []
    for refinement, place in zip(refinements, kept, strict=True):
        if place.exists():
            logger.info("%s: done before, in %s", _label(refinement), place)
            continue
        pictures = pictures or [(image.name, as_tensor(image.read())) for image in members]
        try:
            rows = _refine(codec, pictures, refinement, options)
        except NonFiniteLossError as error:
            records.write(_complete(error.rows, members, refinement, model_lmbda), failed)
            logger.error("the records so far are in %s", failed)
            raise
        records.write(_complete(rows, members, refinement, model_lmbda), place)
    records.concatenate(kept, output)


def _kept(output: str, identity: Mapping[str, Any]) -> Path:
    """Where the records of one refinement are kept, by all that they depend on."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()
    return Path(output).parent / "kept" / f"{digest[:32]}.parquet"


def _label(refinement: Mapping[str, Any]) -> str:
    return f"{refinement['model']} {refinement['variant']}, target {refinement['target']:g}, seed {refinement['seed']}"


def _refine(
    codec: Codec, pictures: Sequence[tuple[str, Any]], refinement: Mapping[str, Any], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The rows of one refinement, without what is known from its settings."""
    from sgaplus.refinement import Method, Plan, record_steps, refine

    plan = Plan(
        refinement["target"],
        refinement["steps"],
        record_steps(refinement["steps"], options["record_every"], refinement["record"]),
        refinement["seed"],
        options["memory_mb"] * 10**6,
    )
    outcome = refine(codec, pictures, Method.from_settings(refinement["settings"]), plan, _label(refinement))
    return [row for one in outcome for row in one.rows]


def _complete(
    rows: Iterable[Mapping[str, Any]], members: Sequence[Any], refinement: Mapping[str, Any], model_lmbda: float
) -> list[dict[str, Any]]:
    """Rows with what they share: the refinement's settings, and the sizes of their images."""
    from sgaplus import rounding

    settings = refinement["settings"]
    method = rounding.make(settings["rounding"], **settings["parameters"])
    shared = {
        "model_lmbda": model_lmbda,
        "target_lmbda": refinement["target"],
        **{key: refinement[key] for key in ("dataset", "model", "method", "variant", "seed")},
        **{key: settings[key] for key in ("rounding", "tau_max", "tau_rate", "lr")},
        # all parameters, also those that the configuration leaves at their default
        "parameters": json.dumps(asdict(method)),
    }
    sizes = {image.name: {"width": image.width, "height": image.height} for image in members}
    return [shared | sizes[row["image"]] | dict(row) for row in rows]


def gather(inputs: list[str], keys: Sequence[Sequence[str]], output: str) -> None:
    """The records of an experiment's refinements in one file."""
    from sgaplus import records

    records.concatenate(inputs, output, keys)


def draw_figure(
    records: str | None, experiment: Mapping[str, Any], methods: Mapping[str, Any], outputs: list[str]
) -> None:
    """Draw an experiment's figure."""
    from sgaplus import figures

    figures.draw(records, experiment, methods, outputs)


def draw_training(metrics: Mapping[str, str], outputs: list[str]) -> None:
    """Draw the training curves of models."""
    from sgaplus import figures

    figures.draw_training(metrics, outputs)


def make_table(
    records: str, experiment: Mapping[str, Any], methods: Mapping[str, Any], outputs: Mapping[str, str]
) -> None:
    """Make an experiment's table."""
    from sgaplus import tables
    from sgaplus.records import read

    labels = {name: method["label"] for name, method in methods.items()}
    table = tables.TABLES[experiment["table"]](read([records]), experiment, labels)
    tables.write(table, **outputs)


def describe_run(config: Mapping[str, Any], config_out: str, versions_out: str) -> None:
    """Save the effective configuration and the versions of what computes."""
    with replacing(config_out) as temporary:
        temporary.write_text(yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True))
    write_json(versions(), versions_out)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
