"""The card of models that are given away: how they were made, and the quality that they reach."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sgaplus.artifacts.table import FORMATS, Table, rendered
from sgaplus.codec.classical_codecs import CODECS

CARD = """# Small models

Mean-scale hyperpriors in half precision, trained and measured by `snakemake bundle`. They are CompressAI state dicts:
`MeanScaleHyperprior.from_state_dict(torch.load(file, weights_only=True))`, then `update()`.

## What they reach

Means over the {count} images of `{test}`, none of which was trained on; rates estimated, latents rounded, weights as
stored here. Beside them the PSNR of classical codecs at the same rate, in real files (JPEG is the better of 4:2:0 and
4:4:4); a dash where a codec does not reach it.

{curve}

By MS-SSIM, of the decoded 8-bit pictures:

{similarity}

## How they were made

{recipes}

A model that starts from another began with its weights; one that is not in the table above is a step on the way,
with a recipe in `config/small.yaml`. Adam and, where the optimiser is Muon, Muon for the kernels; loss, seeds and all
other settings stand in `recipes.json` beside this file, software versions too.
"""


def text(
    curve: pd.DataFrame,
    cards: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, str | Path],
    test: str,
    count: int,
) -> str:
    """The card, in Markdown.

    Args:
        curve: Measured rate and quality, with the columns of ``bundle.CURVE`` and of ``anchors.beside``.
        cards: Recipe of each model, as the training rule writes it.
        metrics: File of the training metrics of each.
        test: Name of the data set that they were measured on.
        count: Number of its images.
    """
    recipes = pd.DataFrame([_recipe(name, cards[name], metrics[name]) for name in cards])
    return CARD.format(
        count=count,
        test=test,
        curve=rendered(_reached(curve), FORMATS["md"]),
        similarity=rendered(_similarity(curve), FORMATS["md"]),
        recipes=rendered(Table(recipes.set_index("model")), FORMATS["md"]),
    )


def _reached(curve: pd.DataFrame) -> Table:
    """Rate and PSNR of each model, and the PSNR of classical codecs at its rate."""
    values = pd.DataFrame(
        {
            "lambda": curve["lmbda"].map("{:g}".format),
            "N": curve["N"],
            "M": curve["M"],
            "bpp": curve["bpp"],
            "PSNR (dB)": curve["psnr"],
            **{f"{codec.label} (dB)": curve[codec.label].map("{:.2f}".format) for codec in CODECS.values()},
        }
    )
    values.index = pd.Index(curve["model"], name="model")
    return Table(values.replace("nan", "-"), decimals={"N": 0, "M": 0, "PSNR (dB)": 2})


def _similarity(curve: pd.DataFrame) -> Table:
    """The rate and MS-SSIM of each model, and the MS-SSIM of classical codecs at its rate."""
    columns = {"MS-SSIM": "ms_ssim"} | {codec.label: f"{codec.label} MS-SSIM" for codec in CODECS.values()}
    values = pd.DataFrame({name: curve[column].map("{:.4f}".format) for name, column in columns.items()})
    values.insert(0, "bpp", curve["bpp"])
    values.index = pd.Index(curve["model"], name="model")
    return Table(values.replace("nan", "-"))


def _recipe(name: str, card: Mapping[str, Any], metrics: str | Path) -> dict[str, Any]:
    """How a model was made, by column."""
    model, hardware = card["model"], card["hardware"]
    training = card["training"] | model  # whose own settings go before
    table = pd.read_csv(metrics)
    minutes = (table["step"].diff().fillna(table["step"] + 1) / table["steps_per_second"]).sum() / 60
    return {
        "model": name,
        "data": model["dataset"],
        "starts from": model.get("start_from", "random weights"),
        "steps": str(model["steps"]),
        "crops": f"{training['batch_size']} of {training['crop']} x {training['crop']}",
        "optimiser": training["optimizer"],
        "seed": str(training["seed"]),
        "minutes": f"{minutes:.0f}",
        "hardware": f"{training['threads']} threads of {hardware['processor']}, GPUs: {hardware['gpus']}",
    }
