"""Models to give away: their weights in half precision, and their measured rate-distortion curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import pandas as pd
import torch
from compressai.models.google import MeanScaleHyperprior
from torch import Tensor

from sgaplus import metrics
from sgaplus.codec.bitstream import unrefined
from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import load_state, save_state, widths
from sgaplus.data.index import IndexedImage
from sgaplus.files import replacing
from sgaplus.training.evaluation import evaluate

SIGNIFICANT_BITS = 9
"""Of a kernel's weights, two fewer than float16 has: packed files get a tenth smaller, the loss 0.02 % larger."""

CURVE = ("model", "lmbda", "N", "M", "loss", "bpp", "psnr", "ms_ssim")
"""Columns of the measured curve: loss, bits per pixel and PSNR in dB of each model (means over the evaluation
images, hard rounding, weights as stored), and MS-SSIM of the decoded pictures, nan where one is too small."""


def half_precision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with its weights in float16, without the tables that ``update()`` computes anew.

    Kernels have :data:`SIGNIFICANT_BITS`. CompressAI's constants stay as they are: the smallest likelihood, 1e-9,
    would be 0 in float16.
    """
    fresh = MeanScaleHyperprior(*widths(state))  # its tables are still empty
    shorter = {
        name: _shorter(state[name]) if value.ndim == 4 else state[name] for name, value in fresh.named_parameters()
    }
    return fresh.state_dict() | {name: weights.half() for name, weights in shorter.items()}


def _shorter(kernel: Tensor) -> Tensor:
    mantissa, exponent = torch.frexp(kernel)
    return torch.ldexp(torch.round(mantissa * 2**SIGNIFICANT_BITS) / 2**SIGNIFICANT_BITS, exponent)


def save_packed(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Write a state dict for ``torch.load``, all or nothing, in a compressed zip archive; torch's own are not."""
    with replacing(path) as temporary:
        save_state(state, temporary)
        with ZipFile(temporary) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        with ZipFile(temporary, "w", ZIP_DEFLATED, compresslevel=9) as archive:
            for name, content in contents.items():
                archive.writestr(ZipInfo(name), content, ZIP_DEFLATED)  # without today's date


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
        rows.append((name, lmbdas[name], model.N, model.M, *measured, _ms_ssim(Codec.load(path), images)))
    return pd.DataFrame(rows, columns=list(CURVE)).sort_values("lmbda", ignore_index=True)


def _ms_ssim(codec: Codec, images: Sequence[IndexedImage]) -> float:
    pictures = (image.read() for image in images)
    each = [metrics.ms_ssim_of(pixels, unrefined(codec, pixels)) for pixels in pictures]
    return float(np.mean([np.nan if value is None else value for value in each]))
