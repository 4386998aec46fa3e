"""The command line: ``python -m sgaplus compress | decompress | info | evaluate``.

Exit status: 0; 1 if some of the files failed, of which the others are done; 2 if the command itself is wrong.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from PIL import Image
from tqdm import tqdm

from sgaplus.config import methods
from sgaplus.data import pictures
from sgaplus.errors import ConfigError, DeviceError, MissingModelError, SgaplusError, did_you_mean, with_remedy
from sgaplus.files import replacing, size_text, write_csv

if TYPE_CHECKING:  # torch takes seconds to import, and --help does without
    from sgaplus.cli.compression import Compressed, Model, Settings, Target

BITSTREAM, PICTURE = ".sga", ".png"
DEFAULT_LMBDA = 0.01

COLUMNS = ("image", "width", "height", "model", "bytes", "bpp", "estimated_bpp", "psnr")
"""What ``evaluate`` measures."""

SHOWN = {
    "image": ("<24",),
    "model": ("<18",),
    "bytes": (">10", ".0f"),
    "bpp": (">8", ".4f"),
    "estimated_bpp": (">8", ".4f"),
    "psnr": (">6", ".2f"),
}
"""Of these, what it prints: alignment of the column, and format of the number."""

REMEDIES = {
    DeviceError: "--device cuda: {} Choose --device cpu or --device auto.",
    MissingModelError: "{} Correct --model.",
}
"""What to change on the command line, by the error that it mends."""

Work = Callable[[Path], str]
"""Does one file's work, and says what came of it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit status."""
    # threads that spin while they wait would stop other processes; read when torch is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except SgaplusError as error:
        print(f"error: {with_remedy(error, REMEDIES)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sgaplus", description="Photographs to bitstreams, and back.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_compress(commands)
    _add_decompress(commands)
    _add_info(commands)
    _add_evaluate(commands)
    return parser


def _add_compress(commands: Any) -> None:
    parser = _command(commands, "compress", compress, "Write photographs as bitstreams (.sga).")
    add = parser.add_argument
    add("photos", nargs="+", type=Path, metavar="PHOTO", help="image files, or folders of them")
    add("-o", "--output", required=True, type=Path, metavar="OUT", help="folder, or for one photograph a .sga file")
    goal = parser.add_mutually_exclusive_group().add_argument
    goal("--lmbda", type=_positive, help=f"weight of the distortion: more is better and larger ({DEFAULT_LMBDA})")
    goal("--target-bpp", type=_positive, metavar="BPP", help="bits per pixel of the file; finds model and lambda")
    goal("--target-psnr", type=_positive, metavar="DB", help="quality in dB; finds model and lambda")
    add("--method", default="ssl_fast", help="an entry of `methods` in config/config.yaml (ssl_fast)")
    add("--steps", type=_count, default=500, help="steps of refinement; 0 is the plain codec (500)")
    add("--seed", type=int, default=0, help="seed of the random numbers (0)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to refine (auto)")
    _add_common(parser)


def _add_decompress(commands: Any) -> None:
    parser = _command(commands, "decompress", decompress, "Write bitstreams as PNG.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="bitstreams, or folders of them")
    output = "folder, or for one bitstream a .png file"
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help=output)
    _add_common(parser)


def _add_info(commands: Any) -> None:
    parser = _command(commands, "info", info, "Say what bitstreams hold.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="bitstreams, or folders of them")
    _add_common(parser, writes=False)


def _add_evaluate(commands: Any) -> None:
    parser = _command(
        commands, "evaluate", evaluate, "Measure bitstreams against the photographs that they were made of."
    )
    add = parser.add_argument
    add("photos", nargs="+", type=Path, metavar="PHOTO", help="the originals, or folders of them")
    add("-b", "--bitstreams", required=True, type=Path, metavar="FOLDER", help="where their bitstreams are")
    add("--csv", type=Path, metavar="FILE", help="write the table there too")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser, writes: bool = True) -> None:
    parser.add_argument("--model", type=Path, metavar="FILE", help="a model file instead of the bundled ones")
    if writes:
        parser.add_argument("--force", action="store_true", help="overwrite files")


def _command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=function)
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def compress(options: argparse.Namespace) -> int:
    """Photographs to bitstreams."""
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
    """What compresses one photograph as the options say."""
    target = _target(options)
    if options.steps and options.model and not (target or options.lmbda):
        raise ConfigError("--model: what to refine toward? Add --lmbda, for example the model's own, or a target.")
    settings, models = _settings(options), _models(options.model)
    from sgaplus.cli import compression

    if target:
        return lambda photo: compression.compress_to(photo.stem, pictures.read(photo), models, target, settings)
    lmbda = options.lmbda or DEFAULT_LMBDA
    model = compression.nearest(models, lmbda)
    _ = model.coder  # a model that can't code is an error of the command, not of every photograph
    return lambda photo: compression.compress(photo.stem, pictures.read(photo), model, lmbda, settings)


