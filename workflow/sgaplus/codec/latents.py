"""Latents of a batch, and the functions that relax or round them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Relax = Callable[[Tensor, Tensor], Tensor]
"""Replaces values ``v`` by values near ``centre`` plus an integer: ``(v, centre) -> v~``, in the shape of ``v``."""


@dataclass
class Latents:
    """Latents and hyper-latents of a batch.

    Attributes:
        y: Latents, (B, M, H/16, W/16), H and W multiples of 16.
        z: Hyper-latents, (B, N, H/64, W/64), rounded up.
    """

    y: Tensor
    z: Tensor


@dataclass
class Relaxed:
    """Relaxed or rounded latents and their estimated rate.

    Attributes:
        latents: The relaxed or rounded values.
        bits_y, bits_z: Estimated bits of each image's latents and hyper-latents, (B,).
    """

    latents: Latents
    bits_y: Tensor
    bits_z: Tensor

    @property
    def bits(self) -> Tensor:
        """Estimated bits of each image, (B,)."""
        return self.bits_y + self.bits_z


def cropped(v: Tensor, height: int, width: int) -> Tensor:
    """The first rows and columns of (..., H, W); ``v`` itself if it has no more."""
    # an idle slice would cost time, and its gradient another memory layout
    return v if v.shape[-2:] == (height, width) else v[..., :height, :width]


def hard_rounding(v: Tensor, centre: Tensor) -> Tensor:
    """The nearest value that a bitstream can carry."""
    return torch.round(v - centre) + centre


def no_rounding(v: Tensor, centre: Tensor) -> Tensor:
    """The values as they are, for latents that are rounded already."""
    return v
