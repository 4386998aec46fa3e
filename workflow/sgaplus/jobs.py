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
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sgaplus.errors import SgaplusError
from sgaplus.files import replacing, sha256, write_json

if TYPE_CHECKING:
    from torch import Tensor

    from sgaplus.bitstream import Coder
    from sgaplus.codec import Codec, Latents
    from sgaplus.images import IndexedImage
    from sgaplus.refinement import Row

logger = logging.getLogger("sgaplus")

PACKAGES = (
    *("torch", "torchvision", "compressai", "numpy", "scipy", "pandas", "pyarrow", "pillow", "matplotlib"),
    *("bjontegaard", "snakemake"),
)


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
    outputs: Mapping[str, str],
    failed: str,
) -> None:
    """Refine one chunk of a data set's images in several ways, one after another.

    What each refinement makes is kept beside the outputs, undeclared, under a name that follows from
    all that it depends on. So a job that was killed, or of which one method has changed, does only
    what is not there yet.

    Args:
        index: Index file of the data set.
        model: Model file.
        chunk: Number of the chunk, from 0.
        refinements: The settings of each ``config.Refinement``, as a dictionary.
        model_lmbda: Lambda that the model was trained with.
        options: The configuration's ``refinement`` section.
        device, threads: Where, and with how many CPU threads.
        code: Version of the library.
        outputs: Parquet file of the ``records``, and zip file of the ``streams``: a bitstream per
            refinement and image, ``target<lambda>/<variant>/seed<seed>/<image>.sga``.
        failed: Where to keep the records so far if a loss stops being finite.
    """
    import torch

    from sgaplus import devices, images, records, streams
    from sgaplus.codec import Codec

    torch.set_num_threads(threads)
    codec = Codec.load(model, devices.resolve(device), options["precision"])
    members = images.read_index(index)[chunk * options["images_per_job"] :][: options["images_per_job"]]
    parts = [(image.name, image.sha256, image.left, image.top, image.width, image.height) for image in members]
    sources: dict[str, Any] = {"model": sha256(model), "images": parts, "code": code}
    sources |= {"device": codec.device.type, "record_every": options["record_every"], "lmbda": model_lmbda}
    sources |= {"precision": codec.precision}
    work = _Chunk(codec, members, model_lmbda, options, failed)
    kept = [_kept(outputs["records"], sources | dict(refinement)) for refinement in refinements]
    for refinement, place in zip(refinements, kept, strict=True):
        if place.exists():
            logger.info("%s: done before, in %s", _label(refinement), place)
        else:
            rows, bitstreams = work.refine(refinement)
            streams.write(bitstreams, place.with_suffix(".zip"))
            records.write(rows, place)  # last: its presence says that the refinement is done
    streams.join([place.with_suffix(".zip") for place in kept], outputs["streams"])
    records.concatenate(kept, outputs["records"])


