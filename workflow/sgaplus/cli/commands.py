"""The commands of the command line: each does the work of its parsed options and returns the exit status."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from sgaplus import devices, distances, metrics
from sgaplus.benchmarks import selftest as benchmark
from sgaplus.cli import compression, inputs, outputs
from sgaplus.cli.compression import BitsPerPixel, Compressed, Model, Psnr, Settings, Target, bundled
from sgaplus.cli.inputs import STANDARD, Input
from sgaplus.cli.main import DEFAULT_LMBDA, DONE, SOME_FAILED
from sgaplus.cli.outputs import BITSTREAM, Output
from sgaplus.cli.work import Result, Work, duration_text
from sgaplus.codec import bitstream
from sgaplus.codec.chunks import Encoding
from sgaplus.codec.classical_codecs import CODECS
from sgaplus.codec.frozen import Codec
from sgaplus.config import methods
from sgaplus.data import formats, photographs, pictures
from sgaplus.data.photographs import Photograph
from sgaplus.errors import BitstreamError, ConfigError, ImageError, SgaplusError, WeightsError, did_you_mean
from sgaplus.files import size_text, write_csv
from sgaplus.progress import heard_by
from sgaplus.qualities import DISTANCES
from sgaplus.refinement.method import Method

COLUMNS = ("image", "width", "height", "model", "bytes", "bpp", "estimated_bpp", "psnr")
"""Columns of the table that ``evaluate`` writes."""

SHOWN = {
    "image": ("<24",),
    "model": ("<18",),
    "bytes": (">10", ".0f"),
    "bpp": (">8", ".4f"),
    "estimated_bpp": (">8", ".4f"),
    "psnr": (">6", ".2f"),
}
"""The columns that ``evaluate`` prints: alignment of the column, and format of the number."""

TARGETS: dict[str, type[Target]] = {"bpp": BitsPerPixel, "psnr": Psnr}
"""Targets by the end of their option: ``--target-bpp`` and ``--target-psnr``."""

ATTEMPTS = 3
"""Refinements that reach a rate or a quality, about."""


def run(options: argparse.Namespace) -> int:
    """Run the command of parsed options, and return its exit status."""
    if options.threads:
        torch.set_num_threads(options.threads)
    return COMMANDS[options.command](options)


def compress(options: argparse.Namespace) -> int:
    """Compress photographs to bitstreams."""
    photos = inputs.find(options.photos, formats.SUFFIXES, options.recursive)
    output = Output(options.output, (BITSTREAM,), BITSTREAM, options.force, len(photos.files))
    if options.json and output.is_standard:
        raise ConfigError("--json and --output -: standard output is one of them. Name a file.")
    target, settings = _target(options), _settings(options)
    compressed = _compressor(options, target, settings)
    weights = [_megapixels(photo) for photo in photos.files]
    parts = ATTEMPTS if target else 1
    where = f" on {'the GPU' if settings.device.type == 'cuda' else 'the CPU'} (--device {options.device})"
    work = Work(options, photos, weights, parts, where, to_standard_error=output.is_standard, quietly=True)

    def do(photo: Input) -> Result:
        photo.check()
        path = output.path(photo)
        picture = photo.photograph(options.strip)
        _tell(work, photo, picture.changes, options.strict)
        result = compressed(photo.name, picture)
        outputs.write(path, result.data)
        how = result.how if options.steps else f"{result.model.path.stem}, not refined"
        text = (
            f"{photo} -> {outputs.named(path)}: {size_text(len(result.data))}, {result.bpp:.3f} bpp, "
            f"{result.psnr:.2f} dB ({how})"
        )
        return Result(text, _values(photo, path, picture, result, options))

    work.each(do)
    work.show(_summary(work.results))
    return work.end()


def _megapixels(photo: Input) -> float:
    """The size of a picture by its header; about none if it can't be read."""
    try:
        width, height = pictures.size(photo.path)
    except ImageError:
        return 1e-6
    return width * height / 1e6


def _tell(work: Work, file: Input, changes: Sequence[str], strict: bool = False) -> None:
    """Say what was done to a picture.

    Raises:
        SgaplusError: something was, and nothing may be.
    """
    text = "; ".join(changes)
    if text and strict:
        raise SgaplusError(f"{file}: {text}. --strict refuses that.")
    if text:
        work.note(f"{file}: {text}")


