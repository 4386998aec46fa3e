"""Training batches: random crops of photographs.

The crops of a step follow from (seed, step) alone. So a training that was stopped goes on with the
same crops it would have had, and the number of processes that decode pictures changes nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.errors import TrainingError

PREFETCH = 4
"""Batches that each worker process prepares ahead."""


class Picture(Protocol):
    """A source of crops: a ``data.index.IndexedImage``, or any other picture that knows its size and can be read."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def height(self) -> int:
        """Pixels."""

    def read(self) -> np.ndarray:
        """uint8, (height, width, 3)."""


@dataclass(frozen=True)
class Crop:
    """The place of a crop: number of the picture, top and left pixel, side, and whether it is mirrored sideways."""

    picture: int
    top: int
    left: int
    side: int
    mirrored: bool


class Crops(Dataset[Tensor]):
    """Batches of square crops by step. Every picture is equally likely, large or small.

    Args:
        pictures: Training pictures; a picture smaller than a crop is left out.
        side: Side of the crops in pixels.
        batch_size: Crops per step.
        seed: Seed of the crops.
        per_picture: Crops that are taken of one picture in a step, to decode fewer.
        share: The part of each step's crops to make: (k, n) for the k-th of n equal shares, from 0.
        cache_bytes: Memory for decoded pictures, in bytes; as many are kept as fit.
        vary: Draw the side for each step, up to three latents below ``side``, so that latents end anywhere within the
            last hyper-latent.

    Raises:
        TrainingError: no picture is as large as a crop, or the batch cannot be divided.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        side: int,
        batch_size: int,
        seed: int,
        per_picture: int = 1,
        share: tuple[int, int] = (0, 1),
        cache_bytes: int = 0,
        vary: bool = False,
    ) -> None:
        self.pictures = [picture for picture in pictures if min(picture.width, picture.height) >= side]
        if not self.pictures:
            raise TrainingError(f"no training image is {side} pixels high and wide. Lower `crop`, or add larger ones.")
        for name, parts in (("crops_per_image", per_picture), ("gpus", share[1])):
            if batch_size % parts:
                raise TrainingError(f"batch_size {batch_size} is no multiple of {name} {parts}. Make it one.")
        self.side, self.batch_size, self.seed, self.per_picture, self.share = side, batch_size, seed, per_picture, share
        self.vary = vary
        self._room = cache_bytes
        self._cache: dict[int, np.ndarray] = {}
        self._last: tuple[int, np.ndarray] | None = None

    def plan(self, step: int) -> list[Crop]:
        """All crops of a step."""
        random = np.random.default_rng([self.seed, step])
        side = self.side - (Hyperprior.stride * int(random.integers(Hyperprior.hyper_stride)) if self.vary else 0)
        chosen = np.repeat(
            random.integers(len(self.pictures), size=self.batch_size // self.per_picture), self.per_picture
        )
        return [self._place(random, int(picture), side) for picture in chosen]

    def _place(self, random: np.random.Generator, picture: int, side: int) -> Crop:
        height, width = self.pictures[picture].height, self.pictures[picture].width
        top, left = random.integers(height - side + 1), random.integers(width - side + 1)
        return Crop(picture, int(top), int(left), side, bool(random.integers(2)))

    def __getitem__(self, step: int) -> Tensor:
        """The wanted share of a step's crops: uint8, (batch_size / n, 3, side, side)."""
        index, shares = self.share
        cut = [self._cut(crop) for crop in self.plan(step)[index::shares]]
        return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2)

    def _cut(self, crop: Crop) -> np.ndarray:
        pixels = self._pixels(crop.picture)[crop.top : crop.top + crop.side, crop.left : crop.left + crop.side]
        return pixels[:, ::-1] if crop.mirrored else pixels

    def _pixels(self, picture: int) -> np.ndarray:
        if picture in self._cache:
            return self._cache[picture]
        if self._last is None or self._last[0] != picture:  # the crops of a picture follow one another
            self._last = picture, self.pictures[picture].read()
        pixels = self._last[1]
        if pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._cache[picture] = pixels
        return pixels

    def batches(self, start: int, stop: int, workers: int = 0, pin: bool = False) -> Generator[Tensor, None, None]:
        """The batches of steps ``start`` to ``stop - 1``, prepared by ``workers`` processes (0: by this process).

        Close the generator to end the processes.
        """
        # each process has a cache of its own
        self._room //= max(1, workers)
        yield from DataLoader(
            self,
            sampler=range(start, stop),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=PREFETCH if workers else None,
            pin_memory=pin,
            worker_init_fn=_leave_signals_to_the_trainer,
        )


def _leave_signals_to_the_trainer(_worker: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
