"""A step of refinement as a CUDA graph, which starts all of its kernels at once.

A graph holds the loss, its gradient and the optimiser's move. It works on the refinement's own latents and moments, and
reads what changes between steps from tensors that are filled before it is replayed: temperature, learning rate, random
numbers, and the target that a correction has changed. So the streams of random numbers are no part of it. What is
measured or corrected is done by ordinary steps between replays.

It has not run on a GPU yet: docs/gpu.md says what is known without one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

import torch
from torch import Tensor

from sgaplus.codec.latents import Latents
from sgaplus.refinement import optimizers
from sgaplus.refinement.draws import together
from sgaplus.refinement.latent_optimization import CORRECT_EVERY, LatentOptimization, method_loss, relaxation
from sgaplus.refinement.low_precision import SynthesisTarget
from sgaplus.refinement.method import Plan
from sgaplus.refinement.optimizers import Optimizer

logger = logging.getLogger(__name__)

COPIES = 2
"""Steps whose working memory is held: the graph keeps its own, and the ordinary steps between need theirs."""

Capture = Callable[[Callable[[], object], Callable[[], Tensor]], Callable[[], Tensor]]
"""Calls its first argument to warm up, records what the second starts, and returns what starts it again. Each replay
leaves its result in the same tensor."""


def advancing(optimization: LatentOptimization) -> Callable[[int], Tensor]:
    """What takes a step of an optimisation, as its plan asks for it and its device can: see ``advance`` there."""
    plan, device = optimization.plan, optimization.codec.device
    return StepGraph(optimization, CAPTURE[device.type]) if used(plan, device) else optimization.advance


def used(plan: Plan, device: torch.device) -> bool:
    """Whether steps under a plan are captured on a device."""
    return plan.cuda_graphs and device.type in CAPTURE


class StepGraph:
    """Takes steps of an optimisation, in their order, by a graph where it can.

    The graph is captured in the first step that needs no correction. If that fails, the steps are ordinary ones: until
    then nothing of the optimisation has been touched.

    Args:
        optimization: The optimisation.
        capture: The device's way to capture.
    """

    def __init__(self, optimization: LatentOptimization, capture: Capture) -> None:
        self.optimization, self.capture = optimization, capture
        self.replay: Callable[[], Tensor] | None = None
        self.failed = False

    def __call__(self, step: int) -> Tensor:
        """Take a step, and return each image's method loss before it, (B,); the next step overwrites it.

        Raises:
            OutOfMemoryError: the step or its capture needs more memory than there is.
        """
        if self.replay is None and not self.failed and step % CORRECT_EVERY:
            self._prepare(step)
        if self.replay is None or step % CORRECT_EVERY == 0:
            return self.optimization.advance(step)
        self._fill(step)
        return self.replay()

    def _prepare(self, step: int) -> None:
        one = self.optimization
        self.target = one.target
        trial = Latents(one.latents.y.detach().clone(), one.latents.z.detach().clone())
        spare = optimizers.make(one.method.optimizer, [trial.y, trial.z])
        numbers = (one.method.temperature(step), *spare.numbers(one.method.learning_rate(step)))
        self.numbers = [torch.full((), number, device=one.codec.device) for number in numbers]

        def warm_up() -> Tensor:
            self.drawn: list[Tensor] = []
            return self._compute(trial, spare, self._held)

        def captured() -> Tensor:
            drawn = iter(self.drawn)
            return self._compute(one.latents, one.optimizer, lambda _: next(drawn))

        try:
            self.replay = self.capture(warm_up, captured)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            self.failed = True
            logger.warning(
                "rounding %s: its steps can't be captured as a CUDA graph (%s: %s); they are taken without one",
                one.method.rounding.name,
                type(error).__name__,
                error,
            )

    def _held(self, shape: Sequence[int]) -> Tensor:
        """A new tensor for random numbers, in the order in which a step asks for them."""
        self.drawn.append(torch.full(tuple(shape), 0.5, device=self.optimization.codec.device))
        return self.drawn[-1]

    def _compute(self, latents: Latents, optimizer: Optimizer, draw: Callable[[Sequence[int]], Tensor]) -> Tensor:
        """A step of latents, all of whose changing numbers are in tensors; returns the losses before it."""
        one, (tau, *numbers) = self.optimization, self.numbers
        # leaves of its own: the nodes that hold the gradients of the latents belong to ordinary steps' stream
        leaves = [tensor.detach().requires_grad_() for tensor in (latents.y, latents.z)]
        relax = relaxation(one.method.rounding, tau, draw)
        loss = method_loss(one.codec, self.target, Latents(*leaves), relax, one.plan.lmbda, one.strip)
        loss.sum().backward()
        for tensor, leaf in zip(optimizer.tensors, leaves, strict=True):
            tensor.grad = leaf.grad
        optimizer.move(*numbers)
        return loss.detach()

    def _fill(self, step: int) -> None:
        """Put a step's numbers where the graph reads them; nothing here waits for the device."""
        one = self.optimization
        if one.target is not self.target:
            for mine, corrected in zip(_tensors(self.target), _tensors(one.target), strict=True):
                mine.copy_(corrected)
            one.target = self.target
        numbers = (one.method.temperature(step), *one.optimizer.numbers(one.method.learning_rate(step)))
        for held, number in zip(self.numbers, numbers, strict=True):
            held.fill_(number)
        for draws in one.draws:
            draws.start(step)
        for drawn in self.drawn:
            drawn.copy_(together(one.draws, drawn.shape))


def _tensors(target: SynthesisTarget) -> list[Tensor]:
    """What a correction changes of a target."""
    reference = [] if target.reference is None else [target.reference]
    return [target.batch.x, target.batch.pixel_unshuffled[0], *reference]


def on_gpu(warm_up: Callable[[], object], step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A :data:`Capture` by CUDA; what makes the host wait fails while it warms up."""
    stream = _capture_stream()
    stream.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(stream), _waiting_fails():
            warm_up()
    finally:
        torch.cuda.synchronize()  # also after a failure, before the memory of its tensors is used again
    torch.cuda.empty_cache()  # a graph takes no memory that ordinary steps have cached
    graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
    with torch.cuda.stream(stream):
        try:
            graph.capture_begin(pool)
            try:
                loss = step()
            finally:
                graph.capture_end()
        except Exception:
            _end(pool)
            raise

    def replay() -> Tensor:
        graph.replay()
        return loss

    return replay


CAPTURE: dict[str, Capture] = {"cuda": on_gpu}
"""By kind of device."""


@cache
def _capture_stream() -> torch.cuda.Stream:
    """One for all captures: each stream has work space of its own, which stays."""
    return torch.cuda.Stream()


@contextmanager
def _waiting_fails() -> Iterator[None]:
    """Within, an operation that makes the host wait for the device raises a RuntimeError."""
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def _end(pool: tuple[int, int]) -> None:
    """Leave the allocator without an open pool; CUDA ends a capture that it has rejected, and torch leaves the pool."""
    with suppress(RuntimeError):  # the pool is closed, and the graph gives it back
        torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)
        torch._C._cuda_releasePool(torch.cuda.current_device(), pool)
