"""Models to give away: their weights in half precision, and their measured rate-distortion curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from compressai.models.google import MeanScaleHyperprior
from torch import Tensor

from sgaplus.codec.hyperprior import load_state, widths
from sgaplus.data.index import IndexedImage
from sgaplus.training.evaluation import evaluate

CURVE = ("model", "lmbda", "N", "M", "loss", "bpp", "psnr")
"""Columns of the measured curve: loss, bits per pixel and PSNR in dB of each model (means over the evaluation
images, hard rounding, weights as stored)."""


def half_precision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with its weights in float16, without the tables that ``update()`` computes anew.

    CompressAI's constants stay as they are: the smallest likelihood, 1e-9, would be 0 in float16.
    """
    fresh = MeanScaleHyperprior(*widths(state))  # its tables are still empty
    return fresh.state_dict() | {name: state[name].half() for name, _ in fresh.named_parameters()}


def measure(
    models: Mapping[str, str | Path], lmbdas: Mapping[str, float], images: Sequence[IndexedImage]
) -> pd.DataFrame:
    """The curve of models as they are stored; the columns are :data:`CURVE`.

    Args:
        models: State dict of each model.
        lmbdas: Lambda of each model.
        images: Evaluation images.
    """
    rows = []
    for name, path in models.items():
        model = MeanScaleHyperprior.from_state_dict(load_state(path)).eval()
        measured = evaluate(model, images, lmbdas[name], torch.device("cpu"))
        rows.append((name, lmbdas[name], model.N, model.M, *measured))
    return pd.DataFrame(rows, columns=list(CURVE)).sort_values("lmbda", ignore_index=True)
