"""Entropy coding that gives the same bits on every machine: tables, entropy parameters, and the rANS coder.

Encoder and decoder must agree on every probability to the last bit, or the decoded image is noise. Rounding
errors could make them differ in two places. The tables of probabilities are therefore computed from the weights
in float64 and rounded to 16 bits. The hyper-synthesis transform is evaluated in fixed-point arithmetic: weights
and activations are multiples of powers of two, small enough that float64 holds every product and every partial
sum exactly, and then the order of summation and the number of threads change nothing.

The coder is CompressAI's, and so are the tables, but for a tail mass that each channel takes at its own end.
"""

from __future__ import annotations

import copy
import importlib.util
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from itertools import pairwise
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from sgaplus.codec.hyperprior import SMALLEST_SCALE, Bottleneck
from sgaplus.errors import BitstreamError, CodecError

SCALES = 64
"""Gaussians in the table, their scales in geometric progression from SMALLEST_SCALE to LARGEST_SCALE."""

LARGEST_SCALE = 256.0
TAILS = 6.109410204869
"""Half width of a Gaussian's table in units of its scale; the probability outside the table is 1e-9."""

PRECISION = 16
"""Bits of a probability."""

LONGEST_TABLE = 2**14
"""Symbols of a table: with many more, 16 bits would not do for their probabilities."""

BLOCK = 2**16
"""Symbols that are coded together, to bound the memory of coding."""

LARGEST_SYMBOL = 2**20
"""Largest magnitude of a symbol. Rounded latents beyond it mean nothing any more."""

WEIGHT_STEPS, ACTIVATION_STEPS = 2**18, 2**14
"""Steps per unit of the fixed-point numbers, and so 2^32 steps per unit of their products."""

LARGEST_SUM = 2**20
"""Float64 holds multiples of 2^-32 exactly to 2^21, which is above any sum that this bounds."""

HALO = 2
"""Rows of hyper-latents beyond a strip that its entropy parameters depend on."""

STRIP = 4096
"""Latent positions whose entropy parameters are computed at once, to bound memory."""


@dataclass(frozen=True)
class Tables:
    """Cumulative probabilities by index: the Gaussians by scale, then the hyper-latents' channels.

    Attributes:
        cdfs: For each index, cumulative probabilities in units of 2^-16, from 0 to 2^16. The last
            interval is the escape: a symbol outside the table is coded plainly after it.
        offsets: For each index, the symbol of the first interval.
    """

    cdfs: list[list[int]]
    offsets: list[int]

    @property
    def lengths(self) -> list[int]:
        """Entries of each index's list."""
        return [len(cdf) for cdf in self.cdfs]


def tables(bottleneck: Bottleneck) -> Tables:
    """The tables of a model.

    Raises:
        CodecError: the quantiles of its hyper-latents are not trained.
    """
    rows = [*_gaussians(), *_channels(bottleneck)]
    return Tables([_cdf(pmf, tail) for pmf, tail, _ in rows], [offset for _, _, offset in rows])


def scale_table() -> list[float]:
    """The scales of the Gaussians, ascending."""
    ratio = LARGEST_SCALE / SMALLEST_SCALE
    return [SMALLEST_SCALE * ratio ** (i / (SCALES - 1)) for i in range(SCALES)]


def scale_indexes(scales: Tensor) -> Tensor:
    """The index of the Gaussian whose scale is nearest in ratio, uint8, in the shape of ``scales``."""
    table = scale_table()
    between = torch.tensor([math.sqrt(low * high) for low, high in pairwise(table)], dtype=scales.dtype)
    return torch.bucketize(scales.contiguous(), between).to(torch.uint8)


def _gaussians() -> Iterator[tuple[Tensor, Tensor, int]]:
    """Probabilities within the table, probability outside, and first symbol, by scale."""
    for scale in scale_table():
        reach = math.ceil(scale * TAILS)
        distance = torch.arange(-reach, reach + 1, dtype=torch.float64).abs()
        upper, lower = (_normal((side - distance) / scale) for side in (0.5, -0.5))
        yield upper - lower, 2 * lower[:1], -reach


