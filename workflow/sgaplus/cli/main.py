"""The command line: ``sgaplus compress | decompress | info | evaluate | init``, which is also ``python -m sgaplus``.

This module imports nothing heavy, so that --help and argparse's errors come at once; ``commands`` does the work.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgaplus import __version__
from sgaplus.cli import init
from sgaplus.errors import DeviceError, MissingModelError, SgaplusError, with_remedy
from sgaplus.logs import show_any_name

DEFAULT_LMBDA = 0.01
"""Target lambda if neither a lambda nor a rate or quality is asked for."""

EFFORTS = {
    1: ("ssl_faster", 20),
    2: ("ssl_faster", 50),
    3: ("ssl_faster", 100),
    4: ("ssl_faster", 200),
    5: ("ssl_faster", 300),
    6: ("ssl_faster", 500),
    7: ("ssl_thorough", 1000),
    8: ("ssl_thorough", 2000),
    9: ("ssl_thorough", 4000),
}
"""Method and steps of refinement by the effort."""

DEFAULT_EFFORT = 6

DONE, SOME_FAILED, WRONG_COMMAND, STOPPED, NO_READER = 0, 1, 2, 130, 141
"""Exit statuses; the last two are those that a shell gives to SIGINT and SIGPIPE."""

STATUSES = f"""exit status:
  {DONE:<4} all is done
  {SOME_FAILED:<4} some files failed; the others are done
  {WRONG_COMMAND:<4} the command is wrong; nothing is done
  {STOPPED:<4} stopped by Ctrl-C; finished files stay
  {NO_READER:<4} nobody reads the output any more
"""

REFINEMENT_TIME = """
A step of refinement takes about 0.3 seconds per megapixel on one core of a
processor with the small models: the 500 steps of a photograph of 12 megapixels
take half an hour on a core. --effort 3 takes a fifth, and saves a little less.
"""

CODING_TIME = """
Classical codecs are swept over all qualities, in one thread: a megapixel takes
two minutes with AVIF, ten seconds with JPEG XL or WebP, and one with JPEG.
"""

SHELLS = ("bash", "zsh", "fish")
"""Shells whose completion is printed."""

STYLE: dict[str, Any] = {
    "epilog": STATUSES,
    "formatter_class": argparse.RawDescriptionHelpFormatter,  # keeps the lines of the epilog
    "allow_abbrev": False,  # an abbreviation would mean something else as options are added
}
"""What every parser has."""

REMEDIES = {
    DeviceError: "--device cuda: {} Choose --device cpu or --device auto.",
    MissingModelError: "{} Correct --model.",
}
"""Sentences that name the option to change, by the class of the error."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit status."""
    # threads that spin while they wait would stop other processes; read when torch is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    show_any_name()
    options = parsed(arguments)
    logging.basicConfig(level=logging.ERROR if options.quiet else logging.WARNING, format="%(message)s")
    logging.getLogger("sgaplus.cli").setLevel(logging.INFO if options.verbose else logging.NOTSET)
    try:
        if options.command == "init":
            return init.run(options)
        # after the arguments are parsed: it imports torch, which takes two to five seconds, and --help a tenth of one
        from sgaplus.cli import commands

        return commands.run(options)
    except SgaplusError as error:
        print(f"error: {with_remedy(error, REMEDIES)}", file=sys.stderr)
        return WRONG_COMMAND
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        return NO_READER


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a command line; those that an effort decides have their values."""
    options = _parser().parse_args(arguments)
    if options.command == "compress":
        _, steps = EFFORTS[options.effort]
        options.steps = steps if options.steps is None else options.steps
        options.method = options.method or method_for(options.steps)
    return options


def method_for(steps: int) -> str:
    """The method of the least effort of so many steps, or of the greatest: the larger its steps, the fewer are good."""
    greatest, _ = EFFORTS[max(EFFORTS)]
    return next((method for method, most in EFFORTS.values() if steps <= most), greatest)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sgaplus", description="Photographs to bitstreams, and back.", **STYLE)
    parser.add_argument("--version", action="version", version=f"sgaplus {__version__}")
    parser.add_argument(
        "--completion", action=_PrintCompletion, choices=SHELLS, help="print the script that completes in this shell"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_compress(commands)
    _add_decompress(commands)
    _add_info(commands)
    _add_evaluate(commands)
    _add_selftest(commands)
    _add_init(commands)
    return parser


class _PrintCompletion(argparse.Action):
    """Prints a shell's completion of the whole command line, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: Any, option: Any = None) -> None:
        import shtab  # here, because it is needed once in a machine's life, and would double the time of --help

        for command in (parser, *_commands_of(parser).values()):
            for action in command._actions:
                if action.type is Path:
                    action.complete = shtab.FILE  # type: ignore[attr-defined]
        print(shtab.complete(parser, values))
        parser.exit(DONE)


def _commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return commands.choices


