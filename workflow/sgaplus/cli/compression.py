"""Photographs to bitstreams: which model, which target lambda, how good it became.

The bundled models code at seven rates. Refinement toward another lambda than a model's own covers the rates
between them (the paper's semi-multi-rate idea), and so a user can ask for any rate or quality.
"""

from __future__ import annotations

import json
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch

from sgaplus import __version__
from sgaplus.codec.bitstream import Coder, Header
from sgaplus.codec.chunks import Encoding
from sgaplus.codec.frozen import Codec, Measurement, as_tensor
from sgaplus.codec.latents import Latents, no_rounding
from sgaplus.errors import BitstreamError, SgaplusError
from sgaplus.metrics import psnr, psnr_of
from sgaplus.paths import shipped
from sgaplus.refinement.engine import refine
from sgaplus.refinement.memory import StepMemory
from sgaplus.refinement.method import Method, Plan, record_steps

logger = logging.getLogger(__name__)

BUNDLED = shipped("workflow/models")

STRIP = 64
"""Latent rows that the transforms compute at once outside a refinement, to bound memory."""

MEASURE_EVERY = 20
"""Steps of a refinement between measurements. The latents of the best measurement are kept."""

SMALLEST_LMBDA, LARGEST_LMBDA = 1e-4, 1.0
"""Bounds of the search for a target lambda: ten times beyond the lowest and the highest of the paper's models."""

ATTEMPTS = 8
"""Refinements of one image with one model, at most, in search of a target."""


@dataclass(frozen=True)
class Model:
    """A model file and the lambda that it was trained with, None if that is not known."""

    path: Path
    lmbda: float | None = None

    @property
    def codec(self) -> Codec:
        """The model on the CPU, loaded once."""
        return _codec(self.path, torch.device("cpu"))

    @property
    def coder(self) -> Coder:
        """Its coder, built once."""
        return _coder(self.path)

    def check(self) -> None:
        """Load the model, to find an error early.

        Raises:
            CodecError: the file is missing or is no model.
        """
        self.codec_on(torch.device("cpu"))

    def check_coding(self) -> None:
        """Build the coder, to find an error early.

        Raises:
            CodecError: the file is missing or is no model, or the model can't code.
        """
        _coder(self.path)

    def codec_on(self, device: torch.device) -> Codec:
        """The model on a device, loaded once."""
        return _codec(self.path, device)

    def memory_on(self, device: torch.device) -> StepMemory:
        """The memory of its refinement there, measured once."""
        return _memory(self.path, device)


@cache
def _codec(path: Path, device: torch.device) -> Codec:
    return Codec.load(path, device, "auto")


@cache
def _memory(path: Path, device: torch.device) -> StepMemory:
    return StepMemory(_codec(path, device))


@cache
def _coder(path: Path) -> Coder:
    return Coder(_codec(path, torch.device("cpu")))


def bundled(folder: Path = BUNDLED) -> list[Model]:
    """The models that come with the library, by ascending lambda."""
    recipes = json.loads((folder / "recipes.json").read_text())
    models = [Model(folder / f"{name}.pth", recipe["model"]["lmbda"]) for name, recipe in recipes.items()]
    return sorted(models, key=lambda model: model.lmbda or 0)


def nearest(models: Sequence[Model], lmbda: float) -> Model:
    """The model whose own lambda is nearest in ratio; a model of unknown lambda is as near as any."""
    return min(models, key=lambda model: abs(math.log(lmbda / (model.lmbda or lmbda))))


def that_decodes(models: Sequence[Model], header: Header, label: str | Path) -> Model:
    """The model that a bitstream was made with.

    Raises:
        BitstreamError: none of the models made it.
    """
    for model in models:
        if model.codec.model.identity == header.model:
            return model
    known = ", ".join(f"{model.path.stem} ({model.codec.model.identity.hex()})" for model in models)
    raise BitstreamError(
        f"{label}: was made with model {header.model.hex()}, and at hand are {known}. Name its file with --model."
    )


@dataclass(frozen=True)
class Settings:
    """How photographs are compressed.

    Attributes:
        method: How their latents are refined.
        steps: Steps of refinement; 0 is the plain codec.
        seed: Seed of the random streams.
        device: The device of the refinement. Coding is always on the CPU.
        name: Name of the method; the bitstream says how it was made, unless this is empty.
    """

    method: Method
    steps: int
    seed: int
    device: torch.device
    name: str = ""

    def encoding(self, lmbda: float) -> dict[str, bytes]:
        """The bitstream's chunk about its making."""
        if not self.name:
            return {}
        refined = (lmbda, self.steps, self.seed, self.name) if self.steps else (None, 0, 0, "-")
        return {"encoding": Encoding(__version__, *refined).pack()}


