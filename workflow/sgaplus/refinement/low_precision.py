"""The correction of a refinement for the rounding of a low precision.

A low precision rounds pixels, and shifts a flat part of an image by up to a fifth of a level, always in the same
way: refinement would compensate an error that no decoder makes. So some latents, the reference, are decoded
in the model's own precision, and only the difference from their reconstruction is computed in the low precision.
With strips, where memory is scarce, there is no reference; the shift is corrected all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sgaplus.codec.frozen import Batch, Codec
from sgaplus.codec.latents import Latents


@dataclass(frozen=True)
class SynthesisTarget:
    """Images that the differentiated synthesis is compared with.

    Attributes:
        batch: The images, shifted as low precision shifts the reconstruction.
        reference: Inputs of the last layer at the reference latents, negated; the low-precision synthesis then
            returns the difference from the reference, and the target is stored as a difference too. None where
            whole images are compared.
    """

    batch: Batch
    reference: Tensor | None = None


def corrected(codec: Codec, batch: Batch, latents: Latents, strip: int | None = None) -> SynthesisTarget:
    """The target corrected for low-precision rounding: at these latents, rounded, the distortion equals its
    float32 value.

    Args:
        codec: The frozen codec; in float32 it needs no correction.
        batch: The images.
        latents: The present latents of the refinement.
        strip: Latent rows synthesised at once; None for all.
    """
    if codec.precision == "float32":
        return SynthesisTarget(batch)
    with torch.no_grad():
        y = codec.round(latents).y
        reference = None if strip else codec.reference(y)
        shift = codec.low_precision_shift(y, strip, reference)
        return SynthesisTarget(replace(batch, x=batch.x + shift), reference)
