"""The commands of the command line: each does the work of its parsed options and returns the exit status."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from sgaplus import devices
from sgaplus.cli import compression
from sgaplus.cli.compression import BitsPerPixel, Compressed, Model, Psnr, Settings, Target, bundled
from sgaplus.cli.main import DEFAULT_LMBDA, DONE, SOME_FAILED
from sgaplus.codec import bitstream
from sgaplus.config import methods
from sgaplus.data import pictures
from sgaplus.errors import ConfigError, SgaplusError, did_you_mean
from sgaplus.files import replacing, size_text, write_csv
from sgaplus.refinement.method import Method

logger = logging.getLogger(__name__)

BITSTREAM, PICTURE = ".sga", ".png"

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

Work = Callable[[Path], str]
"""The work on one file; returns a sentence about its result."""


def run(options: argparse.Namespace) -> int:
    """Run the command of parsed options, and return its exit status."""
    if options.threads:
        torch.set_num_threads(options.threads)
    return COMMANDS[options.command](options)


def compress(options: argparse.Namespace) -> int:
    """Compress photographs to bitstreams."""
    photos = _found(options.photos, pictures.SUFFIXES)
    output = _Output(options, BITSTREAM, len(photos))
    compressed = _compressor(options)

    def work(photo: Path) -> str:
        path = output.path(photo)
        result = compressed(photo)
        how = f"lambda {result.lmbda:.3g}" if options.steps else "not refined"
        with replacing(path) as temporary:
            temporary.write_bytes(result.data)
        return (
            f"{photo} -> {path}: {size_text(len(result.data))}, {result.bpp:.3f} bpp, {result.psnr:.2f} dB "
            f"({result.model.path.stem}, {how})"
        )

    return _each(photos, work)


def _compressor(options: argparse.Namespace) -> Callable[[Path], Compressed]:
    """A function that compresses one photograph as the options say."""
    target = _target(options)
    if options.steps and options.model and not (target or options.lmbda):
        raise ConfigError("--model: what to refine toward? Add --lmbda, for example the model's own, or a target.")
    settings, models = _settings(options), _models(options.model)

    if target:
        return lambda photo: compression.compress_to(photo.stem, pictures.read(photo), models, target, settings)
    lmbda = options.lmbda or DEFAULT_LMBDA
    model = compression.nearest(models, lmbda)
    model.check_coding()  # an error of the command, not of every photograph
    return lambda photo: compression.compress(photo.stem, pictures.read(photo), model, lmbda, settings)


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
    return Settings(method, options.steps, options.seed, _device(options.device))


def _device(name: str) -> torch.device:
    if name == "auto" and not torch.cuda.is_available():
        logger.warning("--device auto: no GPU is found, so the CPU computes")
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
    """Decode bitstreams to PNG files."""
    files = _found(options.files, {BITSTREAM})
    output = _Output(options, PICTURE, len(files))
    models = _models(options.model)

    def work(file: Path) -> str:
        path = output.path(file)
        data = bitstream.read(file)
        model = compression.that_decodes(models, bitstream.read_header(data, file), file)
        pixels, _ = model.coder.decode(data, file)
        with replacing(path) as temporary:
            Image.fromarray(pixels).save(temporary)
        return f"{file} -> {path}: {pixels.shape[1]}x{pixels.shape[0]} pixels"

    return _each(_shown(files), work)


def info(options: argparse.Namespace) -> int:
    """Print the image size, the file size and the model of bitstreams."""
    models = _models(options.model)

    def work(file: Path) -> str:
        header = bitstream.read_header(bitstream.read(file), file)
        try:
            model = str(compression.that_decodes(models, header, file).path)
        except SgaplusError:
            model = "not at hand"
        return "\n".join(
            (
                f"{file}",
                f"  image  {header.width}x{header.height} pixels",
                f"  size   {header.size:,} bytes, {header.bpp:.4f} bits per pixel",
                f"  model  {header.model.hex()}: {model}",
            )
        )

    return _each(_found(options.files, {BITSTREAM}), work)


def evaluate(options: argparse.Namespace) -> int:
    """Print rate and quality of bitstreams, image by image and their means."""
    photos = _found(options.photos, pictures.SUFFIXES)
    if options.csv and options.csv.exists() and not options.force:
        raise ConfigError(f"{options.csv}: is there already. Choose another name, or add --force.")
    models = _models(options.model)
    rows: list[dict[str, Any]] = []

    def work(photo: Path) -> str:
        rows.append(_measured(photo, options.bitstreams / f"{photo.stem}{BITSTREAM}", models))
        return _line(rows[-1])

    print(_line({name: name for name in SHOWN} | {"estimated_bpp": "estimate"}))
    status = _each(_shown(photos), work)
    if rows:
        means = {name: fmean(row[name] for row in rows) for name in ("bytes", "bpp", "estimated_bpp", "psnr")}
        print(_line({"image": f"mean of {len(rows)}"} | means))
    if options.csv and rows:
        write_csv(rows, COLUMNS, options.csv)
    return status


def _measured(photo: Path, path: Path, models: Sequence[Model]) -> dict[str, Any]:
    """The values of :data:`COLUMNS` for one photograph and its bitstream."""
    pixels = pictures.read(photo)
    data = bitstream.read(path)
    header = bitstream.read_header(data, path)
    if pixels.shape[:2] != (header.height, header.width):
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise SgaplusError(f"{path}: is {header.width}x{header.height} pixels, and {photo} {size}. Encode it again.")
    model = compression.that_decodes(models, header, path)
    decoded, latents = model.coder.decode(data, path)
    return {
        "image": photo.stem,
        "width": header.width,
        "height": header.height,
        "model": model.path.stem,
        "bytes": len(data),
        "bpp": header.bpp,
        "estimated_bpp": compression.estimated_bpp(model.codec, latents, header.width * header.height),
        "psnr": compression.psnr_of(pixels, decoded),
    }


def _line(row: dict[str, Any]) -> str:
    """A line of the table that ``evaluate`` prints."""
    return "  ".join(_cell(row.get(name, ""), *how) for name, how in SHOWN.items()).rstrip()


def _cell(value: object, align: str, number: str = "") -> str:
    return format(value if isinstance(value, str) else format(value, number), align)


def _found(paths: Iterable[Path], suffixes: Iterable[str]) -> list[Path]:
    """The files, with every folder replaced by the files in it that have one of the suffixes, by name."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes and file.is_file())
        found += inside or [path]  # an empty folder fails like a file that can't be read
    return found