def _add_compress(commands: Any) -> None:
    parser = _command(commands, "compress", "Write photographs as bitstreams (.sga).", REFINEMENT_TIME)
    add = parser.add_argument
    add("photos", nargs="+", type=Path, metavar="PHOTO", help="image files, folders of them, or - for standard input")
    output = "folder; for one photograph a .sga file, or - for standard output"
    add("-o", "--output", required=True, type=Path, metavar="OUT", help=output)
    goal = parser.add_mutually_exclusive_group().add_argument
    goal("--lmbda", type=_positive, help=f"weight of the distortion: more is better and larger ({DEFAULT_LMBDA})")
    goal("--target-bpp", type=_positive, metavar="BPP", help="bits per pixel of the file; finds model and lambda")
    goal("--target-psnr", type=_positive, metavar="DB", help="quality in dB; finds model and lambda")
    effort = "from seconds (1) to thorough (9): the method and the steps, unless they are given (%(default)s)"
    add("--effort", type=int, choices=EFFORTS, default=DEFAULT_EFFORT, metavar="1..9", help=effort)
    _, steps = EFFORTS[DEFAULT_EFFORT]
    add("--method", help="an entry of `methods` in config/config.yaml (one that the steps suit)")
    add("--steps", type=_count, help=f"steps of refinement; 0 is the plain codec ({steps})")
    add("--seed", type=_whole, default=0, help="seed of the random numbers (%(default)s)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to refine (%(default)s)")
    add("--strip", action="store_true", help="keep no metadata: colours become sRGB, EXIF and XMP are left out")
    add("--strict", action="store_true", help="refuse a picture that 8-bit RGB does not hold: alpha, 16 bits, ...")
    _add_common(parser)


def _add_decompress(commands: Any) -> None:
    parser = _command(commands, "decompress", "Write bitstreams as PNG, PPM, TIFF or lossless WebP.")
    _add_files(parser)
    output = "folder; for one bitstream a file that ends in its format, or - for standard output"
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help=output)
    formats = ("png", "ppm", "webp", "tif", "tiff")
    format_help = "format of files in a folder, and on standard output (png)"
    parser.add_argument("--format", choices=formats, help=format_help)
    strip = "write no metadata: colours become sRGB, EXIF and XMP are left out"
    parser.add_argument("--strip", action="store_true", help=strip)
    _add_common(parser, json=False)


def _add_info(commands: Any) -> None:
    parser = _command(commands, "info", "Say what bitstreams hold.")
    _add_files(parser)
    _add_common(parser, writes=False)


def _add_files(parser: argparse.ArgumentParser) -> None:
    help_text = "bitstreams, folders of them, or - for standard input"
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=help_text)


def _add_evaluate(commands: Any) -> None:
    text = "Measure bitstreams against the photographs that they were made of."
    parser = _command(commands, "evaluate", text, CODING_TIME)
    add = parser.add_argument
    add("photos", nargs="+", type=Path, metavar="PHOTO", help="the originals, or folders of them")
    folders = "where their bitstreams are; again for those of another rate"
    add("-b", "--bitstreams", required=True, type=Path, action="append", metavar="FOLDER", help=folders)
    add("--csv", type=Path, metavar="FILE", help="write the table there too")
    codecs = "classical codecs to compare with: some of jpeg,jpeg2000,webp,avif,jxl, with commas"
    add("--codecs", metavar="NAMES", help=codecs)
    distances = "measure learned distances, too: lpips, dists or both, with a comma; slow, and by weights on the disk"
    add("--distances", metavar="NAMES", help=distances)
    output = "write that comparison there: table, plot, CompressAI's JSON"
    add("-o", "--output", type=Path, metavar="FOLDER", help=output)
    add("--per-image", action="store_true", help="and JSON of every photograph")
    _add_common(parser)


def _add_selftest(commands: Any) -> None:
    text = "Compare what the GPU and the CPU compute with a small model."
    parser = _command(commands, "selftest", text, "It takes less than a minute. Status 1 says that they differ.\n")
    add = parser.add_argument
    add("--device", choices=("cpu", "cuda"), default="cuda", help="what to compare with the CPU (%(default)s)")
    add("--model", type=Path, metavar="FILE", help="a model file instead of the bundled ones")
    add("--threads", type=_above_zero, metavar="N", help="processor threads (a thread per core)")
    parser.set_defaults(quiet=False, verbose=False)


def _add_init(commands: Any) -> None:
    parser = _command(commands, "init", "Write the files of the Snakemake workflow, to run it and to change it.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder, or an empty one")
    parser.set_defaults(quiet=False, verbose=False)


def _add_common(parser: argparse.ArgumentParser, writes: bool = True, json: bool = True) -> None:
    add = parser.add_argument
    add("-r", "--recursive", action="store_true", help="enter folders inside folders")
    add("--model", type=Path, metavar="FILE", help="a model file instead of the bundled ones")
    if writes:
        add("--force", action="store_true", help="overwrite files")
    if json:
        add("--json", action="store_true", help="print the results as one JSON object")
    add("--threads", type=_above_zero, metavar="N", help="processor threads (a thread per core)")
    loudness = parser.add_mutually_exclusive_group().add_argument
    loudness("-q", "--quiet", action="store_true", help="say nothing but errors and what was asked for")
    loudness("-v", "--verbose", action="store_true", help="say how long each file took, and what a search tried")


def _command(commands: Any, name: str, text: str, more: str = "") -> argparse.ArgumentParser:
    return commands.add_parser(name, help=text, description=f"{text}\n{more}", **STYLE)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def _count(text: str) -> int:
    value = _whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def _above_zero(text: str) -> int:
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value
