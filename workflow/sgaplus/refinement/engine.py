"""Refining the latents of images under a frozen codec.

    for t = 0 .. steps - 1:
        z~ = relax(z - medians) + medians          at temperature tau(t)
        y~ = relax(y - mu(z~)) + mu(z~)
        method loss = rate(y~, z~) / pixels + lambda * distortion;   a step of the optimiser on y and z

The true loss is that of the hard-rounded latents, measured before the step. Neither loss is of a reconstruction
clamped to [0, 1], as a decoder clamps it: a clamp would hide an overshoot from the gradient. The objective is the sum
of the images' own losses, and each image draws from its own random stream, so that an image's result does not depend
on its companions: exactly on a CPU, which refines one image at a time; on a GPU, up to the order of sums.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from sgaplus.codec.frozen import Codec
from sgaplus.errors import RefinementError
from sgaplus.meter import keep_memory
from sgaplus.progress import tqdm
from sgaplus.refinement.latent_optimization import LatentOptimization, SubBatch
from sgaplus.refinement.measurements import Measurements, NonFiniteLossError, Refined
from sgaplus.refinement.memory import StepMemory
from sgaplus.refinement.method import Method, Plan
from sgaplus.refinement.step_graph import advancing


def refine(
    codec: Codec,
    images: Sequence[tuple[str, Tensor]],
    method: Method,
    plan: Plan,
    label: str = "refine",
    memory: StepMemory | None = None,
) -> list[Refined]:
    """Refine the latents of images of any sizes.

    Args:
        codec: The frozen codec.
        images: Unique names and pictures: (3, h, w) in [0, 1], float32.
        method: Rounding, temperature and optimiser.
        plan: Target, steps, records, seed, memory.
        label: Name of the work on the progress bar.
        memory: Step memory of this codec, to measure it once for several calls; None to measure it in this call.

    Returns:
        One outcome per image, in the order given.

    Raises:
        RefinementError: two images have one name.
        RefinementError: not even one image, in the narrowest strips, fits the memory of the device.
        NonFiniteLossError: a loss stopped being finite; it carries the rows measured so far.
    """
    names = [name for name, _ in images]
    if len(set(names)) < len(names):
        raise RefinementError(
            "two images have one name; names seed random streams and identify results, so rename one."
        )
    if codec.device.type == "cpu":
        keep_memory()
    done: dict[str, Refined] = {}
    memory = memory or StepMemory(codec)
    waiting = deque(memory.sub_batches(images, method, plan))
    with tqdm(total=plan.steps * len(images), desc=label, unit="image-step", mininterval=1, smoothing=0.1) as bar:
        while waiting:
            sub_batch, begun = waiting.popleft(), bar.position
            try:
                outcome = _refine_if_it_fits(codec, sub_batch, method, plan, bar)
            except NonFiniteLossError as error:
                error.rows = [row for refined in done.values() for row in refined.rows] + error.rows
                raise
            if outcome is None:
                waiting.extendleft(reversed(memory.smaller(sub_batch)))
                bar.update(begun - bar.position)
            else:
                done |= {refined.name: refined for refined in outcome}
    return [done[name] for name in names]


def _refine_if_it_fits(
    codec: Codec, sub_batch: SubBatch, method: Method, plan: Plan, bar: tqdm
) -> list[Refined] | None:
    """The outcome of a sub-batch; None, with its memory free again, if the device has too little."""
    try:
        return _refine_sub_batch(codec, sub_batch, method, plan, bar)
    except torch.OutOfMemoryError:
        return None


def _refine_sub_batch(codec: Codec, sub_batch: SubBatch, method: Method, plan: Plan, bar: tqdm) -> list[Refined]:
    optimization = LatentOptimization(codec, sub_batch, method, plan)
    measurements, advance = Measurements(optimization), advancing(optimization)
    for step in range(plan.steps + 1):
        if step in plan.record_at or step in (0, plan.steps):
            loss = optimization.loss(step)
            measurements.watch(step, loss.detach())
            measurements.add(step, loss.detach())
            bar.set_postfix_str(f"true loss {measurements.mean_true_loss():.4f}", refresh=False)
            if step == plan.steps:
                break
            optimization.step(step, loss)
        else:
            measurements.watch(step, advance(step))
        bar.update(len(sub_batch.names))
    return measurements.outcome()