def _kept(output: str, identity: Mapping[str, Any]) -> Path:
    """Where the records of one refinement are kept, by all that they depend on."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return Path(output).parent / "kept" / f"{digest[:32]}.parquet"


def _label(refinement: Mapping[str, Any]) -> str:
    return f"{refinement['model']} {refinement['variant']}, target {refinement['target']:g}, seed {refinement['seed']}"


class _Chunk:
    """Images under a codec, to be refined in several ways; what these share is made once, when it is needed."""

    def __init__(
        self,
        codec: Codec,
        members: Sequence[IndexedImage],
        model_lmbda: float,
        options: Mapping[str, Any],
        failed: str,
    ) -> None:
        self.codec, self.members, self.model_lmbda = codec, members, model_lmbda
        self.options, self.failed = options, failed

    @cached_property
    def pictures(self) -> dict[str, Tensor]:
        """Each image by name, (3, h, w) in [0, 1]."""
        from sgaplus.codec import as_tensor

        return {image.name: as_tensor(image.read()) for image in self.members}

    @cached_property
    def coder(self) -> Coder:
        from sgaplus.bitstream import Coder

        return Coder(self.codec)

    @cached_property
    def unrefined(self) -> dict[str, bytes]:
        """The bitstream of each image without refinement, by name."""
        return {name: self.encode(name, self.codec.latents_of(picture)) for name, picture in self.pictures.items()}

    def encode(self, name: str, latents: Latents) -> bytes:
        """An image's bitstream; empty, with a warning, if its latents have grown too large for one."""
        from sgaplus.errors import BitstreamError

        height, width = self.pictures[name].shape[1:]
        try:
            return self.coder.encode(latents, width, height)
        except BitstreamError as error:
            logger.warning("%s: no bitstream, because %s", name, error)
            return b""

    def refine(self, refinement: Mapping[str, Any]) -> tuple[list[Row], dict[str, bytes]]:
        """The records of one refinement, and its bitstreams by their place in the archive.

        Raises:
            NonFiniteLossError: a loss stopped being finite; the records so far are written to ``failed``.
        """
        from sgaplus import records
        from sgaplus.refinement import Method, NonFiniteLossError, Plan, record_steps, refine

        plan = Plan(
            refinement["target"],
            refinement["steps"],
            record_steps(refinement["steps"], self.options["record_every"], refinement["record"]),
            refinement["seed"],
            self.options["memory_mb"] * 10**6,
        )
        method = Method.from_settings(refinement["settings"])
        try:
            outcome = refine(self.codec, list(self.pictures.items()), method, plan, _label(refinement))
        except NonFiniteLossError as error:
            records.write(self.complete(error.rows, refinement), self.failed)
            logger.error("the records so far are in %s", self.failed)
            raise
        bitstreams = {one.name: data for one in outcome if (data := self.encode(one.name, one.latents))}
        sizes = {(0, name): len(data) for name, data in self.unrefined.items() if data}
        sizes |= {(refinement["steps"], name): len(data) for name, data in bitstreams.items()}
        rows = [row | {"bytes": sizes.get((row["step"], row["image"]))} for one in outcome for row in one.rows]
        return self.complete(rows, refinement), {stream_name(refinement, name): bitstreams[name] for name in bitstreams}

    def complete(self, rows: Iterable[Row], refinement: Mapping[str, Any]) -> list[Row]:
        """Rows with what they share: the refinement's settings, and the sizes of their images."""
        from sgaplus import rounding

        settings = refinement["settings"]
        method = rounding.make(settings["rounding"], **settings["parameters"])
        shared = {
            "model_lmbda": self.model_lmbda,
            "target_lmbda": refinement["target"],
            **{key: refinement[key] for key in ("dataset", "model", "method", "variant", "seed")},
            **{key: settings[key] for key in ("rounding", "tau_max", "tau_rate", "lr")},
            # all parameters, also those that the configuration leaves at their default
            "parameters": json.dumps(asdict(method)),
        }
        sizes = {image.name: {"width": image.width, "height": image.height} for image in self.members}
        return [shared | sizes[row["image"]] | row for row in rows]


def stream_name(refinement: Mapping[str, Any], image: str) -> str:
    """Where an archive of bitstreams has that of an image."""
    target, variant, seed = refinement["target"], refinement["variant"], refinement["seed"]
    return f"target{target:g}/{variant}/seed{seed}/{image}.sga"


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
    from sgaplus import figures, images, qualitative, streams
    from sgaplus.bitstream import Coder
    from sgaplus.codec import Codec
    from sgaplus.records import read

    original = qualitative.named(images.read_index(index), experiment["image"]).read()
    base, refined = qualitative.pair(read([records]), experiment)
    place = {"target": refined["target_lmbda"], "variant": refined["variant"], "seed": refined["seed"]}
    name = stream_name(place, experiment["image"])
    data = streams.find(name, [path for path in archives if Path(path).parent.name == refined["model"]])
    pictures = {
        "Original": original,
        qualitative.caption("Base model", base): qualitative.unrefined(Codec.load(models[base["model"]]), original),
        qualitative.caption("Refined", refined): Coder(Codec.load(models[refined["model"]])).decode(data, name)[0],
    }
    figures.draw_pictures(pictures, experiment.get("crop"), outputs)


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


def judge_claims(
    claims: Mapping[str, Mapping[str, Any]],
    experiments: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, str],
    records: Mapping[str, str],
    artifacts: Mapping[str, str],
    outputs: Mapping[str, str],
) -> None:
    """Judge every claim, print the verdicts and write them."""
    from sgaplus import claims as paper
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
    from sgaplus import benchmarked

    benchmarked.write(benchmarked.summarise(benchmarks), outputs["csv"], outputs["md"], outputs["html"])


def describe_run(config: Mapping[str, Any], config_out: str, versions_out: str) -> None:
    """Save the effective configuration and the versions of what computes."""
    with replacing(config_out) as temporary:
        temporary.write_text(yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True))
    write_json(versions(), versions_out)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
