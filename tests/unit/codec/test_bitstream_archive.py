from __future__ import annotations

import pytest

from sgaplus.codec import bitstream_archive


def test_streams_are_found_in_whichever_file_they_are(tmp_path):
    bitstream_archive.write(
        {"target0.01/ssl/seed0/a.sga": b"A", "target0.01/ssl/seed0/b.sga": b"B"}, tmp_path / "one.zip"
    )
    bitstream_archive.write({"target0.02/ssl/seed0/a.sga": b"C"}, tmp_path / "two.zip")
    paths = [tmp_path / "two.zip", tmp_path / "one.zip"]
    assert bitstream_archive.find(bitstream_archive.name_of(0.01, "ssl", 0, "b"), paths) == b"B"
    assert bitstream_archive.find(bitstream_archive.name_of(0.02, "ssl", 0, "a"), paths) == b"C"
    with pytest.raises(KeyError):
        bitstream_archive.find("target0.03/ssl/seed0/a.sga", paths)


def test_the_same_streams_give_the_same_file(tmp_path):
    for name in ("one.zip", "two.zip"):
        bitstream_archive.write({"a": b"A"}, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
