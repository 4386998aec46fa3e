"""The mean-scale hyperprior as refinement needs it: frozen, with training's reparametrisations folded.

The layers, their names and their arithmetic are the same as in CompressAI's ``MeanScaleHyperprior``
(Minnen et al. 2018 without the autoregressive context), and a model file is its plain state dict.
Training uses CompressAI's own class; a refinement repeats the same transforms thousands of times, so
this module computes once, when a model is read, all values that do not change. It also starts faster:
importing CompressAI takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import blake2b, sha256
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, softplus

from sgaplus.codec.latents import Latents, Relax, Relaxed, cropped
from sgaplus.errors import CodecError, MissingModelError
from sgaplus.files import write_tensors

SMALLEST_LIKELIHOOD = 1e-9
SMALLEST_SCALE = 0.11
PEDESTAL = 2.0**-36
"""GDN stores sqrt(value + PEDESTAL)."""

SMALLEST_BETA = 1e-6
DECODING = ("entropy_bottleneck.", "h_s.", "g_s.")
"""Parts of a model that a decoder needs."""

TABLES = re.compile(
    r"(entropy_bottleneck|gaussian_conditional)\.(_offset|_quantized_cdf|_cdf_length|likelihood_lower_bound\.bound)"
    r"|entropy_bottleneck\.target|gaussian_conditional\.(scale_table|scale_bound|lower_bound_scale\.bound)"
    r"|g_[as]\.[135]\.(beta|gamma)_reparam\.(pedestal|lower_bound\.bound)"
)
"""Names of the entries that CompressAI stores beside the weights: constants, and tables computed from the weights."""

QUANTILES = "entropy_bottleneck.quantiles"
WIDTHS = ("g_a.0.weight", "g_a.6.weight")
"""Weights whose first dimensions are N and M."""

DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
MAX_CHANNELS = 10_000
"""Most channels that a model file may claim; the weights of so many would take more than 60 GB."""

BOTTLENECK_WIDTHS = (1, 3, 3, 3, 3, 1)
"""Units of the layers that model the cumulative distribution of a hyper-latent channel."""


class _LowerBound(torch.autograd.Function):
    """max(x, bound). Below the bound the gradient still passes if a descent step would raise x."""

    @staticmethod
    def forward(ctx, x: Tensor, bound: float) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return torch.where((x >= ctx.bound) | (gradient < 0), gradient, 0), None


class GDN(nn.Module):
    """Generalised divisive normalisation with folded parameters: x / sqrt(beta + gamma x^2), or its inverse."""

    def __init__(self, channels: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.empty(channels))
        self.gamma = nn.Parameter(torch.empty(channels, channels))

    def fold(self) -> None:
        """Replace the reparametrised values that training stores by the values they stand for."""
        beta, gamma = self.beta.data, self.gamma.data
        self.beta.data = beta.clamp(min=(SMALLEST_BETA + PEDESTAL) ** 0.5) ** 2 - PEDESTAL
        self.gamma.data = (gamma.clamp(min=PEDESTAL**0.5) ** 2 - PEDESTAL)[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, channels, H, W)."""
        norm = conv2d(x.square(), self.gamma, self.beta)
        return x * (norm.sqrt() if self.inverse else norm.rsqrt())


