"""The optimisation of one sub-batch's latents: its loss and its steps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sgaplus.codec.frozen import Codec, Measurement
from sgaplus.codec.latents import Latents, Relax
from sgaplus.refinement import optimizers
from sgaplus.refinement.draws import DRAWS, together
from sgaplus.refinement.low_precision import SynthesisTarget, corrected
from sgaplus.refinement.method import Method, Plan
from sgaplus.refinement.rounding import Number, Rounding

CORRECT_EVERY = 50
"""Steps between updates of the low-precision correction."""


@dataclass(frozen=True)
class SubBatch:
    """Images of one padded size that are refined together.

    Attributes:
        images: Names and pictures, (3, h, w) in [0, 1].
        strip: Latent rows synthesised at once, to bound memory; None for all.
    """

    images: Sequence[tuple[str, Tensor]]
    strip: int | None = None

    @property
    def names(self) -> list[str]:
        """The images' names."""
        return [name for name, _ in self.images]

    def smaller(self, rows: int) -> list[SubBatch]:
        """The same images in sub-batches of half the memory: half the images or, of a single one, half the rows.

        Args:
            rows: Latent rows that are synthesised at once where :attr:`strip` is None; 1 if they can't be cut.

        Returns:
            Nothing, if there is no smaller sub-batch.
        """
        half = len(self.images) // 2
        if half:
            return [SubBatch(self.images[:half], self.strip), SubBatch(self.images[half:], self.strip)]
        strip = (self.strip or rows) // 2
        return [SubBatch(self.images, strip)] if strip else []


class LatentOptimization:
    """Optimisation state of one sub-batch: latents, optimiser, random streams.

    Args:
        codec: The frozen codec.
        sub_batch: The images.
        method: Rounding, temperature and optimiser.
        plan: Target, number of steps, seed.

    Attributes:
        names: The images' names.
        latents: Latents before rounding; leaf tensors, changed in place.
    """

    def __init__(self, codec: Codec, sub_batch: SubBatch, method: Method, plan: Plan) -> None:
        self.codec, self.method, self.plan = codec, method, plan
        self.names, self.strip = sub_batch.names, sub_batch.strip
        self.batch = codec.batch([picture for _, picture in sub_batch.images])
        self.target = SynthesisTarget(self.batch)
        start = codec.analyse(self.batch.x, self.strip)
        self.latents = Latents(start.y.requires_grad_(), start.z.requires_grad_())
        streams = [random_stream(plan.seed, name, codec.device) for name in self.names]
        self.draws = [DRAWS[method.draws](stream, codec.device) for stream in streams]
        self.optimizer = optimizers.make(method.optimizer, [self.latents.y, self.latents.z])

    def loss(self, step: int) -> Tensor:
        """Each image's method loss before a step, (B,); draws the step's random numbers."""
        if step % CORRECT_EVERY == 0:
            self.target = corrected(self.codec, self.batch, self.latents, self.strip)
        for draws in self.draws:
            draws.start(step)
        relax = relaxation(self.method.rounding, self.method.temperature(step), partial(together, self.draws))
        return method_loss(self.codec, self.target, self.latents, relax, self.plan.lmbda, self.strip)

    def step(self, step: int, loss: Tensor) -> None:
        """Move the latents along the gradient of a loss."""
        self.optimizer.zero_grad()
        loss.sum().backward()
        self.optimizer.step(self.method.learning_rate(step))

    def advance(self, step: int) -> Tensor:
        """Take a step, and return each image's method loss before it, (B,)."""
        loss = self.loss(step)
        self.step(step, loss)
        return loss.detach()

    def measure(self) -> Measurement:
        """Rate and distortion of the latents as they are now, rounded."""
        return self.codec.measure(self.batch, self.latents, self.strip)


def method_loss(
    codec: Codec, target: SynthesisTarget, latents: Latents, relax: Relax, lmbda: float, strip: int | None = None
) -> Tensor:
    """Each image's bpp + lambda * distortion under relaxed rounding, (B,), differentiable in the latents."""
    relaxed = codec.relaxed(latents, relax)
    bpp = relaxed.bits / target.batch.pixels
    return bpp + lmbda * codec.distortion(target.batch, relaxed.latents.y, strip, target.reference)


def relaxation(rounding: Rounding, tau: Number, draw: Callable[[Sequence[int]], Tensor]) -> Relax:
    """A rounding at a temperature, with random numbers in the shape of a batch."""

    def relax(v: Tensor, centre: Tensor) -> Tensor:
        return rounding.relax(v - centre, tau, lambda: draw(v.shape)) + centre

    return relax


def random_stream(seed: int, name: str, device: torch.device) -> torch.Generator:
    """The random numbers of one image: they depend on the seed, its name and the kind of device alone."""
    digest = hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "little", signed=True))
