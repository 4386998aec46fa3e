"""Chunks of a bitstream: what an image's file may hold beside its latents. docs/bitstream.md describes them.

A chunk is a kind in a byte, whose highest bit says that the content is compressed, a length, and the content. A kind
of 0 ends them. Chunks of unknown kinds are passed over, so that a later version can add some.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from sgaplus.data.photographs import LARGEST_METADATA
from sgaplus.errors import BitstreamError

KINDS = {1: "encoding", 2: "icc", 3: "exif", 4: "xmp"}
"""Names of the chunks: how the image was encoded, its colour profile, and two kinds of metadata."""

END = 0
COMPRESSED = 0x80

LARGEST = LARGEST_METADATA
"""Most bytes of a chunk's content; beyond it a small file can unpack into all the memory there is."""

HEAD = struct.Struct("<BI")
"""Kind, and bytes of the content as it is stored."""


@dataclass(frozen=True)
class Encoding:
    """How an image was encoded.

    Attributes:
        version: Version of the library.
        lmbda: Target lambda of the refinement; None without one.
        steps: Steps of the refinement, at least 0.
        seed: Seed of its random numbers.
        method: Its method; ``-`` without a refinement.
    """

    version: str
    lmbda: float | None
    steps: int
    seed: int
    method: str

    def pack(self) -> bytes:
        """As the content of a chunk: words with a space between."""
        lmbda = "-" if self.lmbda is None else f"{self.lmbda:.6g}"
        return f"{self.version} {lmbda} {self.steps} {self.seed} {self.method}".encode()

    @classmethod
    def unpack(cls, content: bytes) -> Encoding:
        """The inverse of :meth:`pack`.

        Raises:
            BitstreamError: the content is something else.
        """
        try:
            version, lmbda, steps, seed, method = content.decode().split(" ", 4)
            return cls(version, None if lmbda == "-" else float(lmbda), int(steps), int(seed), method)
        except ValueError as error:
            raise BitstreamError("its chunk about the encoding can't be read.") from error


def pack(chunks: Mapping[str, bytes]) -> bytes:
    """Chunks by their names, as they lie in a file; nothing for none.

    Raises:
        ValueError: a chunk has an unknown name or more than :data:`LARGEST` bytes.
    """
    packed = []
    for name, content in chunks.items():
        (kind,) = (kind for kind, known in KINDS.items() if known == name)
        if len(content) > LARGEST:
            raise ValueError(f"{name} of {len(content)} bytes; a chunk holds at most {LARGEST}")
        compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
        smaller = compressor.compress(content) + compressor.flush()
        if len(smaller) < len(content):
            kind, content = kind | COMPRESSED, smaller
        packed.append(HEAD.pack(kind, len(content)) + content)
    return b"".join([*packed, bytes([END])]) if packed else b""


def unpack(data: memoryview) -> tuple[dict[str, bytes], int]:
    """The chunks at the beginning of some data, by their names, and the number of their bytes.

    Raises:
        BitstreamError: they are not what :func:`pack` makes.
    """
    found: dict[str, bytes] = {}
    at = 0
    while True:
        if at >= len(data):
            raise BitstreamError("its chunks have no end.")
        if data[at] == END:
            return found, at + 1
        start = at + HEAD.size
        if start > len(data):
            raise BitstreamError("a chunk is longer than the file.")
        kind, length = HEAD.unpack_from(data, at)
        at = start + length
        if at > len(data):
            raise BitstreamError("a chunk is longer than the file.")
        name = KINDS.get(kind & ~COMPRESSED)
        if name in found:
            raise BitstreamError(f"it has two chunks of {name}.")
        if name:
            found[name] = _content(bytes(data[start:at]), bool(kind & COMPRESSED), name)


def _content(stored: bytes, compressed: bool, name: str) -> bytes:
    if compressed:
        unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        try:
            content = unpacker.decompress(stored, LARGEST + 1)
        except zlib.error as error:
            raise BitstreamError(f"its chunk of {name} can't be unpacked.") from error
        if len(content) <= LARGEST and (not unpacker.eof or unpacker.unused_data):
            raise BitstreamError(f"its chunk of {name} can't be unpacked.")
    else:
        content = stored
    if len(content) > LARGEST:
        raise BitstreamError(f"its chunk of {name} has more than {LARGEST} bytes.")
    return content