class Bottleneck(nn.Module):
    """The factorised density of hyper-latents.

    For each channel, a monotone function gives the logit of its cumulative distribution.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = list(pairwise(BOTTLENECK_WIDTHS))
        self.matrices = nn.ParameterList([torch.empty(channels, out, into) for into, out in widths])
        self.biases = nn.ParameterList([torch.empty(channels, out, 1) for _, out in widths])
        self.factors = nn.ParameterList([torch.empty(channels, out, 1) for _, out in widths[:-1]])
        self.quantiles = nn.Parameter(torch.empty(channels, 1, 3))

    def fold(self) -> None:
        """Replace the reparametrised values that training stores by the values they stand for."""
        for matrix in self.matrices:
            matrix.data = _precisely(softplus, matrix.data)
        for factor in self.factors:
            factor.data = _precisely(torch.tanh, factor.data)

    @property
    def medians(self) -> Tensor:
        """Offsets that hyper-latents are rounded around, (1, channels, 1, 1)."""
        return self.quantiles[:, :, 1].reshape(1, -1, 1, 1)

    def bits(self, z: Tensor) -> Tensor:
        """Estimated bits of hyper-latents (B, channels, h, w) per image, (B,)."""
        per_channel = z.transpose(0, 1)
        values = per_channel.reshape(z.shape[1], 1, -1)
        upper, lower = self.logits(torch.cat((values + 0.5, values - 0.5), dim=2)).sigmoid().chunk(2, dim=2)
        likelihood = upper - lower
        return _bits(likelihood.reshape(per_channel.shape).transpose(0, 1))

    def logits(self, x: Tensor) -> Tensor:
        """Logit of every channel's cumulative distribution at its own values x, (channels, 1, values)."""
        for i, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            x = torch.baddbmm(bias, matrix, x)
            if i < len(self.factors):
                x = x + self.factors[i] * x.tanh()
        return x