def _normal(x: Tensor) -> Tensor:
    """The normal cumulative distribution, precise in the lower tail."""
    return 0.5 * torch.erfc(-(2**-0.5) * x)


def _channels(bottleneck: Bottleneck) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Probabilities within the table, probability outside, and first symbol, by channel of the hyper-latents."""
    bottleneck = copy.deepcopy(bottleneck).cpu().double()
    low, median, high = bottleneck.quantiles[:, 0].unbind(dim=1)
    below, above = (median - low).ceil().clamp(min=0), (high - median).ceil().clamp(min=0)
    if not (below + above).max() < LONGEST_TABLE:
        raise CodecError(
            "the model's quantiles are no quantiles of its hyper-latents. Train them, with the auxiliary loss."
        )
    width = int((below + above).max()) + 1
    values = (median - below)[:, None, None] + torch.arange(width, dtype=torch.float64)
    lower, upper = bottleneck.logits(values - 0.5)[:, 0], bottleneck.logits(values + 0.5)[:, 0]
    pmf = upper.sigmoid() - lower.sigmoid()
    if not pmf.isfinite().all():
        raise CodecError("the model has weights that are not finite. Train it again.")
    for i, length in enumerate((below + above + 1).int().tolist()):
        tail = lower[i, :1].sigmoid() + (-upper[i, length - 1 : length]).sigmoid()
        yield pmf[i, :length], tail, -int(below[i])


def _cdf(pmf: Tensor, tail: Tensor) -> list[int]:
    return _native("_CXX").pmf_to_quantized_cdf(torch.cat((pmf, tail)).clamp(min=0).tolist(), PRECISION)


class ExactHyperSynthesis:
    """Entropy parameters in exact fixed-point arithmetic, on the CPU.

    They differ from the results of the model's own float32 arithmetic by about 1e-4, which costs no bits.
    """

    def __init__(self, h_s: nn.Sequential) -> None:
        self.layers = copy.deepcopy(h_s).cpu().double()
        for layer in self.layers:
            for weight in layer.parameters():
                weight.data = _on_grid(weight.data, WEIGHT_STEPS)
        self.gains = [_gain(layer) for layer in self.layers]

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Indexes of the scales, uint8, and means, float32, (M, 4 h, 4 w) each, of rounded hyper-latents.

        Args:
            z: (N, h, w).

        Raises:
            BitstreamError: the hyper-latents are too large for exact arithmetic.
        """
        rows = max(1, STRIP // (16 * z.shape[2]))
        strips = [self._strip(z, start, min(start + rows, z.shape[1])) for start in range(0, z.shape[1], rows)]
        indexes, means = zip(*strips, strict=True)
        return torch.cat(indexes, dim=1), torch.cat(means, dim=1)

    def _strip(self, z: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
        top = max(0, start - HALO)
        with torch.no_grad():
            x = self._exactly(z[None, :, top : stop + HALO].double())
        scales, means = x[0, :, (start - top) * 4 : (stop - top) * 4].chunk(2)
        return scale_indexes(scales), means.float()

    def _exactly(self, x: Tensor) -> Tensor:
        x = _on_grid(x, ACTIVATION_STEPS)
        for layer, gain in zip(self.layers, self.gains, strict=True):
            if not x.abs().max().clamp(min=1) * gain < LARGEST_SUM:
                raise BitstreamError(
                    f"hyper-latents that come to {x.abs().max():.3g} are too large to compute with exactly."
                )
            x = _on_grid(layer(x), ACTIVATION_STEPS)
        return x


def _on_grid(x: Tensor, steps: int) -> Tensor:
    return torch.round(x * steps) / steps


def _gain(layer: nn.Module) -> float:
    """A bound on the partial sums of a layer whose inputs are at most 1 in magnitude."""
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or layer.bias is None:
        return 1.0
    into = (1, 2, 3) if isinstance(layer, nn.Conv2d) else (0, 2, 3)  # all but the output channels
    return float((layer.weight.abs().sum(dim=into) + layer.bias.abs()).max())


def encode(symbols: Tensor, indexes: Tensor, coding: Tables) -> list[bytes]:
    """Symbols as streams of up to :data:`BLOCK` symbols each.

    Args:
        symbols: Integers of any shape, up to :data:`LARGEST_SYMBOL` in magnitude.
        indexes: Index of each symbol's table, in the same shape.
        coding: The model's tables.
    """
    pairs = zip(symbols.flatten().split(BLOCK), indexes.flatten().split(BLOCK), strict=True)
    return [_encode_block(*pair, coding) for pair in pairs]


def _encode_block(symbols: Tensor, indexes: Tensor, coding: Tables) -> bytes:
    spare = _spare(symbols, indexes, coding)
    return (
        _native("ans")
        .RansEncoder()
        .encode_with_indexes(
            symbols.tolist() + [0] * spare, indexes.tolist() + [0] * spare, coding.cdfs, coding.lengths, coding.offsets
        )
    )


def _spare(symbols: Tensor, indexes: Tensor, coding: Tables) -> int:
    """How many zeros to code after the symbols, at no cost, so that the coder reserves enough memory.

    It reserves 4 bytes a symbol and checks no bounds. A symbol takes up to 2 bytes, one outside its
    table up to 7, and the state 8.
    """
    values = symbols - torch.tensor(coding.offsets)[indexes.long()]
    outside = (values < 0) | (values >= torch.tensor(coding.lengths)[indexes.long()] - 2)
    return max(0, 8 + 3 * int(outside.sum()) - len(symbols))


def decode(streams: Sequence[bytes], indexes: Tensor, coding: Tables) -> Tensor:
    """The symbols of streams, int32, in the shape of ``indexes``; the inverse of :func:`encode`.

    Streams that no encoder wrote give symbols of no meaning.

    Raises:
        BitstreamError: the number or the length of the streams is impossible.
    """
    blocks = indexes.flatten().split(BLOCK)
    if len(streams) != len(blocks):
        raise BitstreamError(f"{len(streams)} blocks where the image has {len(blocks)}.")
    symbols = [_decode_block(*pair, coding) for pair in zip(streams, blocks, strict=True)]
    return torch.cat(symbols).reshape(indexes.shape)


def _decode_block(stream: bytes, indexes: Tensor, coding: Tables) -> Tensor:
    state = int.from_bytes(stream[:8], "little")
    if len(stream) % 4 or not 8 <= len(stream) <= 16 + 8 * len(indexes) or not 2**31 <= state < 2**63:
        raise BitstreamError(f"a block of {len(stream)} bytes is none of {len(indexes)} symbols.")
    # The decoder checks no bounds either, so the stream is padded with more zeros than it can read: a symbol
    # takes 4 bytes and, outside its table, 4 for every 8 digits; the digits are at most 15 times the digits that
    # announce their number, of which there are 2 in a byte of the stream and 9 in the state.
    zeros = bytes(64 + 96 * len(indexes) + 16 * len(stream))
    symbols = (
        _native("ans")
        .RansDecoder()
        .decode_with_indexes(stream + zeros, indexes.tolist(), coding.cdfs, coding.lengths, coding.offsets)
    )
    return torch.from_numpy(np.array(symbols, dtype=np.int32))


@cache
def _native(name: str) -> ModuleType:
    """A compiled module of CompressAI without the rest of it, whose import takes seconds."""
    full = f"compressai.{name}"
    if full not in sys.modules:
        package = importlib.util.find_spec("compressai")
        spec = PathFinder.find_spec(full, package.submodule_search_locations) if package else None
        if spec is None or spec.loader is None:
            raise CodecError("CompressAI's entropy coder is not installed. Run `make install`.")
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]
