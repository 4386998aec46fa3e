"""The optimisers of latents.

They are torch's, in the few lines that a refinement needs: making one of torch's own imports its
compiler, which takes longer than many a refinement's first hundred steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from sgaplus.refinement.rounding import Number


class Optimizer(ABC):
    """Moves leaf tensors along their gradients, in place.

    Args:
        tensors: Leaf tensors that require gradients.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = tensors

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for tensor in self.tensors:
            tensor.grad = None

    def step(self, lr: float) -> None:
        """Take one step with this learning rate, from the gradients that ``backward`` left."""
        self.move(*self.numbers(lr))

    def numbers(self, lr: float) -> tuple[float, ...]:
        """Count a step, and compute the numbers of it that are the same for all elements."""
        return (lr,)

    @abstractmethod
    def move(self, *numbers: Number) -> None:
        """Move the tensors by the numbers of a step; as tensors without dimensions, they are not read by the host."""


class SGD(Optimizer):
    """Gradient descent without momentum."""

    @torch.no_grad()
    def move(self, *numbers: Number) -> None:
        """Move by the learning rate."""
        (lr,) = numbers
        for tensor in self.tensors:
            assert tensor.grad is not None
            if isinstance(lr, Tensor):
                tensor.addcmul_(tensor.grad, lr, value=-1)
            else:
                tensor.sub_(tensor.grad, alpha=lr)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015) with its usual constants."""

    BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__(tensors)
        self.first = [torch.zeros_like(tensor) for tensor in tensors]
        self.second = [torch.zeros_like(tensor) for tensor in tensors]
        self.steps = 0

    def numbers(self, lr: float) -> tuple[float, ...]:
        """The learning rate and the root of the second moment, both corrected for the moments' start at 0."""
        self.steps += 1
        return lr / (1 - self.BETA1**self.steps), (1 - self.BETA2**self.steps) ** 0.5

    @torch.no_grad()
    def move(self, *numbers: Number) -> None:
        """Move by these numbers."""
        scale, correction = numbers
        for tensor, first, second in zip(self.tensors, self.first, self.second, strict=True):
            gradient = tensor.grad
            assert gradient is not None
            first.lerp_(gradient, 1 - self.BETA1)
            second.mul_(self.BETA2).addcmul_(gradient, gradient, value=1 - self.BETA2)
            spread = self.spread(second).div_(correction).add_(self.EPSILON)
            if isinstance(scale, Tensor):
                tensor.addcdiv_(first * scale, spread, value=-1)
            else:
                tensor.addcdiv_(first, spread, value=-scale)

    def spread(self, second: Tensor) -> Tensor:
        """The root of the second moment that divides a step, in the shape of ``second``; a new tensor."""
        return second.sqrt()


class PooledAdam(Adam):
    """Adam whose second moment is half an element's own and half its channel's mean.

    Latents whose gradients are weak beside their channel's then make smaller steps, and noise carries them less far.
    Tensors are (B, channels, H, W); an image's steps depend on no other image.
    """

    def spread(self, second: Tensor) -> Tensor:
        """The root of the pooled second moment."""
        return torch.lerp(second, second.mean(dim=(2, 3), keepdim=True), 0.5).sqrt_()


class FusedAdam(Optimizer):
    """:class:`Adam` by torch's fused kernel: one launch for all tensors, where Adam takes seven for each.

    A GPU waits for launches. The kernel is called by itself, since ``torch.optim.Adam`` with ``fused=True`` around it
    takes as long on the host as all launches of :class:`Adam`.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__(tensors)
        self.first = [torch.zeros_like(tensor) for tensor in tensors]
        self.second = [torch.zeros_like(tensor) for tensor in tensors]
        self.steps = [torch.zeros((), device=tensor.device) for tensor in tensors]

    @torch.no_grad()
    def move(self, *numbers: Number) -> None:
        """Move by the learning rate; the steps are counted on the device."""
        (lr,) = numbers
        gradients = [tensor.grad for tensor in self.tensors if tensor.grad is not None]
        torch._foreach_add_(self.steps, 1)
        torch._fused_adam_(
            list(self.tensors),
            gradients,
            self.first,
            self.second,
            [],
            self.steps,
            lr=lr,
            beta1=Adam.BETA1,
            beta2=Adam.BETA2,
            weight_decay=0.0,
            eps=Adam.EPSILON,
            amsgrad=False,
            maximize=False,
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "adam_pooled": PooledAdam, "sgd": SGD}
"""By name, as a method asks for them."""

ON_GPU: dict[str, type[Optimizer]] = {"adam": FusedAdam}
"""Those that take the same steps in fewer launches on a GPU."""


def make(name: str, tensors: Sequence[Tensor]) -> Optimizer:
    """The optimiser called ``name`` of leaf tensors of one device, which decides between implementations."""
    on_gpu = ON_GPU if tensors[0].device.type == "cuda" else {}
    return (on_gpu.get(name) or OPTIMIZERS[name])(tensors)
