"""Random numbers of relaxed rounding, from an image's own stream."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

STRATA = 8
"""Successive steps whose numbers are spread over the unit interval: about the memory of Adam's first moment."""

LARGEST_UNIFORM = 1 - 2.0**-24
"""The largest float32 number below 1."""


class IndependentDraws:
    """Independent numbers in every step.

    Args:
        stream: The image's random stream.
        device: Its device.
    """

    def __init__(self, stream: torch.Generator, device: torch.device) -> None:
        self.stream, self.device = stream, device

    def start(self, step: int) -> None:
        """Begin a step; steps come in their order, from 0."""

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """U[0, 1) numbers, float32, on the device. Each step must ask for the same shapes in the same order."""
        return torch.rand(tuple(shape), generator=self.stream, device=self.device)


class StratifiedDraws(IndependentDraws):
    """Numbers of which each latent meets one in every eighth of [0, 1) in eight steps, in random order.

    Each number is U[0, 1), and different latents' numbers are independent. But the mean over eight steps of a function
    of one latent's number varies less, and so does the gradient that an optimiser with momentum follows.

    Args:
        stream: The image's random stream.
        device: Its device.
    """

    def __init__(self, stream: torch.Generator, device: torch.device) -> None:
        super().__init__(stream, device)
        self.orders: list[Tensor] = []
        self.phase = self.call = 0

    def start(self, step: int) -> None:
        """Begin a step; steps come in their order, from 0."""
        self.phase, self.call = step % STRATA, 0
        if self.phase == 0:
            self.orders = []

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """As of :class:`IndependentDraws`."""
        if self.phase == 0:
            self.orders.append(_ranks(super().uniform((STRATA, *shape))))
        stratum = self.orders[self.call][self.phase]
        self.call += 1
        return ((stratum + super().uniform(shape)) / STRATA).clamp(max=LARGEST_UNIFORM)


def together(draws: Sequence[IndependentDraws], shape: Sequence[int]) -> Tensor:
    """Numbers of each image's own stream, one image after another, in the shape (B, ...) of a batch."""
    return torch.stack([image.uniform(shape[1:]) for image in draws])


def _ranks(keys: Tensor) -> Tensor:
    """How many keys along the first dimension each key exceeds, uint8; comparing takes a fraction of sorting's time."""
    ranks = torch.zeros_like(keys, dtype=torch.uint8)
    for key in keys:
        ranks += keys > key
    return ranks


DRAWS: dict[str, type[IndependentDraws]] = {"independent": IndependentDraws, "stratified": StratifiedDraws}
