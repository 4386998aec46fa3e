"""Where the files are that ship with the library."""

from __future__ import annotations

import os
from pathlib import Path

LIBRARY = Path(__file__).parent
CHECKOUT = LIBRARY.parents[1]
PACKED = LIBRARY / "shipped"
"""What a wheel carries of the checkout; pyproject.toml says which folders."""


def shipped(name: str) -> Path:
    """A file or folder that ships with the library, by its name in the checkout: ``config/config.yaml``."""
    return (PACKED if PACKED.is_dir() else CHECKOUT) / name


def found(path: str) -> Path:
    """A file that a configuration names: from the folder of the run, or else as it ships with the library.

    If it is in neither, it is taken from the folder of the run, where it may come to be.
    """
    return Path(path) if os.path.exists(path) or not shipped(path).exists() else shipped(path)
