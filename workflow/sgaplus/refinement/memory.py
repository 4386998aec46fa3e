"""The number of images that fit the memory at once, and the strips for an image that does not fit."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sgaplus.codec.frozen import Codec, padded_size
from sgaplus.errors import RefinementError
from sgaplus.meter import peak_memory
from sgaplus.refinement.latent_optimization import LatentOptimization, SubBatch
from sgaplus.refinement.method import Method, Plan
from sgaplus.refinement.rounding import Rounding
from sgaplus.refinement.step_graph import COPIES, used

logger = logging.getLogger(__name__)

TRIAL_SIDE = 512
"""Side of the image whose step measures memory: large enough to stand out, small enough to cost little."""

LARGEST_SUB_BATCH = {"cpu": 1}
"""Most images refined together, by kind of device; on other devices memory is the limit. On a CPU batches save hardly
any time and would round differently; one by one, an image's result is the same to the last bit with any companions."""

STEP_BYTES_BOUND = 24
"""Upper bound on a step's memory, in bytes per padded pixel and synthesis channel. Below the budget by this bound, no
trial step is needed."""

MARGIN = {"cpu": 1.0, "cuda": 1.15}
"""Memory that a step is expected to take over its trial's, by kind of device. A GPU's allocator keeps pieces of other
sizes, larger batches may take more scratch space, and the optimiser's moments come after the trial. On a
CPU the trial's resident memory has the pieces in it, and images are refined one by one."""


class StepMemory:
    """Working memory of a step under one codec, measured at most once for each rounding.

    Args:
        codec: The frozen codec.
    """

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._measured: dict[Rounding, float] = {}

    def sub_batches(self, images: Sequence[tuple[str, Tensor]], method: Method, plan: Plan) -> Iterator[SubBatch]:
        """Images of one padded size together, as many at once as the plan's memory budget holds."""
        groups: dict[tuple[int, int], list[tuple[str, Tensor]]] = {}
        for name, picture in images:
            _, height, width = picture.shape
            groups.setdefault(padded_size(height, width, self.codec.model.stride), []).append((name, picture))
        for (height, width), members in groups.items():
            count, strip = min(len(members), LARGEST_SUB_BATCH.get(self.codec.device.type, len(members))), None
            budget = plan.memory_bytes // (COPIES if used(plan, self.codec.device) else 1)
            if height * width * count * STEP_BYTES_BOUND * self.codec.channels > budget:
                per_pixel = MARGIN[self.codec.device.type] * self.bytes_per_pixel(method)
                fitting, strip = self.fit(height, width, per_pixel, budget)
                count = min(count, fitting)
            cut = f"strips of {strip * self.codec.model.stride} rows" if strip else f"{count} at once"
            logger.info("%dx%d pixels: %d image(s), %s", width, height, len(members), cut)
            for i in range(0, len(members), count):
                yield SubBatch(members[i : i + count], strip)

    def smaller(self, sub_batch: SubBatch) -> list[SubBatch]:
        """Smaller sub-batches of the same images, after one that the device's memory did not hold.

        Raises:
            RefinementError: there are no smaller ones.
        """
        if self.codec.device.type == "cuda":
            torch.cuda.empty_cache()  # another process may need it, or the pieces may be too small
        _, height, width = sub_batch.images[0][1].shape
        stride = self.codec.model.stride
        rows = padded_size(height, width, stride)[0] // stride if self.codec.takes_strips else 1
        smaller = sub_batch.smaller(rows)
        if not smaller:
            raise RefinementError(
                f"{sub_batch.names[0]}: a step needs more memory than {self.codec.device} has free. Free some, or "
                "refine the image elsewhere."
            )
        logger.warning(
            "out of memory with %d image(s) of %dx%d pixels at once; from their beginning in smaller parts",
            len(sub_batch.images),
            width,
            height,
        )
        return smaller

    def fit(self, height: int, width: int, per_pixel: float, budget: int) -> tuple[int, int | None]:
        """How many images of a padded size fit the budget at once.

        Returns:
            Images per sub-batch, and None; or, where not even one fits, 1 and the latent rows that may be
            synthesised at once (at least 1: a budget below one strip cannot be kept; None where the codec takes
            no strips).
        """
        images = int(budget / (per_pixel * height * width))
        if images >= 1:
            return images, None
        halo = self.codec.model.halo
        if halo is None or not self.codec.takes_strips:
            return 1, None
        rows = int(budget / (per_pixel * width * self.codec.model.stride))
        return 1, max(1, rows - 2 * halo)

    def bytes_per_pixel(self, method: Method) -> float:
        """Working memory of one step per padded pixel, measured on a trial image of :data:`TRIAL_SIDE`.

        It is proportional to the pixels, so one trial serves images of every size.
        """
        if method.rounding not in self._measured:
            self._measured[method.rounding] = _measured_bytes(self.codec, method)
        return self._measured[method.rounding]


def _measured_bytes(codec: Codec, method: Method) -> float:
    _trial_step(codec, method, 64)  # once-only costs, such as thread pools, are not the step's own
    return max(1.0, peak_memory(lambda: _trial_step(codec, method, TRIAL_SIDE), codec.device) / TRIAL_SIDE**2)


def _trial_step(codec: Codec, method: Method, side: int) -> None:
    trial = SubBatch([("trial", torch.full((3, side, side), 0.5))])
    LatentOptimization(codec, trial, method, Plan(lmbda=1.0, steps=1)).loss(0).sum().backward()