class _Output:
    """The paths of results: one file for one result, else files in a folder, named after their sources."""

    def __init__(self, options: argparse.Namespace, suffix: str, count: int) -> None:
        self.output, self.suffix, self.force = options.output, suffix, options.force
        self.is_file = self.output.suffix.lower() == suffix and not self.output.is_dir()
        self.taken: dict[Path, Path] = {}
        if self.is_file and count > 1:
            raise ConfigError(f"--output {self.output}: {count} files do not fit into one. Name a folder.")
        if not self.is_file and (
            self.output.is_file() or self.output.suffix.lower() in (BITSTREAM, *pictures.SUFFIXES)
        ):
            raise ConfigError(f"--output {self.output}: name a folder, or a file that ends in {suffix}.")

    def path(self, source: Path) -> Path:
        """The path of the result that is made of ``source``.

        Raises:
            SgaplusError: the path exists already, or is the result of another file of this command.
        """
        path = self.output if self.is_file else self.output / f"{source.stem}{self.suffix}"
        other = self.taken.setdefault(path, source)
        if other != source:
            raise SgaplusError(f"{source}: {path} is already made of {other}. Rename one, or use another folder.")
        if path.exists() and not self.force:
            raise SgaplusError(f"{path}: is there already. Choose another output, or add --force.")
        return path


def _shown(files: list[Path]) -> Iterator[Path]:
    """The files, with a progress bar on a terminal."""
    yield from tqdm(files, unit="file", disable=None, leave=False)


def _each(files: Iterable[Path], work: Work) -> int:
    """Do the work for every file, report the failures at the end, and return the exit status."""
    failed = []
    done = 0
    for file in files:
        try:
            text = work(file)
        except (SgaplusError, OSError) as error:
            text = str(error)
            failed.append(text if str(file) in text else f"{file}: {text}")
            continue
        print(text, flush=True)
        done += 1
    if failed:
        print(f"{len(failed)} of {len(failed) + done} failed:", *failed, sep="\n  ", file=sys.stderr)
    return SOME_FAILED if failed else DONE


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "compress": compress,
    "decompress": decompress,
    "info": info,
    "evaluate": evaluate,
}
