"""What the workflow's scripts call: one function per rule."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sgaplus import code_version, provenance
from sgaplus.files import replacing, sha256, write_json

logger = logging.getLogger("sgaplus")


def download(key: str, output: str) -> None:
    """Have a file of the manifest in its place."""
    from sgaplus.data import downloads, manifest

    downloads.fetch(manifest.named(manifest.read(), "key", key), output)


def download_model(model: Mapping[str, Any], output: str) -> None:
    """Have the weights of a model in their place."""
    from sgaplus.data import downloads

    downloads.fetch_weights(model["url"], output, model.get("sha256"))


def unpack(folder: str, archive: str, output: str) -> None:
    """Verify an archive of the manifest, and unpack its images into a folder."""
    from sgaplus.data import archives, images, manifest

    row = manifest.named(manifest.read(), "folder", folder)
    manifest.verify(row, archive)
    count = archives.unpack(archive, output, images.SUFFIXES, row.members)
    logger.info("%d images", count)


def pack_shards(
    folder: str, sources: Mapping[str, Any], default: str, outputs: Mapping[str, str], threads: int
) -> None:
    """Verify the user's own copy of an archive of the manifest, and pack its images into shards."""
    from tqdm import tqdm

    from sgaplus.data import datasets, manifest, shards

    row = manifest.named(manifest.read(), "folder", folder)
    archive = datasets.archive_of(sources, row, default)
    with tqdm(desc=row.file, total=archive.stat().st_size, unit="B", unit_scale=True, mininterval=1) as bar:
        packed = shards.pack(archive, row, outputs["shards"], outputs["index"], threads, progress=bar.update)
    logger.info("%d images", len(packed))


def index_dataset(source: dict[str, Any], data_folder: str, parts: Mapping[str, str], output: str) -> None:
    """Write the index of a data set's images."""
    from tqdm import tqdm

    from sgaplus.data import datasets, images

    def progress(files: list[Path]) -> tqdm:
        return tqdm(files, desc=Path(output).stem, unit="image", mininterval=1)

    found = datasets.index(source, Path(data_folder), parts, progress)
    images.write_index(found, output)
    logger.info("%d images, %.1f megapixels", len(found), sum(i.width * i.height for i in found) / 1e6)


def list_datasets(sources: Mapping[str, Any], data_folder: str, indexes: Mapping[str, str], output: str) -> None:
    """Print the table of data sets, and write it; ``indexes`` are those to list as ready, by name."""
    from sgaplus.data import inventory

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
    outputs: Mapping[str, str],
) -> None:
    """Train a model on an indexed data set; write its state dict, its metrics and what it was made with.

    States to go on from, and TensorBoard's events, lie beside the outputs, undeclared: Snakemake
    removes what a rule declares before it runs the rule again.
    """
    import torch

    from sgaplus import devices
    from sgaplus.codec.hyperprior import save_state, weights_sha256
    from sgaplus.data import images
    from sgaplus.training.recipe import Recipe
    from sgaplus.training.trainer import Supervision, train, write_metrics

    torch.set_num_threads(threads)
    folder = Path(outputs["model"]).parent
    pictures = images.read_index(index)
    limit = training["time_limit_minutes"]
    supervision = Supervision(
        label=name,
        data=images.digest_of(pictures),
        former_data=sha256(index),
        code=code_version.of_script("train_model"),
        log_every=training["log_every"],
        evaluate_every=training["evaluate_every"],
        save_seconds=60 * training["save_minutes"],
        seconds=None if limit is None else 60 * limit,
        folder=folder,
        events=folder / "events",
        workers=training["workers"],
        cache_bytes=training["cache_mb"] * 10**6,
        compile=training["compile"],
    )
    tested = images.read_index(test_index) if test_index else []
    recipe, granted = Recipe.of(model, training), devices.granted(device, training["gpus"])
    trained, rows = train(recipe, pictures, granted, supervision, start_from, tested)
    write_metrics(rows, outputs["metrics"])
    card = {
        "model": dict(model),
        "training": dict(training),
        "data": supervision.data,
        "weights": weights_sha256(trained.state_dict()),
        "code": supervision.code,
        "software": provenance.software(),
        "hardware": devices.describe(),
        "versions": provenance.versions(),
        "last": rows[-1],
    }
    write_json(card, outputs["card"])
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

    from sgaplus.data import images
    from sgaplus.training import bundle

    torch.set_num_threads(threads)
    files = {name: {"model": m, "metrics": t} for name, m, t in zip(names, models, metrics, strict=True)}
    made = {name: json.loads(Path(card).read_text()) for name, card in zip(names, cards, strict=True)}
    table = bundle.write(files, made, test, images.read_index(test_index), Path(output).parent)
    print(table.to_string(index=False))


