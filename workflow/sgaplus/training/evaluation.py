"""Rate and distortion of a model on images, during its training or at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from compressai.models.google import MeanScaleHyperprior

from sgaplus.codec.frozen import Codec, as_tensor
from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.metrics import psnr
from sgaplus.training.crops import Picture


class Evaluation(NamedTuple):
    """Means over images, with hard rounding.

    Attributes:
        loss: bpp + lambda * MSE.
        bpp: Bits per pixel.
        psnr: dB.
    """

    loss: float
    bpp: float
    psnr: float


def evaluate(model: MeanScaleHyperprior, pictures: Sequence[Picture], lmbda: float, device: torch.device) -> Evaluation:
    """Measure a model on images with hard rounding in float32, as refinement measures latents.

    Args:
        model: Trained, or in training.
        pictures: At least one.
        lmbda: Weight of the distortion in the loss.
        device: The device that computes.
    """
    codec = Codec(Hyperprior.of(model.state_dict()), device)
    total = torch.zeros(3, dtype=torch.float64)
    for picture in pictures:
        batch = codec.batch([as_tensor(picture.read())])
        measured = codec.measure(batch, codec.analyse(batch.x))
        bpp, mse = measured.bpp.item(), measured.distortion
        total += torch.tensor(Evaluation(loss=bpp + lmbda * mse.item(), bpp=bpp, psnr=psnr(mse).item()))
    return Evaluation(*(total / len(pictures)).tolist())
