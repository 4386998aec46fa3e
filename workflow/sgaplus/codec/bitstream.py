"""One image as a file: the container of its latents, entropy coded. docs/bitstream.md describes the format.

Encoding rounds latents around the entropy parameters of ``entropy_coding``, which every decoder
computes alike. The decoder checks the decoded latents: if it disagrees with the encoder, it says so.
"""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from sgaplus.codec import chunks, entropy_coding
from sgaplus.codec.frozen import Codec, as_tensor, padded_size
from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.codec.latents import Latents, cropped
from sgaplus.data.pictures import MAX_PIXELS
from sgaplus.errors import BitstreamError, CodecError
from sgaplus.metrics import PEAK

MAGIC = b"SGA+"
VERSION = 2
STRIDES = {1: 64, VERSION: Hyperprior.stride}
"""Pixels by version: the image is padded to their multiples. Version 1 is read, and no longer written."""

HAS_CHUNKS = 1
"""A flag: chunks lie between the header and the blocks."""

SECOND_BYTES = {1: {STRIDES[1]}, VERSION: {0, HAS_CHUNKS}}
"""Values of the byte after the version, by version: the stride, then flags."""

HEADER = struct.Struct("<4sBBII8sIII")
"""Magic, version, flags, width, height, model, payload's bytes, checksum of latents, checksum of the file."""

CHECKSUM = struct.Struct("<I")
LENGTH = struct.Struct("<I")

STRIP_BYTES = 2**29
"""About the working memory of the synthesis of one strip."""

TAPS = 25
"""Taps of a 5x5 kernel."""


@dataclass(frozen=True)
class Header:
    """The header of a bitstream.

    Attributes:
        version: Version of the format.
        flags: :data:`HAS_CHUNKS` or 0; in version 1 the stride.
        width, height: Pixels of the image.
        model: Identity of the model that decodes it, 8 bytes (``hyperprior.identity``).
        payload: Number of bytes after the header.
        latents: CRC-32 of the decoded latents.
    """

    version: int
    flags: int
    width: int
    height: int
    model: bytes
    payload: int
    latents: int

    @property
    def size(self) -> int:
        """Bytes of the whole bitstream."""
        return HEADER.size + self.payload

    @property
    def bpp(self) -> float:
        """Bits of the whole bitstream per pixel."""
        return 8 * self.size / (self.width * self.height)

    @property
    def has_chunks(self) -> bool:
        """Whether there are chunks."""
        return self.version >= VERSION and bool(self.flags & HAS_CHUNKS)

    @property
    def stride(self) -> int:
        """Pixels: width and height are padded to multiples of it."""
        return STRIDES[self.version]

    def pack(self) -> bytes:
        """The header without its last field, the checksum."""
        size = self.width, self.height
        fields = MAGIC, self.version, self.flags, *size, self.model, self.payload, self.latents, 0
        return HEADER.pack(*fields)[: -CHECKSUM.size]


