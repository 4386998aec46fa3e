"""The work of a command over its files: its messages, its progress, its failures, its end."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from sgaplus.cli.inputs import Input, Inputs
from sgaplus.cli.main import DONE, SOME_FAILED, STOPPED
from sgaplus.errors import SgaplusError
from sgaplus.progress import heard_by

ESTIMATE_AFTER = 3
"""Seconds of progress after which the time that is left is estimated."""

WORTH_SAYING = 30
"""Seconds of work that are long enough to be announced."""

BAR: dict[str, Any] = {
    "bar_format": "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
    "smoothing": 0.1,
    "delay": 0.5,
    "leave": False,
}


@dataclass(frozen=True)
class Result:
    """What was done with one file.

    Attributes:
        text: A sentence, or a row of a table.
        values: The same for a program.
    """

    text: str
    values: Mapping[str, Any]


class Work:
    """A command's work over its files.

    Args:
        options: ``quiet``, ``verbose``, and ``json`` where the command has it.
        inputs: Its files.
        weights: How long each file takes in relation to the others; alike if there are none.
        parts: How many works with a progress of their own one file takes, about.
        where: What computes, if the work may be long: follows the estimate of its time.
        to_standard_error: Whether standard output carries data, so that results are told on standard error.
        quietly: Whether ``quiet`` silences results: they are about the work, and no answer to the user's question.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        inputs: Inputs,
        weights: Sequence[float] = (),
        parts: float = 1,
        where: str = "",
        to_standard_error: bool = False,
        quietly: bool = False,
    ) -> None:
        self.inputs, self.weights, self.parts, self.where = inputs, weights, parts, where
        self.quiet, self.verbose, self.json = options.quiet, options.verbose, getattr(options, "json", False)
        self.results_shown = not (self.json or (self.quiet and quietly))
        self.results_to = sys.stderr if to_standard_error else sys.stdout
        self.results: list[Mapping[str, Any]] = []
        self.failed: list[dict[str, str]] = []
        self.stopped = False

    def show(self, text: str) -> None:
        """Show a result, or a line of a table."""
        if text and self.results_shown:
            with tqdm.external_write_mode(file=self.results_to):
                print(text, file=self.results_to, flush=True)

    def note(self, text: str) -> None:
        """Say something beside the results."""
        if text and not self.quiet:
            with tqdm.external_write_mode(file=sys.stderr):
                print(text, file=sys.stderr, flush=True)

    def each(self, do: Callable[[Input], Result]) -> None:
        """Do the work for every file; a file that fails, and Ctrl-C, leave the results of the others."""
        self.note(self.inputs.skipped_text())
        progress = _Progress(self)
        with progress.bar, logging_redirect_tqdm():
            for file in self.inputs.files:
                start = time.monotonic()
                try:
                    with progress.of(file):
                        result = do(file)
                except KeyboardInterrupt:
                    self.stopped = True
                    break
                except BrokenPipeError:  # of standard output: an error of the command, not of the file
                    raise
                except (SgaplusError, OSError) as error:
                    text = str(error)
                    self.failed.append({"file": str(file), "error": text if str(file) in text else f"{file}: {text}"})
                    continue
                seconds = time.monotonic() - start
                self.show(result.text + (f", {duration_text(seconds)}" if self.verbose else ""))
                self.results.append({**result.values, "seconds": round(seconds, 3)})

    def end(self, **summary: Any) -> int:
        """Say what failed; with ``--json``, say everything, with these values too. Returns the exit status."""
        count = len(self.inputs.files)
        if self.json:
            skipped = {"skipped": dict(self.inputs.skipped), "folders_skipped": self.inputs.folders}
            print(
                json.dumps({"files": self.results, **summary, "failed": self.failed, **skipped}, indent=2), flush=True
            )
        if self.failed:
            texts = [failure["error"] for failure in self.failed]
            print(f"{len(texts)} of {len(texts) + len(self.results)} failed:", *texts, sep="\n  ", file=sys.stderr)
        if self.stopped:
            print(f"stopped: {len(self.results)} of {count} files are done", file=sys.stderr)
            return STOPPED
        return SOME_FAILED if self.failed else DONE


class _Progress:
    """A bar over files and within each, and once an estimate of the time."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.weights = list(work.weights) or [1.0] * len(work.inputs.files)
        self.bar = tqdm(total=sum(self.weights), disable=True if work.quiet else None, **BAR)
        self.index, self.done = 0, 0.0
        self.started: tuple[float, float] | None = None
        self.estimated = False

    @contextmanager
    def of(self, file: Input) -> Iterator[None]:
        """Follow the work on the next file."""
        weight = self.weights[self.index]
        self.index += 1
        before = self.done
        self.bar.set_description_str(f"{file} ({self.index} of {len(self.weights)})")

        def listen(share: float) -> None:
            self._move(min(self.done + share * weight / self.work.parts, before + weight))

        try:
            with heard_by(listen):
                yield
        finally:
            self._move(before + weight)

    def _move(self, done: float) -> None:
        self.bar.update(done - self.done)
        self.done = done
        if not self.estimated:
            self._estimate()

    def _estimate(self) -> None:
        now = time.monotonic()
        if self.started is None:
            self.started = now, self.done
            return
        start, before = self.started
        if now - start >= ESTIMATE_AFTER and self.done > before:
            left = (now - start) / (self.done - before) * (sum(self.weights) - self.done)
            self.estimated = True
            if left >= WORTH_SAYING:
                self.work.note(f"this takes about {duration_text(left)}{self.work.where}")


def duration_text(seconds: float) -> str:
    """A duration for reading: ``3.2 s``, ``4 min 10 s``, ``5 h 2 min``."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
