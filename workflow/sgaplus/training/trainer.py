"""One step of training, and the state between steps.

All random numbers of a step follow from (seed, step), and the state holds everything else. So a training
that is killed and started again ends with the same model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from compressai.models.google import MeanScaleHyperprior
from torch import Tensor, nn

from sgaplus.devices import fast_precision
from sgaplus.metrics import PEAK
from sgaplus.training.losses import rate_distortion
from sgaplus.training.recipe import Recipe


class Losses(NamedTuple):
    """The losses of a step under uniform noise, float32 scalars on the trainer's device.

    Attributes:
        loss: bpp + lambda * mse.
        bpp: Bits per pixel.
        mse: Mean squared error on the 8-bit scale.
    """

    loss: Tensor
    bpp: Tensor
    mse: Tensor


class Trainer:
    """A model with its optimisers: one step of training, and the state between steps.

    Args:
        recipe: Loss and optimisation.
        model: The model, which is trained in place.
        device: The device to train on.
        rank, world: Index of this process, from 0, and number of processes that train the model together, each
            with its share of the crops.
        compile: Compile the loss.

    Attributes:
        stop_requested: Set it to ask for a stop. After a step it says whether any of the processes has asked:
            the request travels with the gradients, so all processes stop after the same step.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: MeanScaleHyperprior,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        compile: bool = False,
    ) -> None:
        self.recipe, self.device, self.rank, self.world = recipe, device, rank, world
        self.model = model.to(device, memory_format=torch.channels_last).train()
        self.weights = [weight for name, weight in model.named_parameters() if not name.endswith("quantiles")]
        kernels = [weight for weight in self.weights if weight.dim() == 4] if recipe.optimizer == "muon" else []
        others = [weight for weight in self.weights if not any(weight is kernel for kernel in kernels)]
        # fused Adam: one call for all weights
        self.scheduled: list[tuple[torch.optim.Optimizer, float]] = [
            (torch.optim.Adam(others, lr=recipe.lr, fused=True), recipe.lr)
        ]
        self.matrices = [(kernel, nn.Parameter(_as_matrix(kernel.data))) for kernel in kernels]
        if kernels:
            matrices = [matrix for _, matrix in self.matrices]
            self.scheduled.append((torch.optim.Muon(matrices, lr=recipe.kernel_lr, weight_decay=0.0), recipe.kernel_lr))
        aux_optimizer = torch.optim.Adam(
            [model.entropy_bottleneck.quantiles], lr=recipe.aux_lr, fused=device.type == "cuda"
        )
        self.optimizers = [*(optimizer for optimizer, _ in self.scheduled), aux_optimizer]
        self.stop_requested = False
        self.precision = fast_precision(device) if recipe.precision == "auto" else recipe.precision
        # for each size of crops anew: code for all sizes at once is slower by half
        self.loss = torch.compile(rate_distortion, dynamic=False) if compile else rate_distortion

    def step(self, step: int, crops: Tensor) -> Losses:
        """Take one step.

        Args:
            step: Number of the step, from 0. It decides the noise and the learning rates.
            crops: uint8, (B, 3, H, W).

        Returns:
            The losses of this process's crops before the step.
        """
        x = crops.to(self.device, non_blocking=True).float().div_(PEAK).contiguous(memory_format=torch.channels_last)
        torch.manual_seed(_noise_seed(self.recipe.seed, step, self.rank))
        bpp, mse = self.loss(self.model, x, self.precision)
        loss = bpp + self.recipe.lmbda * mse
        self.model.zero_grad(set_to_none=True)
        (loss + self.model.aux_loss()).backward()  # the two losses share no parameter
        if self.world > 1:
            self._average_gradients()
        self._clip()
        for optimizer, rate in self.scheduled:
            for group in optimizer.param_groups:
                group["lr"] = rate * self.recipe.rate_factor(step)
        for kernel, matrix in self.matrices:
            matrix.grad = _as_matrix(kernel.grad)
        for optimizer in self.optimizers:
            optimizer.step()
        return Losses(loss.detach(), bpp.detach(), mse.detach())

    def _average_gradients(self) -> None:
        """Average over the processes, in one message that also says whether any of them asks for a stop."""
        gradients = [weight.grad for weight in self.weights if weight.grad is not None]
        asked = gradients[0].new_tensor([float(self.stop_requested)])
        message = torch.cat([*(gradient.flatten() for gradient in gradients), asked])
        torch.distributed.all_reduce(message)
        parts = message[:-1].div_(self.world).split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        self.stop_requested = bool(message[-1] > 0)

    def _clip(self) -> None:
        if self.recipe.clip is not None:
            nn.utils.clip_grad_value_(self.weights, self.recipe.clip)
        if self.recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.weights, self.recipe.clip_norm)

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimisers."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over weights and optimisers."""
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def _as_matrix(kernel: Tensor) -> Tensor:
    """A convolution's kernel as a matrix with a row per first index; a view where the kernel is channels-last."""
    return kernel.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape(kernel.shape[0], -1)


def _noise_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)
