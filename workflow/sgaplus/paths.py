"""Where the files are that ship with the library."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def shipped(name: str) -> Path:
    """A file or folder that ships with the library, by its name in the checkout: ``config/config.yaml``."""
    return CHECKOUT / name
