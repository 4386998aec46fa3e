"""The log of a rule's script."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sgaplus.errors import DeviceError, MissingModelError, SgaplusError, with_remedy

logger = logging.getLogger("sgaplus")

REMEDIES = {
    DeviceError: "device: cuda, but {} Set `device: cpu` or `device: auto`.",
    MissingModelError: "{} Train it, or correct the model's entry in the configuration.",
}
"""What to change in the configuration, by the error that it mends."""


def show_any_name() -> None:
    """Have the terminal show as an escape, such as \\xe9, whatever its encoding lacks of a file's name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def logged(path: str | Path) -> Iterator[None]:
    """Send a script's messages and errors to the terminal and to the rule's log.

    An error that a user can mend ends the script with its sentence; any other leaves its traceback
    in the log too.
    """
    show_any_name()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.StreamHandler(sys.stderr),
        logging.FileHandler(path, "w", "utf-8", errors="backslashreplace"),
    ]
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=handlers, force=True)
    logger.setLevel(logging.INFO)
    try:
        yield
    except SgaplusError as error:
        logger.error("error: %s", with_remedy(error, REMEDIES))
        sys.exit(1)
    except Exception:
        logger.exception("unexpected error")
        sys.exit(1)