@dataclass(frozen=True)
class Compressed:
    """A photograph's bitstream.

    Attributes:
        data: The bitstream.
        model: The model that made it.
        lmbda: Target lambda of the refinement.
        bpp: Bits of the bitstream per pixel.
        psnr: PSNR in dB of the decoded 8-bit picture.
    """

    data: bytes
    model: Model
    lmbda: float
    bpp: float
    psnr: float

    @property
    def how(self) -> str:
        """Its model and lambda in a few words."""
        return f"{self.model.path.stem}, lambda {self.lmbda:.3g}"


@dataclass(frozen=True)
class Target(ABC):
    """A rate or a quality to reach.

    The search for it works on a scale on which the rate or quality grows about as log(lambda); the
    differences and the slope below are on that scale.

    Attributes:
        value: The rate or quality, above 0.
        close: A difference that ends the search.
        acceptable: A difference beyond which the target was not reached.
        slope: A first guess of the change by one e-fold of lambda.
    """

    value: float
    close: ClassVar[float]
    acceptable: ClassVar[float]
    slope: ClassVar[float]

    @property
    def aim(self) -> float:
        """The target on the scale of the search."""
        return self.scale(self.value)

    @abstractmethod
    def scale(self, value: float) -> float:
        """A rate or quality on the scale of the search."""

    @abstractmethod
    def of(self, compressed: Compressed) -> float:
        """The rate or quality of a bitstream, on the scale of the search."""

    @abstractmethod
    def estimate(self, measurement: Measurement) -> float:
        """The rate or quality that the model gives to one image's latents, on the scale of the search."""

    @abstractmethod
    def text(self, scaled: float) -> str:
        """A value on the scale of the search, as a rate or quality with its unit."""


class BitsPerPixel(Target):
    """A rate: bits of the whole bitstream per pixel. Its scale is log(bpp), so differences are relative."""

    close, acceptable, slope = 0.02, 0.045, 0.2

    def scale(self, value: float) -> float:
        """log(bpp)."""
        return math.log(value)

    def of(self, compressed: Compressed) -> float:
        """log(bpp) of the bitstream."""
        return self.scale(compressed.bpp)

    def estimate(self, measurement: Measurement) -> float:
        """log(bpp) by the model's likelihoods."""
        return self.scale(measurement.bpp.item())

    def text(self, scaled: float) -> str:
        """For example ``0.412 bpp``."""
        return f"{math.exp(scaled):.3g} bpp"


class Psnr(Target):
    """A quality: the PSNR in dB, which is its scale too."""

    close, acceptable, slope = 0.1, 0.5, 0.5

    def scale(self, value: float) -> float:
        """The PSNR itself, in dB."""
        return value

    def of(self, compressed: Compressed) -> float:
        """PSNR in dB of the decoded 8-bit picture."""
        return compressed.psnr

    def estimate(self, measurement: Measurement) -> float:
        """PSNR in dB of the reconstruction before it is rounded to 8 bits."""
        return psnr(measurement.distortion).item()

    def text(self, scaled: float) -> str:
        """For example ``33.10 dB``."""
        return f"{scaled:.2f} dB"


def compress(
    name: str,
    pixels: np.ndarray,
    model: Model,
    lmbda: float,
    settings: Settings,
    metadata: Mapping[str, bytes] = MappingProxyType({}),
) -> Compressed:
    """A photograph's bitstream.

    Args:
        name: Seeds the random stream, together with the settings' seed.
        pixels: uint8 (height, width, 3).
        model: The model to use.
        lmbda: Target lambda.
        settings: Method, steps, seed and device of the refinement.
        metadata: Chunks of the bitstream: ``icc``, ``exif``, ``xmp``.

    Raises:
        SgaplusError: the refinement fails, or its latents can't be coded.
    """
    if settings.steps:
        latents = _refined(name, pixels, model, lmbda, settings)
    else:
        latents = model.codec_on(settings.device).latents_of(as_tensor(pixels), STRIP)
    height, width, _ = pixels.shape
    data = model.coder.encode(latents, width, height, {**settings.encoding(lmbda), **metadata})
    decoded, _ = model.coder.decode(data, name)
    return Compressed(data, model, lmbda, 8 * len(data) / (width * height), psnr_of(pixels, decoded))


def _refined(name: str, pixels: np.ndarray, model: Model, lmbda: float, settings: Settings) -> Latents:
    record = record_steps(settings.steps, MEASURE_EVERY)
    plan = Plan(lmbda, settings.steps, record, settings.seed, keep_best=True)
    codec, memory = model.codec_on(settings.device), model.memory_on(settings.device)
    (outcome,) = refine(codec, [(name, as_tensor(pixels))], settings.method, plan, name, memory)
    return outcome.latents