class Hyperprior(nn.Module):
    """The transforms and densities of a model with N and M channels, for inference.

    The ``frozen`` module lists the shapes. Build a model with :meth:`of`.

    Attributes:
        stride: Pixels per latent along each side; height and width of the transforms' images are multiples of it.
        hyper_stride: Latents per hyper-latent along each side; the last hyper-latent may stand for fewer.
        halo: Rows of latents beyond a strip on which the pixels of the strip depend, and on whose pixels the
            latents of the strip depend: four 5-tap layers of stride 2 reach 1.9 rows of latents. None for a model
            whose images can't be cut into strips.
        identity: :func:`identity` of the state dict that the model is made of; empty until it is made.
        weights_sha256: :func:`weights_sha256` of the same state dict; empty until the model is made.
    """

    stride: ClassVar[int] = 16
    hyper_stride: ClassVar[int] = 4
    halo: ClassVar[int | None] = 2
    identity = b""
    weights_sha256 = ""

    def __init__(self, N: int, M: int) -> None:
        super().__init__()
        self.g_a = nn.Sequential(
            _conv(3, N), GDN(N), _conv(N, N), GDN(N), _conv(N, N), GDN(N), _conv(N, M)
        )  # fmt: skip
        self.g_s = nn.Sequential(
            _deconv(M, N), GDN(N, True), _deconv(N, N), GDN(N, True), _deconv(N, N), GDN(N, True), _deconv(N, 3)
        )  # fmt: skip
        self.h_a = nn.Sequential(
            _conv(M, N, 3, 1), nn.LeakyReLU(), _conv(N, N), nn.LeakyReLU(), _conv(N, N)
        )  # fmt: skip
        self.h_s = nn.Sequential(
            _deconv(N, M), nn.LeakyReLU(), _deconv(M, M * 3 // 2), nn.LeakyReLU(), _conv(M * 3 // 2, M * 2, 3, 1)
        )  # fmt: skip
        self.entropy_bottleneck = Bottleneck(N)

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Hyperprior:
        """The frozen model of a state dict that :func:`load_state` has checked, or CompressAI's own."""
        model = cls(*widths(state))
        model.load_state_dict({name: state[name] for name in model.state_dict()})
        model.identity = identity(model.state_dict())
        model.weights_sha256 = weights_sha256(model.state_dict())
        for module in model.modules():
            if isinstance(module, GDN | Bottleneck):
                module.fold()
        return model.eval().requires_grad_(False)

    def relaxed(
        self, latents: Latents, relax: Relax, hyper_synthesis: Callable[[Tensor], Tensor] | None = None
    ) -> Relaxed:
        """Latents relaxed in the order of a decoder, and their estimated rate.

        Hyper-latents are relaxed around their medians. The hyper-synthesis computes scales and means from them, for
        as many latents as a multiple of ``hyper_stride``; its last rows and columns are cropped where the image has
        no latents. Latents are relaxed around their means.

        Args:
            latents: Continuous latents.
            relax: Relaxes values around a centre; called for the hyper-latents, then for the latents.
            hyper_synthesis: A fast function in the place of the model's ``h_s``; None for ``h_s`` itself.
        """
        z = relax(latents.z, self.entropy_bottleneck.medians)
        height, width = latents.y.shape[2:]
        scales, means = cropped((hyper_synthesis or self.h_s)(z), height, width).chunk(2, dim=1)
        y = relax(latents.y, means)
        return Relaxed(Latents(y, z), self.bits_y(y, scales, means), self.entropy_bottleneck.bits(z))

    def bits_y(self, y: Tensor, scales: Tensor, means: Tensor) -> Tensor:
        """Estimated bits of latents per image, (B,), under a Gaussian integrated over the rounding interval."""
        distance = (y - means).abs()
        scales = _LowerBound.apply(scales, SMALLEST_SCALE)
        upper, lower = (0.5 - distance) / scales, (-0.5 - distance) / scales
        # the complementary error function keeps the precision of the tails
        likelihood = 0.5 * (torch.erfc(upper * -(2**-0.5)) - torch.erfc(lower * -(2**-0.5)))
        return _bits(likelihood)


def load_state(path: str | Path) -> dict[str, Tensor]:
    """A model file's state dict, on the CPU, in float32, of the right architecture.

    Raises:
        MissingModelError: there is no such file.
        CodecError: not a state dict, of another architecture, or with weights that are not
            dense, floating and finite.
    """
    if not Path(path).is_file():
        raise MissingModelError(f"{path}: no such model file.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no archive make the unpickler raise anything
        raise CodecError(f"{path}: not a model file ({type(error).__name__}). It should hold a state dict.") from error
    if isinstance(state, dict):
        state = {_present_name(str(name)): value for name, value in state.items()}
    _refuse_architecture(path, _wrong_names(state))
    _refuse_weight(path, state, _unfit)  # before shapes, which not every kind of tensor has
    _refuse_architecture(path, _wrong_shape(state))
    state = {name: value.detach().float() if value.is_floating_point() else value for name, value in state.items()}
    _refuse_weight(path, state, _not_finite)
    return state


def centred_at_zero(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a model whose hyper-latents are rounded around 0: the medians of its quantiles are 0."""
    low, _, high = state[QUANTILES].unbind(dim=2)
    zero = torch.zeros_like(low)
    return {**state, QUANTILES: torch.stack((low.clamp(max=0), zero, high.clamp(min=0)), dim=2)}


def _refuse_architecture(path: str | Path, problem: str | None) -> None:
    if problem:
        raise CodecError(
            f"{path}: not a state dict of CompressAI's MeanScaleHyperprior ({problem}). "
            "Name a model of that architecture."
        )


def _refuse_weight(path: str | Path, state: Mapping[str, Tensor], find: Callable[[str, Tensor], str | None]) -> None:
    for name, tensor in state.items():
        problem = find(name, tensor)
        if problem:
            raise CodecError(
                f"{path}: {name} {problem}. Name a model whose weights are dense tensors of finite "
                "float16, bfloat16, float32 or float64."
            )


def _present_name(name: str) -> str:
    """The name of a weight in today's CompressAI, from its name in older versions: published weights have old names."""
    name = name.removeprefix("module.")
    old = re.fullmatch(r"entropy_bottleneck\._(matri|bias|factor)[a-z]*\.?(\d)", name)
    plural = {"matri": "matrices", "bias": "biases", "factor": "factors"}
    return f"entropy_bottleneck.{plural[old[1]]}.{old[2]}" if old else name


def save_state(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Write a state dict, all or nothing; equal tensors under equal names make equal files.

    Raises:
        DiskError: the disk is full.
    """
    write_tensors({name: _plain(state[name]) for name in sorted(state)}, path)


def _plain(tensor: Tensor) -> Tensor:
    """A copy on the CPU that owns its values: ``torch.save`` would write the whole storage behind a view."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


@cache
def _shapes(N: int, M: int) -> dict[str, torch.Size]:
    """The shapes of a model's weights by name, computed without memory for the weights."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in Hyperprior(N, M).state_dict().items()}


def _wrong_names(state: object) -> str | None:
    """Why an object is no state dict of the architecture, judged by its names; None if it is one."""
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        return "it holds something else"
    weights = _shapes(1, 1)
    for name in state:
        if name.startswith("context_prediction."):
            return f"{name} belongs to an autoregressive model, such as mbt2018"
    for name in weights:
        if name not in state:
            return f"{name} is missing"
    for name in state:
        if name not in weights and not TABLES.fullmatch(name):
            return f"{name} does not belong to it"
    return None


def _wrong_shape(state: Mapping[str, Tensor]) -> str | None:
    """A sentence on the first weight whose shape does not fit the architecture; None if all fit."""
    for name in WIDTHS:
        shape = state[name].shape
        if not shape or not 1 <= shape[0] <= MAX_CHANNELS:
            return f"{name} has shape {tuple(shape)} where 1 to {MAX_CHANNELS:,} channels belong first"
    for name, expected in _shapes(*widths(state)).items():
        if state[name].shape != expected:
            return f"{name} has shape {tuple(state[name].shape)} where {tuple(expected)} belongs"
    return None


def _unfit(name: str, tensor: Tensor) -> str | None:
    """Why a tensor of a model file can't be read as a weight or a table; None if it can."""
    if tensor.device.type != "cpu":
        return f"has no values (its device is {tensor.device.type!r})"
    if tensor.is_quantized or tensor.is_nested or tensor.layout != torch.strided:
        return "is quantised, nested or sparse"
    if tensor.dtype not in DTYPES and not TABLES.fullmatch(name):
        return f"holds {tensor.dtype}"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"has shape {tuple(tensor.shape)}, and the file does not hold so many values"
    return None


def _not_finite(name: str, tensor: Tensor) -> str | None:
    return None if tensor.isfinite().all() else "holds values that are not finite in float32"


def identity(state: Mapping[str, Tensor]) -> bytes:
    """Eight bytes that differ between models that decode differently.

    The BLAKE2b hash of the weights that decoding depends on, in the order of their names: the name, a
    zero byte, and the values as little-endian float32. The same values stored in half precision and in
    float32 have the same identity.
    """
    digest = blake2b(digest_size=8)
    for name in sorted(state):
        if name.startswith(DECODING):
            digest.update(name.encode() + b"\0")
            digest.update(_values(state[name]))
    return digest.digest()


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """The hex SHA-256 of a model's weights, the same for every file and precision that stores these values.

    It covers all weights, but not the tables beside them, in the order of their names: the name
    and the shape, as in ``g_a.0.bias(128,)``, a zero byte, and the values as little-endian float32.
    """
    digest = sha256()
    for name in sorted(_shapes(*widths(state))):
        digest.update(f"{name}{tuple(state[name].shape)}\0".encode())
        digest.update(_values(state[name]))
    return digest.hexdigest()


def _values(tensor: Tensor) -> memoryview:
    """A tensor as little-endian float32, in its order."""
    return tensor.detach().cpu().float().contiguous().numpy().astype("<f4", copy=False).data


def widths(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """N and M of a state dict."""
    N, M = (state[name].shape[0] for name in WIDTHS)
    return N, M


def _precisely(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A function in float64, rounded: its float32 result differs between processors, and bitstreams depend on it."""
    return function(x.double()).to(x.dtype)


def _conv(into: int, out: int, kernel: int = 5, stride: int = 2) -> nn.Module:
    return nn.Conv2d(into, out, kernel, stride, kernel // 2)


def _deconv(into: int, out: int) -> nn.Module:
    return nn.ConvTranspose2d(into, out, 5, 2, padding=2, output_padding=1)


def _bits(likelihood: Tensor) -> Tensor:
    return -torch.log2(_LowerBound.apply(likelihood, SMALLEST_LIKELIHOOD)).sum(dim=(1, 2, 3))
