"""Models to give away: half precision, with a card that says how they were made and what they reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from compressai.models.google import MeanScaleHyperprior
from torch import Tensor
from tqdm import tqdm

from sgaplus.codec import classical_codecs
from sgaplus.codec.hyperprior import load_state, save_state, widths
from sgaplus.data.images import IndexedImage
from sgaplus.files import replacing, write_json
from sgaplus.training.trainer import evaluation_of

CURVE = ("model", "lmbda", "N", "M", "loss", "bpp", "psnr", *dict.fromkeys(s.codec for s in classical_codecs.SETTINGS))
"""Columns of the measured curve: loss, bits per pixel and PSNR in dB of each model (means over the evaluation
images, hard rounding, weights as stored), and the PSNR of classical codecs at the same rate."""

CARD = """# Small models

Mean-scale hyperpriors in half precision, trained and measured by `snakemake bundle`. They are CompressAI state dicts:
`MeanScaleHyperprior.from_state_dict(torch.load(file, weights_only=True))`, then `update()`.

## What they reach

Means over the {count} images of `{test}`, none of which was trained on; rates estimated, latents rounded, weights as
stored here. Beside them the PSNR of Pillow's JPEG (better of 4:2:0 and 4:4:4) and JPEG 2000 at the same rate; a dash
where a codec does not reach it.

{curve}

## How they were made

{recipes}

A model that starts from another began with its weights; those that are not in the table above are steps on the way,
with recipes in `config/small.yaml`. Adam and, where the optimiser is Muon, Muon for the kernels; loss, seeds and all
other settings stand in `recipes.json` beside this file, software versions too.
"""


def half_precision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with its weights in float16, without the tables that ``update()`` computes anew.

    CompressAI's constants stay as they are: the smallest likelihood, 1e-9, would be 0 in float16.
    """
    fresh = MeanScaleHyperprior(*widths(state))  # its tables are still empty
    return fresh.state_dict() | {name: state[name].half() for name, _ in fresh.named_parameters()}


def write(
    models: Mapping[str, Mapping[str, str]],
    cards: Mapping[str, Mapping[str, Any]],
    test: str,
    images: Sequence[IndexedImage],
    folder: str | Path,
) -> pd.DataFrame:
    """Write models in half precision and measure them as they were written; returns the table of :data:`CURVE`.

    Args:
        models: Files ``model`` and ``metrics`` of each model.
        cards: What each was made with, as the training rule writes it.
        test: Name of the data set that they are measured on.
        images: Its images.
        folder: Where the models, ``README.md``, ``curve.csv`` and ``recipes.json`` go.
    """
    folder = Path(folder)
    classic = classical_codecs.curves(tqdm([image.read() for image in images], desc="classical codecs", unit="image"))
    rows = []
    for name, files in models.items():
        path = folder / f"{name}.pth"
        save_state(half_precision(load_state(files["model"])), path)
        model = MeanScaleHyperprior.from_state_dict(load_state(path)).eval()
        lmbda = cards[name]["model"]["lmbda"]
        measured = evaluation_of(model, images, lmbda, torch.device("cpu"))
        loss, bpp, psnr = measured.values()
        beside = [classical_codecs.psnr_at(curve, bpp) for curve in classic.values()]
        rows.append((name, lmbda, model.N, model.M, loss, bpp, psnr, *beside))
    table = pd.DataFrame(rows, columns=list(CURVE)).sort_values("lmbda", ignore_index=True)
    recipes = pd.DataFrame([_recipe(name, cards[name], files["metrics"]) for name, files in models.items()])
    with replacing(folder / "curve.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.5f")
    write_json(cards, folder / "recipes.json")
    with replacing(folder / "README.md") as temporary:
        temporary.write_text(
            CARD.format(count=len(images), test=test, curve=_printed(table), recipes=recipes.to_markdown(index=False))
        )
    return table


def _printed(table: pd.DataFrame) -> str:
    jpeg = table[[name for name in table if str(name).startswith("JPEG 4")]].max(axis=1)
    shown = pd.DataFrame(
        {
            "model": table["model"],
            "lambda": table["lmbda"].map("{:g}".format),
            "N": table["N"],
            "M": table["M"],
            "bpp": table["bpp"].map("{:.4f}".format),
            "PSNR (dB)": table["psnr"].map("{:.2f}".format),
            "JPEG (dB)": jpeg.map(_decibels),
            "JPEG 2000 (dB)": table["JPEG 2000"].map(_decibels),
        }
    )
    return shown.to_markdown(index=False, disable_numparse=True)


def _decibels(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def _recipe(name: str, card: Mapping[str, Any], metrics: str) -> dict[str, Any]:
    model, training, hardware = card["model"], card["training"], card["hardware"]
    table = pd.read_csv(metrics)
    minutes = (table["step"].diff().fillna(table["step"] + 1) / table["steps_per_second"]).sum() / 60
    return {
        "model": name,
        "data": model["dataset"],
        "starts from": model.get("start_from", "random weights"),
        "steps": model["steps"],
        "crops": f"{training['batch_size']} of {training['crop']} x {training['crop']}",
        "optimiser": training["optimizer"],
        "seed": training["seed"],
        "minutes": f"{minutes:.0f}",
        "hardware": f"{training['threads']} threads of {hardware['processor']}, GPUs: {hardware['gpus']}",
    }