def _target(options: argparse.Namespace) -> Target | None:
    from sgaplus.cli.compression import BitsPerPixel, Psnr

    kinds: dict[str, type[Target]] = {"bpp": BitsPerPixel, "psnr": Psnr}
    for name, kind in kinds.items():
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
    from sgaplus import devices
    from sgaplus.cli.compression import Settings
    from sgaplus.refinement.method import Method

    entry = entries[options.method]
    method = Method.from_settings(entry)
    if "steps" in entry and options.steps:
        method = method.cooling_in(options.steps, of=entry["steps"])
    return Settings(method, options.steps, options.seed, devices.resolve(options.device))


def _models(path: Path | None) -> list[Model]:
    """The bundled models, or the one of --model."""
    from sgaplus.cli.compression import Model, bundled

    if path is None:
        return bundled()
    model = Model(path)
    _ = model.codec  # raises if it is none
    return [model]


def decompress(options: argparse.Namespace) -> int:
    """Bitstreams to PNG."""
    files = _found(options.files, {BITSTREAM})
    output = _Output(options, PICTURE, len(files))
    models = _models(options.model)
    from sgaplus.cli import compression
    from sgaplus.codec import bitstream

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
    """What bitstreams hold, in words."""
    models = _models(options.model)
    from sgaplus.cli import compression
    from sgaplus.codec import bitstream

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
    """Rate and quality of bitstreams, image by image and their means."""
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
    """What :data:`COLUMNS` names, of one photograph and its bitstream."""
    from sgaplus.cli import compression
    from sgaplus.codec import bitstream

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
    """The files, and in place of every folder the files in it that end so, by name."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes and file.is_file())
        found += inside or [path]  # an empty folder fails like a file that can't be read
    return found


class _Output:
    """Where results go: a file for one, else into a folder under the names of what they are made of."""

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
        """The path for what is made of a file.

        Raises:
            SgaplusError: it is there already, or another file of this command has it.
        """
        path = self.output if self.is_file else self.output / f"{source.stem}{self.suffix}"
        other = self.taken.setdefault(path, source)
        if other != source:
            raise SgaplusError(f"{source}: {path} is already made of {other}. Rename one, or use another folder.")
        if path.exists() and not self.force:
            raise SgaplusError(f"{path}: is there already. Choose another output, or add --force.")
        return path


def _shown(files: list[Path]) -> Iterator[Path]:
    """Files with a progress bar, on a terminal."""
    yield from tqdm(files, unit="file", disable=None, leave=False)


def _each(files: Iterable[Path], work: Work) -> int:
    """Do the work for every file, report those that failed at the end, and return the exit status."""
    failed = []
    done = 0
    for file in files:
        try:
            print(work(file), flush=True)
            done += 1
        except (SgaplusError, OSError) as error:
            text = str(error)
            failed.append(text if str(file) in text else f"{file}: {text}")
    if failed:
        print(f"{len(failed)} of {len(failed) + done} failed:", *failed, sep="\n  ", file=sys.stderr)
    return 1 if failed else 0