class Coder:
    """Codes and decodes images with one model, on the CPU, always alike.

    Building one takes a moment, for its tables; it serves any number of images.

    Raises:
        CodecError: the model is not in float32, or can't code (untrained quantiles).
    """

    def __init__(self, codec: Codec) -> None:
        model = codec.model
        if not model.identity or any(weight.dtype != torch.float32 for weight in model.parameters()):
            raise CodecError("bitstreams need a model as it was loaded, in float32.")
        self.identity = model.identity
        self.medians = model.entropy_bottleneck.medians[0].cpu()
        self.hyper_synthesis = entropy_coding.ExactHyperSynthesis(model.h_s)
        self.synthesis = copy.deepcopy(model.g_s).cpu().double()
        self.tables = entropy_coding.tables(model.entropy_bottleneck)
        self.stride, self.hyper_stride, self.halo = model.stride, model.hyper_stride, model.halo
        self.channels_y, self.channels_z = model.g_a[-1].out_channels, model.h_a[-1].out_channels

    def round(self, latents: Latents) -> Latents:
        """The latents that a decoder gets, float32 on the CPU: as ``Codec.round``, around this coder's means.

        Args:
            latents: The latents of one image, without a batch dimension, in any precision and on any device:
                (M, H/16, W/16) and (N, H/64, W/64), rounded up.

        Raises:
            BitstreamError: they are not finite, or too large.
        """
        rounded, _, _ = self._round(latents)
        return rounded

    def encode(
        self, latents: Latents, width: int, height: int, extra: Mapping[str, bytes] = MappingProxyType({})
    ) -> bytes:
        """The bitstream of an image's latents, rounded on the way as by :meth:`round`.

        Args:
            latents: As for :meth:`round`.
            width, height: Pixels of the image.
            extra: Chunks by their names in ``chunks.KINDS``.

        Raises:
            BitstreamError: the latents are not finite, too large, or not of an image of this size.
        """
        expected = self._shapes(width, height, STRIDES[VERSION])
        if (tuple(latents.y.shape), tuple(latents.z.shape)) != expected:
            raise BitstreamError(
                f"latents of shapes {tuple(latents.y.shape)} and {tuple(latents.z.shape)} are none of an image of "
                f"{width}x{height} pixels: {expected} would be."
            )
        rounded, symbols, indexes = self._round(latents)
        blocks = [
            *entropy_coding.encode(symbols.z, self._channel_indexes(symbols.z.shape), self.tables),
            *entropy_coding.encode(symbols.y, indexes, self.tables),
        ]
        payload = chunks.pack(extra) + b"".join(LENGTH.pack(len(block)) + block for block in blocks)
        head = Header(
            VERSION, HAS_CHUNKS if extra else 0, width, height, self.identity, len(payload), _checksum(rounded)
        ).pack()
        return head + CHECKSUM.pack(crc32(payload, crc32(head))) + payload

    def decode(self, data: bytes, label: str | Path = "bitstream") -> tuple[np.ndarray, Latents]:
        """The image, uint8 (height, width, 3), and its latents as by :meth:`decode_latents`.

        Args:
            data: A whole bitstream.
            label: The bitstream's name in errors.

        Raises:
            BitstreamError: it is damaged, of another model, or of a newer format.
        """
        header = read_header(data, label)
        latents = self.decode_latents(data, label)
        return self.reconstruct(latents, header.width, header.height), latents

    def decode_latents(self, data: bytes, label: str | Path = "bitstream") -> Latents:
        """The rounded latents of a bitstream, float32 on the CPU, without a batch dimension.

        Raises:
            BitstreamError: it is damaged, of another model, or of a newer format.
        """
        header = read_header(data, label)
        if header.model != self.identity:
            raise BitstreamError(
                f"{label}: was made with model {header.model.hex()}, and this is {self.identity.hex()}. Name its model."
            )
        try:
            latents = self._decode(header, data)
        except BitstreamError as error:
            raise damaged(label, error) from error
        if _checksum(latents) != header.latents:
            raise BitstreamError(
                f"{label}: what is decoded is not what was encoded, although the file is whole. Either its encoder or "
                "this machine computes the model differently; decode it where it was encoded, and please report it."
            )
        return latents

    def reconstruct(self, latents: Latents, width: int, height: int) -> np.ndarray:
        """The image of rounded latents, uint8 (height, width, 3).

        In float64, whose errors the rounding to 8 bits hides, so that it is the same everywhere.
        """
        rows = [self._pixel_rows(latents.y, *span) for span in self._spans(latents.y.shape)]
        return np.concatenate(rows)[:height, :width]

    def _round(self, latents: Latents) -> tuple[Latents, Latents, Tensor]:
        """The rounded latents, their integer symbols, and the index of each latent's Gaussian."""
        y, z = latents.y.detach().cpu().float(), latents.z.detach().cpu().float()
        symbols_z = _symbols(z - self.medians)
        rounded_z = symbols_z + self.medians
        indexes, means = self._entropy_parameters(rounded_z, y.shape)
        symbols_y = _symbols(y - means)
        return Latents(symbols_y + means, rounded_z), Latents(symbols_y, symbols_z), indexes

    def _decode(self, header: Header, data: bytes) -> Latents:
        shape_y, shape_z = self._shapes(header.width, header.height, header.stride)
        payload = memoryview(data)[HEADER.size :]
        blocks = list(_blocks(payload[chunks.unpack(payload)[1] :] if header.has_chunks else payload))
        first_y = -(-prod(shape_z) // entropy_coding.BLOCK)
        if len(blocks) != first_y + -(
            -prod(shape_y) // entropy_coding.BLOCK
        ):  # before anything of the claimed size is made
            raise BitstreamError(f"{len(blocks)} blocks are none of {header.width}x{header.height} pixels.")
        z = entropy_coding.decode(blocks[:first_y], self._channel_indexes(shape_z), self.tables) + self.medians
        indexes, means = self._entropy_parameters(z, shape_y)
        return Latents(entropy_coding.decode(blocks[first_y:], indexes, self.tables) + means, z)

    def _entropy_parameters(self, z: Tensor, shape_y: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The index of each latent's Gaussian, and its mean."""
        indexes, means = self.hyper_synthesis(z)
        return cropped(indexes, *shape_y[1:]), cropped(means, *shape_y[1:])

    def _shapes(self, width: int, height: int, stride: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Shapes of the latents and of the hyper-latents of an image that is padded to multiples of a stride."""
        rows, columns = (side // self.stride for side in padded_size(height, width, stride))
        hyper_rows, hyper_columns = (math.ceil(side / self.hyper_stride) for side in (rows, columns))
        return (self.channels_y, rows, columns), (self.channels_z, hyper_rows, hyper_columns)

    def _channel_indexes(self, shape: tuple[int, ...]) -> Tensor:
        """The index of each hyper-latent's table."""
        return torch.arange(entropy_coding.SCALES, entropy_coding.SCALES + shape[0])[:, None, None].expand(shape)

    def _spans(self, shape: torch.Size) -> Iterator[tuple[int, int]]:
        """Latent rows cut into strips whose synthesis fits into :data:`STRIP_BYTES`."""
        if self.halo is None:
            yield 0, shape[1]
            return
        # the third convolution has the largest unfolded input: 16 positions for each latent
        row = TAPS * self.stride * self.synthesis[0].out_channels * shape[2] * 8
        rows = max(1, STRIP_BYTES // row - 2 * self.halo)
        for start in range(0, shape[1], rows):
            yield start, min(start + rows, shape[1])

    def _pixel_rows(self, y: Tensor, start: int, stop: int) -> np.ndarray:
        halo = self.halo or 0
        top = max(0, start - halo)
        with torch.no_grad():
            x = self.synthesis(y[None, :, top : stop + halo].double())[0]
        x = x[:, (start - top) * self.stride : (stop - top) * self.stride]
        return (x.clamp(0, 1) * PEAK).round().byte().permute(1, 2, 0).numpy()


def read(path: str | Path) -> bytes:
    """The bytes of a bitstream file, after a check of its header and its checksum.

    Raises:
        BitstreamError: missing, damaged, of a newer format, or no bitstream.
    """
    if not Path(path).is_file():
        raise BitstreamError(f"{path}: no such file. Correct the path.")
    with open(path, "rb") as file:
        head = file.read(HEADER.size)
        data = head + file.read(_parse(head, path).payload + 1)  # one byte more tells whether the file is too long
    read_header(data, path)
    return data


def read_header(data: bytes, label: str | Path = "bitstream") -> Header:
    """The header of a whole bitstream, after a check of its length and its checksum.

    Args:
        data: The bitstream.
        label: The bitstream's name in errors.

    Raises:
        BitstreamError: damaged, of a newer format, or no bitstream.
    """
    header = _parse(data, label)
    if len(data) != header.size:
        wrong = f"truncated after {len(data)} of" if len(data) < header.size else "more than its"
        raise BitstreamError(f"{label}: {wrong} {header.size} bytes. Get the whole file, or encode the image again.")
    body = memoryview(data)
    end = HEADER.size - CHECKSUM.size
    if CHECKSUM.unpack_from(body, end)[0] != crc32(body[HEADER.size :], crc32(body[:end])):
        raise BitstreamError(f"{label}: damaged (its checksum is wrong). Get it again, or encode the image again.")
    if not (header.width and header.height and header.width * header.height <= MAX_PIXELS):
        raise BitstreamError(
            f"{label}: claims {header.width}x{header.height} pixels; 1 to {MAX_PIXELS:,} are decoded. "
            "Encode the image again, in parts if need be."
        )
    return header


def _parse(data: bytes, label: str | Path) -> Header:
    """The header's fields, checked as far as they can be without the payload."""
    if data[: len(MAGIC)] != MAGIC:
        raise BitstreamError(f"{label}: no bitstream of sgaplus, which begins with {MAGIC.decode()}. Correct the path.")
    if len(data) > len(MAGIC) and data[len(MAGIC)] > VERSION:
        raise BitstreamError(
            f"{label}: is of format version {data[len(MAGIC)]}, and this sgaplus reads up to {VERSION}. Update it."
        )
    if len(data) < HEADER.size:
        raise BitstreamError(
            f"{label}: truncated after {len(data)} bytes, within its header. Get the whole file, or encode it again."
        )
    _, version, second, *fields, _ = HEADER.unpack_from(data)
    if second not in SECOND_BYTES.get(version, ()):
        raise BitstreamError(f"{label}: damaged (version {version}, then {second}). Get it again.")
    return Header(version, second, *fields)


def read_chunks(data: bytes, label: str | Path = "bitstream") -> dict[str, bytes]:
    """The chunks of a whole bitstream, by their names in ``chunks.KINDS``.

    Args:
        data: The bitstream.
        label: The bitstream's name in errors.

    Raises:
        BitstreamError: as for :func:`read_header`, or the chunks are damaged.
    """
    if not read_header(data, label).has_chunks:
        return {}
    try:
        return chunks.unpack(memoryview(data)[HEADER.size :])[0]
    except BitstreamError as error:
        raise damaged(label, error) from error


def damaged(label: str | Path, error: BitstreamError) -> BitstreamError:
    """An error about a part of a bitstream, as one about the bitstream."""
    return BitstreamError(f"{label}: damaged ({str(error).rstrip('.')}). Encode the image again.")


def _blocks(payload: memoryview) -> Iterator[bytes]:
    """The blocks of a payload. Each is stored as its length, then that many bytes."""
    at = 0
    while at < len(payload):
        start = at + LENGTH.size
        at = start + (LENGTH.unpack_from(payload, at)[0] if start <= len(payload) else 1)
        if at > len(payload):
            raise BitstreamError("a block is longer than the file.")
        yield bytes(payload[start:at])


def _symbols(v: Tensor) -> Tensor:
    """Centred latents as integers."""
    if not v.abs().max() <= entropy_coding.LARGEST_SYMBOL:
        raise BitstreamError(
            f"latents up to {v.abs().max():.3g} can't be coded; at most {entropy_coding.LARGEST_SYMBOL} can. "
            "Lower the learning rate of their refinement, or check the model."
        )
    return torch.round(v).int()


def _checksum(latents: Latents) -> int:
    """CRC-32 of hyper-latents and latents, as little-endian float32."""
    values = [v.contiguous().numpy().astype("<f4").tobytes() for v in (latents.z, latents.y)]
    return crc32(values[1], crc32(values[0]))


def unrefined(codec: Codec, picture: np.ndarray) -> np.ndarray:
    """The image decoded from the bitstream of a picture's unrefined latents; both are uint8 (height, width, 3)."""
    height, width = picture.shape[:2]
    coder = Coder(codec)
    return coder.reconstruct(coder.round(codec.latents_of(as_tensor(picture))), width, height)
