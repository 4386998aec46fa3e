"""Where the files are that ship with the library."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PACKED = Path(__file__).parent / "shipped"
"""What a wheel carries of the checkout; pyproject.toml says which folders."""


def shipped(name: str) -> Path:
    """A file or folder that ships with the library, by its name in the checkout: ``config/config.yaml``."""
    return (PACKED if PACKED.is_dir() else CHECKOUT) / name
