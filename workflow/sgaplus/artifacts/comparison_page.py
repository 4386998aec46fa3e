"""A page of pictures to compare, which needs no server: original, base model and refined, one laid over another."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from sgaplus.artifacts.table import minus
from sgaplus.codec import bitstream_archive
from sgaplus.codec.bitstream import Coder
from sgaplus.codec.frozen import Codec


@dataclass(frozen=True)
class Picture:
    """A picture with what is written beside it.

    Attributes:
        name: What it is.
        numbers: Its rate and quality in print.
        pixels: uint8, (height, width, 3).
    """

    name: str
    numbers: str
    pixels: np.ndarray

    def as_data(self) -> dict[str, str]:
        """The same for a page, the pixels as a lossless WebP file."""
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, "WEBP", lossless=True)
        source = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
        return {"name": self.name, "numbers": self.numbers, "source": source}


@dataclass(frozen=True)
class Pair:
    """A base model's picture, and a refined one at its rate.

    Attributes:
        name: The base model's name in print.
        base, refined: The pictures.
    """

    name: str
    base: Picture
    refined: Picture


@dataclass(frozen=True)
class Compared:
    """A photograph with its pairs.

    Attributes:
        name: Its name in the data set.
        original: The photograph.
        pairs: One for each base model.
    """

    name: str
    original: Picture
    pairs: Sequence[Pair]


def decoded(row: pd.Series, archives: Iterable[str], codec: Codec) -> np.ndarray:
    """The picture that a record's bitstream decodes to, uint8 (height, width, 3).

    Args:
        row: The record.
        archives: Bitstreams, in a folder of the model's name those of the model.
        codec: The record's model.
    """
    name = bitstream_archive.name_of(*(row[key] for key in ("target_lmbda", "variant", "seed", "image")))
    own = [path for path in archives if Path(path).parent.name == row["model"]]
    pixels, _ = Coder(codec).decode(bitstream_archive.find(name, own), name)
    return pixels


def base_picture(row: pd.Series, pixels: np.ndarray) -> Picture:
    """The picture that a record of the base model is about."""
    return Picture(f"Base model, λ = {row['model_lmbda']:g}", _numbers(row), pixels)


def refined_picture(row: pd.Series, base: pd.Series, label: str, pixels: np.ndarray) -> Picture:
    """The picture that a record of the method ``label`` is about, which is compared with that of ``base``."""
    name = f"{label}, {row['step']} steps"
    if (row["model"], row["target_lmbda"]) != (base["model"], base["model_lmbda"]):
        name += f", model of λ = {row['model_lmbda']:g} toward λ = {row['target_lmbda']:g}"
    return Picture(name, _numbers(row, base), pixels)


def _numbers(row: pd.Series, base: pd.Series | None = None) -> str:
    if base is None:
        return f"{row['bpp']:.3f} bpp, {row['psnr']:.2f} dB"
    bits = minus(f"{100 * (row['bpp'] / base['bpp'] - 1):+z.1f}")
    gain = minus(f"{row['psnr'] - base['psnr']:+z.2f}")
    return f"{row['bpp']:.3f} bpp ({bits} %), {row['psnr']:.2f} dB ({gain} dB)"


def page(template: str, title: str, notice: str, images: Sequence[Compared]) -> str:
    """The page.

    Args:
        template: The page with TITLE, NOTICE and DATA where these belong.
        title: Title of the page.
        notice: What stands first; may be empty.
        images: The photographs.
    """
    data: list[dict[str, Any]] = [
        {
            **{"name": image.name, "width": image.original.pixels.shape[1], "height": image.original.pixels.shape[0]},
            "original": image.original.as_data(),
            "pairs": [
                {"name": pair.name, "base": pair.base.as_data(), "refined": pair.refined.as_data()}
                for pair in image.pairs
            ],
        }
        for image in images
    ]
    banner = f'<p class="notice">{html.escape(notice)}</p>' if notice else ""
    parts = {"TITLE": html.escape(title), "NOTICE": banner, "DATA": json.dumps(data).replace("<", "\\u003c")}
    for word, text in parts.items():
        template = template.replace(word, text)
    return template