def estimated_bpp(codec: Codec, latents: Latents, pixels: int) -> float:
    """The rate that the model's likelihoods give to an image's rounded latents, bits per pixel.

    Args:
        codec: The model.
        latents: Rounded latents, (M, H/16, W/16), and hyper-latents, (N, H/64, W/64).
        pixels: Number of the image's pixels, without padding.
    """
    return codec.relaxed(Latents(latents.y[None], latents.z[None]), no_rounding).bits.item() / pixels


def compress_to(
    name: str,
    pixels: np.ndarray,
    models: Sequence[Model],
    target: Target,
    settings: Settings,
    metadata: Mapping[str, bytes] = MappingProxyType({}),
) -> Compressed:
    """A photograph's bitstream at a target rate or quality.

    The model nearest to the target makes it, with a lambda that reaches the target.

    Raises:
        SgaplusError: the target is out of reach, or as for :func:`compress`.
    """
    closest: Compressed | None = None
    for model, own in _candidates(pixels, models, target, settings.device):

        def attempt(log_lmbda: float, model: Model = model) -> Compressed:
            tried = compress(name, pixels, model, math.exp(log_lmbda), settings, metadata)
            logger.info("%s: %.3f bpp, %.2f dB (%s)", name, tried.bpp, tried.psnr, tried.how)
            return tried

        found = search(attempt, target, math.log(model.lmbda or math.sqrt(SMALLEST_LMBDA * LARGEST_LMBDA)), own)
        if closest is None or _distance(found, target) < _distance(closest, target):
            closest = found
        if _distance(closest, target) <= target.acceptable:
            return closest
    assert closest is not None
    raise SgaplusError(
        f"{target.text(target.aim)} is out of reach; the nearest is {target.text(target.of(closest))}, with "
        f"{closest.model.path.stem} at lambda {closest.lmbda:.3g}. Ask for that, or allow other models or more steps."
    )


def _candidates(
    pixels: np.ndarray, models: Sequence[Model], target: Target, device: torch.device
) -> list[tuple[Model, float]]:
    """The models nearest to the target, each with its rate or quality without refinement.

    Two models, or one if the target is beyond all of them.
    """
    found = []
    for model in models:
        codec = model.codec_on(device)
        batch = codec.batch([as_tensor(pixels)])
        measurement = codec.measure(batch, codec.analyse(batch.x, STRIP), STRIP)
        found.append((model, target.estimate(measurement)))
    between = min(own for _, own in found) <= target.aim <= max(own for _, own in found)
    return sorted(found, key=lambda one: abs(one[1] - target.aim))[: 2 if between else 1]


def _distance(found: Compressed, target: Target) -> float:
    return abs(target.of(found) - target.aim)


def search(attempt: Callable[[float], Compressed], target: Target, start: float, own: float) -> Compressed:
    """The attempt that comes nearest to a target, of up to :data:`ATTEMPTS`.

    Args:
        attempt: Compresses for a log(lambda); rate and quality grow with it, nearly always.
        target: The target; the search ends when an attempt is close to it.
        start: The model's own log(lambda).
        own: The model's rate or quality without refinement, on the target's scale.
    """
    low, high = math.log(SMALLEST_LMBDA), math.log(LARGEST_LMBDA)
    tried = [(start, own)]  # not yet an attempt: it steers the first one only
    found: list[Compressed] = []
    for _ in range(ATTEMPTS):
        at = min(max(_next(tried, target), low), high)
        if any(math.isclose(at, other) for other, _ in tried[1:]):
            break
        found.append(attempt(at))
        tried.append((at, target.of(found[-1])))
        if _distance(found[-1], target) <= target.close:
            break
    return min(found, key=lambda one: _distance(one, target))


def _next(tried: Sequence[tuple[float, float]], target: Target) -> float:
    """The next log(lambda) to try.

    Between the nearest attempts below and above the target; or if all are on one side, on from the last attempt
    with the slope so far.
    """
    attempts = tried[1:]
    below = max((t for t in attempts if t[1] < target.aim), key=lambda t: t[1], default=None)
    above = min((t for t in attempts if t[1] >= target.aim), key=lambda t: t[1], default=None)
    if below and above:
        share = (target.aim - below[1]) / (above[1] - below[1])
        return below[0] + min(max(share, 0.1), 0.9) * (above[0] - below[0])
    (at, value), slope = tried[-1], target.slope
    if len(attempts) > 1 and attempts[-1][0] != attempts[-2][0]:
        slope = (attempts[-1][1] - attempts[-2][1]) / (attempts[-1][0] - attempts[-2][0])
    step = (target.aim - value) / max(slope, target.slope / 4)
    return at + min(max(step, -math.log(5)), math.log(5))
