"""Differentiable stand-ins for rounding, and the temperature that anneals them.

A method sees a tensor ``v`` of any shape: latents centred on their mean, hyper-latents on their
medians. It returns ``v~`` of the same shape, whose gradient reaches ``v``. Equation numbers are the
SGA+ paper's (arXiv 2401.17789); [S] is Yang et al. 2020.

A new method is one class, here or in a file of the user's own: subclass :class:`Rounding` or a family
below. Here it has a ``name``, by which the configuration knows it; elsewhere it is ``file.py:Class``.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from sgaplus.errors import ConfigError, did_you_mean

EDGE = 1e-5
"""Distance kept from the ends of [0, 1], where logits and their gradients are infinite [S]."""

SMALLEST_UNIFORM = 2.0**-25
"""Stands for a uniform number of exactly 0, half the step between float32 uniform numbers."""

Number = float | Tensor
"""A number, or a tensor without dimensions that holds one on the device, in float32."""

Draw = Callable[[], Tensor]
"""Draws independent U[0, 1) numbers in the shape of ``v``, float32 or float64."""


@dataclass(frozen=True)
class Temperature:
    """tau(t) = min(exp(-c * t), tau_max)  (section 4 of the paper, after [S]), for a number of steps.

    Attributes:
        tau_max: Highest temperature, in (0, 1].
        cooling: Decay over all steps, at least 0: c * steps. The paper's c = 1e-3 makes 2 in its 2000 steps.
        steps: Steps that the whole way takes, at least 1.
    """

    tau_max: float = 1.0
    cooling: float = 2.0
    steps: int = 2000

    @property
    def rate(self) -> float:
        """Decay c per step."""
        return self.cooling / self.steps

    def __call__(self, step: int) -> float:
        return min(math.exp(-self.rate * step), self.tau_max)


@dataclass(frozen=True)
class Rounding(ABC):
    """One way to relax rounding. Instances are immutable and hold the method's own parameters."""

    name: ClassVar[str]
    registry: ClassVar[dict[str, type[Rounding]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" in vars(cls):
            Rounding.registry.setdefault(cls.name, cls)

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """Names of the parameters that the configuration may set."""
        return tuple(parameter.name for parameter in fields(cls))

    @abstractmethod
    def relax(self, v: Tensor, tau: Number, draw: Draw) -> Tensor:
        """``v~`` in the shape and dtype of ``v``.

        Args:
            v: Any shape; float64, float32, bfloat16 or float16. Computed in float32 at least.
            tau: Temperature in (0, 1]; with CUDA graphs a tensor without dimensions, which the host can't read.
            draw: Source of uniform numbers; a deterministic method never calls it.
        """


class StraightThrough(Rounding):
    """STE: the integer forward, the identity backward."""

    name = "ste"

    def relax(self, v: Tensor, tau: Number, draw: Draw) -> Tensor:
        return v + (torch.round(v) - v).detach()


class UniformNoise(Rounding):
    """v + U(-1/2, 1/2), as in training."""

    name = "uniform"

    def relax(self, v: Tensor, tau: Number, draw: Draw) -> Tensor:
        return (_at_least_float32(v) + (draw() - 0.5)).to(v.dtype)


class Categorical(Rounding):
    """Methods that weigh a few neighbouring integers and mix them by a Gumbel-softmax sample."""

    @abstractmethod
    def candidates(self, v: Tensor) -> Tensor:
        """The K integers near ``v``: (K, \\*v.shape), ascending."""

    @abstractmethod
    def log_probabilities(self, v: Tensor) -> Tensor:
        """Their normalised log probabilities at temperature 1: (K, \\*v.shape), -inf where impossible."""

    def probabilities(self, v: Tensor) -> Tensor:
        """P(candidate) at temperature 1, (K, \\*v.shape), summing to 1 over K (Figure 1)."""
        return self.log_probabilities(v).exp()


class TwoClass(Categorical):
    """Down or up: floor(v) or floor(v) + 1.

    Only the log-odds of rounding up matter. The difference of two Gumbel variables is one logistic
    variable, so a Gumbel-softmax sample costs one random number and one sigmoid per element:

        v~ = floor(v) + sigmoid((log_odds(d) / tau + logistic noise) / tau),   d = v - floor(v)
    """

    @abstractmethod
    def log_odds(self, d: Tensor) -> Tensor:
        """log P(up) - log P(down) for the fraction ``d`` in (0, 1), at temperature 1."""

    def candidates(self, v: Tensor) -> Tensor:
        floor = torch.floor(_at_least_float32(v))
        return torch.stack((floor, floor + 1))

    def log_probabilities(self, v: Tensor) -> Tensor:
        odds = self.log_odds(_fraction(_at_least_float32(v))[1])
        return torch.stack((logsigmoid(-odds), logsigmoid(odds)))

    def relax(self, v: Tensor, tau: Number, draw: Draw) -> Tensor:
        floor, d = _fraction(_at_least_float32(v))
        noise = torch.logit(draw().clamp(min=SMALLEST_UNIFORM))
        return (floor + torch.sigmoid((self.log_odds(d) / tau + noise) / tau)).to(v.dtype)


class SGA(TwoClass):
    """Stochastic Gumbel annealing: logits -atanh(d) and -atanh(1 - d) (eq. 3, [S])."""

    name = "sga"

    def log_odds(self, d: Tensor) -> Tensor:
        return torch.atanh(d) - torch.atanh(1 - d)


class DeterministicAnnealing(SGA):
    """SGA's softmax instead of a sample: the mean of the two candidates [S, Agustsson et al. 2017].

    The temperature divides once, in the logits of eq. 3; there is no Gumbel-softmax to divide again.
    """

    name = "deterministic"

    def relax(self, v: Tensor, tau: Number, draw: Draw) -> Tensor:
        floor, d = _fraction(_at_least_float32(v))
        return (floor + torch.sigmoid(self.log_odds(d) / tau)).to(v.dtype)


class Linear(TwoClass):
    """P(down) = 1 - d (eq. 5)."""

    name = "linear"

    def log_odds(self, d: Tensor) -> Tensor:
        return torch.logit(d)


class Cosine(TwoClass):
    """P(down) = cos^2(pi d / 2) (eq. 6)."""

    name = "cosine"

    def log_odds(self, d: Tensor) -> Tensor:
        return 2 * torch.log(torch.tan(math.pi / 2 * d))


@dataclass(frozen=True)
class SSL(TwoClass):
    """Sigmoid scaled logit: P(down) = sigmoid(-a logit(d)) (eq. 7).

    Attributes:
        a: Shape, above 0. Linear at 1, about the cosine at 4/3, about SGA at 0.65.
    """

    name = "ssl"
    a: float = 2.3

    def __post_init__(self) -> None:
        _require(self.a > 0, "a", self.a, "above 0")

    def log_odds(self, d: Tensor) -> Tensor:
        return self.a * torch.logit(d)


@dataclass(frozen=True)
class ThreeClass(Categorical):
    """Down, nearest or up: round(v) - 1, round(v), round(v) + 1, weighted by distance (eq. 8).

    Attributes:
        r: Factor on the distance, in (0, 1]. At 1 the third class is impossible; below, it enters.
        n: Power on the weight, above 0. Above 1 sharpens, below 1 flattens.
    """

    r: float = 0.98
    n: float = 1.0

    def __post_init__(self) -> None:
        _require(0 < self.r <= 1, "r", self.r, "in (0, 1]")
        _require(self.n > 0, "n", self.n, "above 0")

    @abstractmethod
    def log_weight(self, x: Tensor) -> Tensor:
        """log of the weight at scaled distance ``x = r |v - candidate|`` in (0, 1), before the power."""

    def candidates(self, v: Tensor) -> Tensor:
        nearest = torch.round(_at_least_float32(v))
        return torch.stack((nearest - 1, nearest, nearest + 1))

    def _logits(self, v: Tensor) -> Tensor:
        """Unnormalised log probabilities, -inf beyond the reach of a candidate."""
        e = v - torch.round(v)
        x = self.r * torch.stack((1 + e, e.abs(), 1 - e))
        inside = self.log_weight(x.clamp(EDGE, 1 - EDGE))
        return torch.where(x < 1 - EDGE, self.n * inside, -math.inf)

    def log_probabilities(self, v: Tensor) -> Tensor:
        return torch.log_softmax(self._logits(_at_least_float32(v)), dim=0)

    def relax(self, v: Tensor, tau: Number, draw: Draw) -> Tensor:
        values = _at_least_float32(v)
        uniform = torch.stack((draw(), draw(), draw())).clamp(min=SMALLEST_UNIFORM)
        gumbel = -torch.log(-torch.log(uniform))
        down, _, up = torch.softmax((self._logits(values) / tau + gumbel) / tau, dim=0)
        return (torch.round(values).detach() + up - down).to(v.dtype)


@dataclass(frozen=True)
class ThreeClassLinear(ThreeClass):
    """Weight (1 - r |w|)^n (eq. 9)."""

    name = "linear3"
    n: float = 1.5

    def log_weight(self, x: Tensor) -> Tensor:
        return torch.log1p(-x)


@dataclass(frozen=True)
class ThreeClassCosine(ThreeClass):
    """Weight cos(pi r |w| / 2)^n (eq. 10); the two-class cosine is r = 1, n = 2."""

    name = "cosine3"
    n: float = 2.0

    def log_weight(self, x: Tensor) -> Tensor:
        return torch.log(torch.cos(math.pi / 2 * x))


@dataclass(frozen=True)
class ThreeClassSSL(ThreeClass):
    """Weight sigmoid(-a logit(r |w|))^n (eq. 11).

    Attributes:
        a: Shape, above 0, as in :class:`SSL`.
    """

    name = "ssl3"
    r: float = 0.98 / 1.5
    n: float = 1.4
    a: float = 1.4

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.a > 0, "a", self.a, "above 0")

    def log_weight(self, x: Tensor) -> Tensor:
        return logsigmoid(-self.a * torch.logit(x))


def make(name: str, **parameters: float) -> Rounding:
    """The rounding called ``name``, or the user's own ``file.py:Class``, with these parameters.

    Raises:
        ConfigError: no such rounding, no such parameter, a value out of range, or a class that does not round.
    """
    own = ":" in name
    cls = _own(name) if own else Rounding.registry.get(name)
    if cls is None:
        raise ConfigError(f"There is no rounding {name!r}.{did_you_mean(name, Rounding.registry)}")
    for key in parameters:
        if key not in cls.parameters():
            raise ConfigError(f"Rounding {name!r} has no parameter {key!r}.{did_you_mean(key, cls.parameters())}")
    made = cls(**parameters)
    if own:
        _try(made, name)
    return made


@cache
def _own(reference: str) -> type[Rounding]:
    """The class of a rounding in a file of the user's own, which is run."""
    path, _, name = reference.rpartition(":")
    spec = importlib.util.spec_from_file_location(f"own_rounding_{Path(path).stem}", Path(path).expanduser())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up the types of their fields
    try:
        spec.loader.exec_module(module)
        cls = getattr(module, name)
    except Exception as error:
        raise ConfigError(f"{path}: can't be imported ({type(error).__name__}: {error}).") from error
    if not (isinstance(cls, type) and issubclass(cls, Rounding)):
        raise ConfigError(f"{reference}: no rounding. Derive it from sgaplus.refinement.rounding.Rounding.")
    cls.name = reference
    return cls


def _try(rounding: Rounding, reference: str) -> None:
    """Round a few numbers, so that a class of the user's own fails with a sentence, and at once."""
    v = torch.linspace(-2.3, 2.4, 20).reshape(4, 5).requires_grad_()
    stream = torch.Generator().manual_seed(0)
    try:
        relaxed = rounding.relax(v, 0.5, lambda: torch.rand(v.shape, generator=stream))
        (gradient,) = torch.autograd.grad(relaxed.sum(), v)
    except Exception as error:
        raise ConfigError(f"{reference}: relax fails ({type(error).__name__}: {error}).") from error
    if relaxed.shape != v.shape or relaxed.dtype != v.dtype:
        raise ConfigError(
            f"{reference}: relax returns {relaxed.dtype} of shape {tuple(relaxed.shape)} for {v.dtype} of shape "
            f"{tuple(v.shape)}; both must be the same."
        )
    if not (relaxed.isfinite().all() and gradient.isfinite().all()):
        raise ConfigError(f"{reference}: relax, or its gradient, is not finite.")


def _at_least_float32(v: Tensor) -> Tensor:
    """``v`` in float32, or as it is if it is in float64."""
    return v if v.dtype == torch.float64 else v.float()


def _fraction(v: Tensor) -> tuple[Tensor, Tensor]:
    """floor(v), a constant, and v - floor(v) kept within (0, 1)."""
    floor = torch.floor(v).detach()
    return floor, (v - floor).clamp(EDGE, 1 - EDGE)


def _require(ok: bool, key: str, value: float, right: str) -> None:
    if not ok:
        raise ConfigError(f"Rounding parameter {key} is {value}; it must be {right}.")