def _values(
    photo: Input, path: Path, picture: Photograph, result: Compressed, options: argparse.Namespace
) -> dict[str, Any]:
    height, width, _ = picture.pixels.shape
    return {
        "photo": str(photo),
        "bitstream": outputs.named(path),
        "width": width,
        "height": height,
        "bytes": len(result.data),
        "bpp": result.bpp,
        "psnr": result.psnr,
        "model": result.model.path.stem,
        "lmbda": result.lmbda if options.steps else None,
        "method": options.method if options.steps else None,
        "steps": options.steps,
        "seed": options.seed,
        "metadata": list(picture.metadata),
        "changes": list(picture.changes),
    }


def _summary(results: Sequence[Mapping[str, Any]]) -> str:
    """A line about several photographs; nothing about fewer."""
    if len(results) < 2:
        return ""
    size, seconds = (sum(result[name] for result in results) for name in ("bytes", "seconds"))
    bpp, psnr = (fmean(result[name] for result in results) for name in ("bpp", "psnr"))
    return (
        f"{len(results)} photographs: {size_text(size)}, {bpp:.3f} bpp and {psnr:.2f} dB on average, in "
        f"{duration_text(seconds)}"
    )


def _compressor(
    options: argparse.Namespace, target: Target | None, settings: Settings
) -> Callable[[str, Photograph], Compressed]:
    """A function that compresses one photograph, by its name and content, as the options say."""
    if options.steps and options.model and not (target or options.lmbda):
        raise ConfigError("--model: what to refine toward? Add --lmbda, for example the model's own, or a target.")
    models = _models(options.model)
    if target:
        return lambda name, photo: compression.compress_to(name, photo.pixels, models, target, settings, photo.metadata)
    lmbda = options.lmbda or DEFAULT_LMBDA
    model = compression.nearest(models, lmbda)
    model.check_coding()  # an error of the command, not of every photograph
    return lambda name, photo: compression.compress(name, photo.pixels, model, lmbda, settings, photo.metadata)


def _target(options: argparse.Namespace) -> Target | None:
    for name, kind in TARGETS.items():
        value = getattr(options, f"target_{name}")
        if value is not None and not options.steps:
            raise ConfigError(f"--target-{name} is reached by refinement, so --steps must be above 0.")
        if value is not None:
            return kind(value)
    return None


def _settings(options: argparse.Namespace) -> Settings:
    entries = methods.read()
    if options.method not in entries:
        raise ConfigError(f"--method: there is no {options.method!r}.{did_you_mean(options.method, entries)}")
    steps = {"steps": options.steps} if options.steps else {}
    method = Method.from_settings(entries[options.method] | steps)
    name = "" if options.strip else options.method
    return Settings(method, options.steps, options.seed, _device(options.device), name)


def selftest(options: argparse.Namespace) -> int:
    """Compare a device with the CPU."""
    device = devices.resolve(options.device)
    model = min(_models(options.model), key=lambda each: abs((each.lmbda or DEFAULT_LMBDA) - DEFAULT_LMBDA))
    with heard_by(lambda share: None):
        codec = Codec.load(model.path, device)
        compared = benchmark.compare(Codec.load(model.path), codec, DEFAULT_LMBDA)
        compared += benchmark.compare_graphs(codec, DEFAULT_LMBDA)
    for one in compared:
        print(f"{'agrees' if one.agrees else 'DIFFERS':<8} {one.text}")
    return DONE if all(one.agrees for one in compared) else SOME_FAILED


def _device(name: str) -> torch.device:
    """The device of ``--device``; ``auto`` takes the CPU without a word, which the estimate of the time says."""
    if name == "auto" and not torch.cuda.is_available():
        return torch.device("cpu")
    return devices.resolve(name)


def _models(path: Path | None) -> list[Model]:
    """The bundled models, or the one of --model.

    Raises:
        CodecError: the file of --model is missing or is no model.
    """
    if path is None:
        return bundled()
    model = Model(path)
    model.check()
    return [model]