def check_model(path: str, output: str) -> None:
    """Bring a model that was trained elsewhere into the run, after checking that it is one."""
    from sgaplus.codec.hyperprior import load_state, save_state

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
    kept: str,
    outputs: Mapping[str, str],
    failed: str,
) -> None:
    """Refine one chunk of a data set's images in several ways, one after another.

    What each refinement of each image gives is kept, undeclared, under all that decides it. So a job
    that was killed, or was cut otherwise, or of which one method has changed, does only what is not
    there yet.

    Args:
        index: Index file of the data set.
        model: Model file.
        chunk: Number of the chunk, from 0.
        refinements: The settings of each ``config.Refinement``, as a dictionary.
        model_lmbda: Lambda that the model was trained with.
        options: The configuration's ``refinement`` section.
        device, threads: Where, and with how many CPU threads.
        kept: Folder of what is kept.
        outputs: Parquet file of the ``records``, and zip file of the ``streams``: a bitstream per
            refinement and image, ``target<lambda>/<variant>/seed<seed>/<image>.sga``.
        failed: Where to keep the records so far if a loss stops being finite.
    """
    import torch

    from sgaplus import devices, records
    from sgaplus.codec import bitstream_archive
    from sgaplus.data import images
    from sgaplus.refinement.chunk import Chunk, Engine
    from sgaplus.refinement.kept import Store
    from sgaplus.refinement.task import Refinement

    torch.set_num_threads(threads)
    engine = Engine(model, devices.resolve(device), options["precision"])
    members = images.read_index(index)[chunk * options["images_per_job"] :][: options["images_per_job"]]
    work = Chunk(
        engine, model_lmbda, members, Store(Path(kept)), options["record_every"], options["memory_mb"] * 10**6, failed
    )
    done = [work.refine(Refinement(**refinement)) for refinement in refinements]
    bitstream_archive.write({name: data for _, archive in done for name, data in archive.items()}, outputs["streams"])
    records.write([row for rows, _ in done for row in rows], outputs["records"])


def gather(inputs: list[str], keys: Sequence[Sequence[str]], output: str) -> None:
    """The records of an experiment's refinements in one file."""
    from sgaplus import records

    records.concatenate(inputs, output, keys)


def draw_figure(
    records: str | None, experiment: Mapping[str, Any], methods: Mapping[str, Any], outputs: list[str]
) -> None:
    """Draw an experiment's figure."""
    from sgaplus.artifacts import figures

    figures.draw(records, experiment, methods, outputs)


def draw_qualitative(
    records: str,
    index: str,
    models: Mapping[str, str],
    archives: Sequence[str],
    experiment: Mapping[str, Any],
    outputs: list[str],
) -> None:
    """Draw Figure 5: an image, its base model, and the best that another model reaches at that rate.

    Args:
        records: The experiment's records.
        index: Index file of the data set.
        models: Model files by name.
        archives: Zip files of the bitstreams of the experiment's refinements.
        experiment: The experiment's entry.
        outputs: File names, such as one PDF and one PNG.
    """
    from sgaplus.analysis import comparison
    from sgaplus.artifacts import figures
    from sgaplus.codec import bitstream_archive
    from sgaplus.codec.bitstream import Coder
    from sgaplus.codec.frozen import Codec
    from sgaplus.data import images
    from sgaplus.records import read

    original = comparison.named(images.read_index(index), experiment["image"]).read()
    base, refined = comparison.pair(read([records]), experiment)
    name = bitstream_archive.name_of(refined["target_lmbda"], refined["variant"], refined["seed"], experiment["image"])
    data = bitstream_archive.find(name, [path for path in archives if Path(path).parent.name == refined["model"]])
    pictures = {
        "Original": original,
        comparison.caption("Base model", base): comparison.unrefined(Codec.load(models[base["model"]]), original),
        comparison.caption("Refined", refined): Coder(Codec.load(models[refined["model"]])).decode(data, name)[0],
    }
    figures.draw_pictures(pictures, experiment.get("crop"), outputs)


def draw_training(metrics: Mapping[str, str], outputs: list[str]) -> None:
    """Draw the training curves of models."""
    from sgaplus.artifacts import figures

    figures.draw_training(metrics, outputs)


def make_table(
    records: str, experiment: Mapping[str, Any], methods: Mapping[str, Any], outputs: Mapping[str, str]
) -> None:
    """Make an experiment's table."""
    from sgaplus.artifacts import tables
    from sgaplus.records import read

    labels = {name: method["label"] for name, method in methods.items()}
    table = tables.TABLES[experiment["table"]](read([records]), experiment, labels)
    tables.write(table, **outputs)


def judge_claims(
    claims: Mapping[str, Mapping[str, Any]],
    experiments: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, str],
    records: Mapping[str, str],
    artifacts: Mapping[str, str],
    outputs: Mapping[str, str],
) -> None:
    """Judge every claim, print the verdicts and write them."""
    from sgaplus.artifacts import claims as paper
    from sgaplus.records import read

    rows = {name: read([path]) for name, path in records.items()}
    judged = [
        paper.judge(claim, rows[claim["experiment"]], experiments[claim["experiment"]], labels)
        for claim in claims.values()
    ]
    paper.write(judged, artifacts, outputs["csv"], outputs["md"], outputs["html"])
    for one in judged:
        logger.info("%-14s %s", one.verdict, one.text)
    logger.info(paper.summary(judged))


def sum_up_costs(benchmarks: str, outputs: Mapping[str, str]) -> None:
    """Write the table of what the jobs of each rule cost."""
    from sgaplus.artifacts import run_cost

    run_cost.write(run_cost.summarise(benchmarks), outputs["csv"], outputs["md"], outputs["html"])


def describe_run(config: Mapping[str, Any], records: Sequence[str], outputs: Mapping[str, str]) -> None:
    """Save the effective configuration, and what made the run, for programs and for the report."""
    from sgaplus.artifacts import run_description

    plain = json.loads(json.dumps(config))
    with replacing(outputs["config"]) as temporary:
        temporary.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    description = run_description.describe(plain, records)
    write_json(description, outputs["provenance"])
    with replacing(outputs["html"]) as temporary:
        temporary.write_text(run_description.page(description))
