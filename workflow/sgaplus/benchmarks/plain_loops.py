"""A plain refinement loop, as a user of CompressAI would write it, to compare the engine's speed and result with."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from compressai.models.google import MeanScaleHyperprior
from torch import Tensor, nn
from torch.distributions import RelaxedOneHotCategorical

from sgaplus.codec.latents import Latents
from sgaplus.metrics import PEAK


class PlainRefinement:
    """SSL on one image in float32, with the losses read after each step.

    The weights keep their gradients, and a second decode of the hard-rounded latents gives each step's true loss.

    Args:
        model: In evaluation mode.
        x: The image, (1, 3, H, W) in [0, 1], H and W multiples of 64.
        lmbda: Target lambda.
        tau_rate: Decay of the temperature per step.
    """

    def __init__(self, model: MeanScaleHyperprior, x: Tensor, lmbda: float, tau_rate: float = 1e-3) -> None:
        self.model, self.x, self.lmbda, self.tau_rate = model, x, lmbda, tau_rate
        with torch.no_grad():
            y = model.g_a(x)
            z = model.h_a(y)
        self.y, self.z = nn.Parameter(y), nn.Parameter(z)
        self.medians = model.entropy_bottleneck.quantiles[:, 0, 1].detach().view(1, -1, 1, 1)
        self.optimizer = torch.optim.Adam([self.y, self.z], lr=5e-3)

    def step(self, number: int) -> tuple[float, float]:
        """Take a step; returns the method loss and the true loss before it."""
        loss = self._method_loss(number)
        with torch.no_grad():
            true_loss = self._loss(torch.round)
        self._descend(loss)
        return loss.item(), true_loss.item()

    @property
    def latents(self) -> Latents:
        """The latents as they are now, of one image."""
        return Latents(self.y, self.z)

    def _descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def _method_loss(self, number: int) -> Tensor:
        tau = math.exp(-self.tau_rate * number)
        return self._loss(lambda v: _ssl(v, tau))

    def _loss(self, rounding: Callable[[Tensor], Tensor]) -> Tensor:
        z = rounding(self.z - self.medians) + self.medians
        scales, means = self.model.h_s(z).chunk(2, 1)
        y = rounding(self.y - means) + means
        return self._rate(y, z, scales, means) + self._distortion(self.model.g_s(y))

    def _rate(self, y: Tensor, z: Tensor, scales: Tensor, means: Tensor) -> Tensor:
        bottleneck, conditional = self.model.entropy_bottleneck, self.model.gaussian_conditional
        values = z.transpose(0, 1).reshape(z.shape[1], 1, -1)
        likelihoods_z = bottleneck.likelihood_lower_bound(bottleneck._likelihood(values)[0])
        likelihoods_y = conditional.likelihood_lower_bound(conditional._likelihood(y, scales, means))
        return -(torch.log2(likelihoods_y).sum() + torch.log2(likelihoods_z).sum()) / (self.x.numel() / 3)

    def _distortion(self, x_hat: Tensor) -> Tensor:
        return self.lmbda * PEAK**2 * nn.functional.mse_loss(x_hat, self.x)


class LeanRefinement(PlainRefinement):
    """The plain loop without what refinement can do without: the weights' gradients and each step's true loss.

    Args: As :class:`PlainRefinement`, whose model stays as it is.
    """

    def __init__(self, model: MeanScaleHyperprior, x: Tensor, lmbda: float, tau_rate: float = 1e-3) -> None:
        super().__init__(copy.deepcopy(model).requires_grad_(False), x, lmbda, tau_rate)

    def step(self, number: int) -> tuple[float, float]:
        """Take a step; returns the method loss before it, and no number for the true loss."""
        loss = self._method_loss(number)
        self._descend(loss)
        return loss.item(), math.nan


def _ssl(v: Tensor, tau: float, a: float = 2.3) -> Tensor:
    """Two-class SSL rounding by torch's own Gumbel-softmax."""
    down = torch.floor(v).detach()
    d = (v - down).clamp(1e-5, 1 - 1e-5)
    odds = a * torch.logit(d)
    logits = nn.functional.logsigmoid(torch.stack((-odds, odds), dim=-1)) / tau
    weights = RelaxedOneHotCategorical(torch.tensor(tau), logits=logits).rsample()
    return down * weights[..., 0] + (down + 1) * weights[..., 1]