def decompress(options: argparse.Namespace) -> int:
    """Decode bitstreams to pictures."""
    files = inputs.find(options.files, {BITSTREAM}, options.recursive)
    suffix = f".{options.format or 'png'}"
    output = Output(options.output, tuple(outputs.FORMATS), suffix, options.force, len(files.files))
    if output.is_file and options.format and outputs.FORMATS[output.suffix] != outputs.FORMATS[suffix]:
        raise ConfigError(f"--format {options.format}: --output {options.output} says otherwise. Leave one out.")
    models = _models(options.model)
    work = Work(options, files, to_standard_error=output.is_standard, quietly=True)

    def do(file: Input) -> Result:
        file.check()
        path = output.path(file)
        data = file.bitstream()
        model = compression.that_decodes(models, bitstream.read_header(data, str(file)), str(file))
        pixels, _ = model.coder.decode(data, str(file))
        metadata = bitstream.read_chunks(data, str(file))
        metadata.pop("encoding", None)
        if options.strip:
            pixels = photographs.to_srgb(pixels, metadata["icc"]) if "icc" in metadata else pixels
            metadata = {}
        _tell(work, file, outputs.write_picture(path, pixels, metadata, output.suffix))
        return Result(f"{file} -> {outputs.named(path)}: {pixels.shape[1]}x{pixels.shape[0]} pixels", {})

    work.each(do)
    return work.end()


def info(options: argparse.Namespace) -> int:
    """Print what bitstreams hold: the image's size, the model, how they were made, metadata."""
    models = _models(options.model)
    work = Work(options, inputs.find(options.files, {BITSTREAM}, options.recursive))

    def do(file: Input) -> Result:
        values = _held(file, models)
        lines = [f"  {name:<8} {text}" for name, text in _held_texts(values).items()]
        return Result("\n".join([str(file), *lines]), values)

    work.each(do)
    return work.end()


def _held(file: Input, models: Sequence[Model]) -> dict[str, Any]:
    """What a bitstream holds, for a program."""
    data, label = file.bitstream(), str(file)
    header, held = bitstream.read_header(data, label), bitstream.read_chunks(data, label)
    try:
        model = str(compression.that_decodes(models, header, label).path)
    except SgaplusError:
        model = None
    try:
        encoding = Encoding.unpack(held.pop("encoding")) if "encoding" in held else None
    except BitstreamError as error:
        raise bitstream.damaged(label, error) from error
    return {
        "file": label,
        "format": header.version,
        "width": header.width,
        "height": header.height,
        "bytes": header.size,
        "bpp": header.bpp,
        "model": header.model.hex(),
        "model_file": model,
        "encoding": encoding and asdict(encoding),
        "metadata": {name: len(content) for name, content in held.items()},
        "colours": photographs.profile_name(held["icc"]) if "icc" in held else "sRGB",
    }


