from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgaplus.codec import chunks
from sgaplus.codec.chunks import HEAD, KINDS, LARGEST, Encoding, pack, unpack
from sgaplus.errors import BitstreamError

SOME = {"encoding": b"0.1.0 0.01 500 0 ssl_fast", "icc": bytes(3000), "exif": bytes(range(256)), "xmp": b""}


def test_chunks_come_back_and_take_little_room():
    data = pack(SOME)
    assert unpack(memoryview(data + b"blocks")) == (SOME, len(data))
    assert len(data) < len(SOME["encoding"]) + 30 + 256 + 4 * HEAD.size + 1
    assert pack({}) == b""
    assert unpack(memoryview(b"\0blocks")) == ({}, 1)


def test_a_chunk_of_an_unknown_kind_is_passed_over():
    later = HEAD.pack(99, 3) + b"new"
    assert unpack(memoryview(later + pack({"icc": b"mine"})))[0] == {"icc": b"mine"}


def packed(content: bytes) -> bytes:
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


def chunk(kind: int, content: bytes) -> bytes:
    return HEAD.pack(kind, len(content)) + content


WRONG = {
    "nothing": (b"", "no end"),
    "no end": (chunk(2, b"abc"), "no end"),
    "half a head": (b"\2\0\0", "longer than the file"),
    "too long": (chunk(2, b"abc")[:-1], "longer than the file"),
    "twice": (chunk(2, b"abc") + chunk(2, b"abc") + b"\0", "two chunks of icc"),
    "not compressed": (chunk(0x83, b"\xff\xff") + b"\0", "chunk of exif can't be unpacked"),
    "cut": (chunk(0x83, packed(bytes(999))[:-1]) + b"\0", "chunk of exif can't be unpacked"),
    "more after it": (chunk(0x83, packed(bytes(999)) + b"more") + b"\0", "chunk of exif can't be unpacked"),
    "a bomb": (chunk(0x84, packed(bytes(LARGEST + 1))) + b"\0", f"chunk of xmp has more than {LARGEST} bytes"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_every_kind_of_bad_chunk_is_a_clear_error(kind):
    data, message = WRONG[kind]
    with pytest.raises(BitstreamError, match=message):
        unpack(memoryview(data))


@settings(max_examples=300, deadline=None, database=None)
@given(choices=st.data())
def test_changed_chunks_are_read_or_refused(choices):
    data = bytearray(pack(SOME))
    for _ in range(choices.draw(st.integers(1, 3))):
        at = choices.draw(st.integers(0, len(data) - 1))
        data[at : at + choices.draw(st.integers(0, 4))] = choices.draw(st.binary(max_size=4))
    try:
        found, end = unpack(memoryview(bytes(data)))
    except BitstreamError:
        return
    assert set(found) <= set(KINDS.values())
    assert end <= len(data)


def test_a_chunk_that_no_reader_would_take_is_not_written():
    with pytest.raises(ValueError, match="at most"):
        pack({"xmp": bytes(LARGEST + 1)})


@pytest.mark.parametrize(
    "encoding", [Encoding("0.1.0", 0.0123, 500, -7, "my method"), Encoding("0.1.0", None, 0, 0, "-")]
)
def test_an_encoding_comes_back(encoding):
    assert Encoding.unpack(encoding.pack()) == encoding


@pytest.mark.parametrize("content", [b"", b"\xff", b"0.1.0 x 500 0 ssl", b"0.1.0 0.01 500"])
def test_an_encoding_that_cannot_be_read_is_an_error(content):
    with pytest.raises(BitstreamError, match="about the encoding"):
        Encoding.unpack(content)


def test_the_documented_kinds_are_the_code_s():
    text = (Path(__file__).parents[3] / "docs" / "bitstream.md").read_text()
    assert {int(kind): name for kind, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", text, re.M)} == chunks.KINDS