def _held_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The same for reading."""
    encoding, metadata = values["encoding"], values["metadata"]
    made = "not known"
    if encoding:
        made = f"sgaplus {encoding['version']}, not refined"
    if encoding and encoding["steps"]:
        made = (
            f"sgaplus {encoding['version']}, {encoding['steps']} steps of {encoding['method']} toward lambda "
            f"{encoding['lmbda']:g}, seed {encoding['seed']}"
        )
    return {
        "image": f"{values['width']}x{values['height']} pixels, colours of {values['colours']}",
        "size": f"{values['bytes']:,} bytes, {values['bpp']:.4f} bits per pixel",
        "model": f"{values['model']}: {values['model_file'] or 'not at hand'}",
        "made by": made,
        "metadata": ", ".join(f"{name} ({size_text(size)})" for name, size in metadata.items()) or "none",
        "format": f"version {values['format']}",
    }


def evaluate(options: argparse.Namespace) -> int:
    """Print rate and quality of bitstreams, image by image and their means."""
    photos = inputs.find(options.photos, formats.SUFFIXES, options.recursive)
    if any(photo.path == STANDARD for photo in photos.files):
        raise ConfigError("-: evaluate compares files with files. Name the photograph.")
    names = _codecs(options)
    perceived = _distances(options)
    for path in filter(None, (options.csv, options.output)):
        if path.exists() and not options.force:
            raise ConfigError(f"{path}: is there already. Choose another name, or add --force.")
    if names and not options.threads:
        torch.set_num_threads(1)  # as the classical codecs have, for the seconds
    models = _models(options.model)
    work = Work(options, photos)

    def do(folder: Path, photo: Input) -> Result:
        row = _measured(photo, folder / photo.folder / f"{photo.name}{BITSTREAM}", models, bool(names), perceived)
        return Result(_line(row), row)

    work.show(_line({name: name for name in SHOWN} | {"estimated_bpp": "estimate"}))
    for folder in options.bitstreams:
        if not work.stopped:
            work.each(partial(do, folder))
    mean: dict[str, float] = {}
    if work.results:
        mean = {name: fmean(row[name] for row in work.results) for name in ("bytes", "bpp", "estimated_bpp", "psnr")}
        work.show(_line({"image": f"mean of {len(work.results)}"} | mean))
    if options.csv and work.results and not work.stopped:
        write_csv(({name: row[name] for name in COLUMNS} for row in work.results), COLUMNS, options.csv)
    if not names or work.stopped:
        return work.end(mean=mean)
    # here, because it imports pandas and Matplotlib, which take seconds
    from sgaplus.cli import codecs

    return work.end(mean=mean, codecs=codecs.compare(options, work, names, perceived))


def _codecs(options: argparse.Namespace) -> list[str]:
    """The classical codecs to compare with, without repetition.

    Raises:
        ConfigError: there is none of a name, or an option asks for what only a comparison has.
    """
    names = _listed(options, "codecs", CODECS)
    if not names and (options.output or options.per_image or options.distances or len(options.bitstreams) > 1):
        raise ConfigError(
            "--output, --per-image, --distances and a second --bitstreams are for a comparison. Add --codecs."
        )
    return names


def _distances(options: argparse.Namespace) -> list[str]:
    """The learned distances to measure, too.

    Raises:
        ConfigError: there is none of a name, or its weights are missing.
    """
    names = _listed(options, "distances", DISTANCES)
    try:
        distances.check(names)
    except WeightsError as error:
        raise ConfigError(f"--distances: {error}") from None
    return names


def _listed(options: argparse.Namespace, option: str, known: Collection[str]) -> list[str]:
    """The names that an option lists with commas, without repetition.

    Raises:
        ConfigError: one is not known.
    """
    names = [name.strip() for name in (getattr(options, option) or "").split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ConfigError(f"--{option}: there is no {name!r}.{did_you_mean(name, known)}")
    return list(dict.fromkeys(names))


def _measured(
    photo: Input, path: Path, models: Sequence[Model], beside: bool = False, perceived: Sequence[str] = ()
) -> dict[str, Any]:
    """The values of :data:`COLUMNS` for one photograph and its bitstream; for a comparison more of them."""
    data = bitstream.read(path)
    header = bitstream.read_header(data, path)
    icc = "icc" in bitstream.read_chunks(data, path)
    pixels = photo.photograph(strip=not icc).pixels
    if pixels.shape[:2] != (header.height, header.width):
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise SgaplusError(f"{path}: is {header.width}x{header.height} pixels, and {photo} {size}. Encode it again.")
    model = compression.that_decodes(models, header, path)
    coder = model.coder
    start = time.perf_counter()
    decoded, latents = coder.decode(data, path)
    seconds = time.perf_counter() - start
    compared = {"path": str(photo), "rate": str(path.parent), "icc": icc, "decode_seconds": seconds}
    if beside:
        compared["ms_ssim"] = metrics.ms_ssim_of(pixels, decoded)
        compared["haarpsi"] = metrics.haarpsi_of(pixels, decoded)
        compared |= metrics.distances_of(perceived, pixels, decoded)
    return {
        "image": photo.name,
        "width": header.width,
        "height": header.height,
        "model": model.path.stem,
        "bytes": len(data),
        "bpp": header.bpp,
        "estimated_bpp": compression.estimated_bpp(model.codec, latents, header.width * header.height),
        "psnr": metrics.psnr_of(pixels, decoded),
        **(compared if beside else {}),
    }


def _line(row: dict[str, Any]) -> str:
    """A line of the table that ``evaluate`` prints."""
    return "  ".join(_cell(row.get(name, ""), *how) for name, how in SHOWN.items()).rstrip()


def _cell(value: object, align: str, number: str = "") -> str:
    return format(value if isinstance(value, str) else format(value, number), align)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "compress": compress,
    "decompress": decompress,
    "info": info,
    "evaluate": evaluate,
    "selftest": selftest,
}
