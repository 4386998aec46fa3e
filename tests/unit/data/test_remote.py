from __future__ import annotations

import hashlib

import pytest

from sgaplus.data.remote import require_secure, verify
from sgaplus.errors import MissingFileError, WrongFileError
from tests.unit.making import row_of


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/a", "http://localhost/a", "http://[::1]:1/a", "https://a.org/a"]
)
def test_this_machines_own_servers_need_no_https(url):
    require_secure(url)


def test_a_right_file_is_verified_without_a_record(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"right")
    verify(row_of(b"right").remote, tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"wrong", f"expected sha256 {hashlib.sha256(b'right').hexdigest()}, found "), (b"", "5 bytes")],
)
def test_a_wrong_file_is_named_with_what_was_expected_and_found_and_what_to_do(tmp_path, content, said):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(WrongFileError) as caught:
        verify(row_of(b"right").remote, path)
    assert str(caught.value).startswith(f"{path}: expected ")
    assert said in str(caught.value)
    assert "Delete the file to download it again" in str(caught.value)


def test_a_missing_file_is_named_with_where_to_get_it(tmp_path):
    with pytest.raises(MissingFileError, match=r"no such file\. Put a\.zip there; https://a\.org has it"):
        verify(row_of(b"right").remote, tmp_path / "a.zip")


def test_a_file_without_a_published_hash_is_trusted_once_and_held_to_it(tmp_path):
    path, wanted = tmp_path / "a.zip", row_of(None).remote
    path.write_bytes(b"first")
    verify(wanted, path)
    record = tmp_path / "a.zip.sha256"
    assert record.read_text() == f"{hashlib.sha256(b'first').hexdigest()}  a.zip\n"  # as sha256sum writes it
    verify(wanted, path)
    path.write_bytes(b"other")
    with pytest.raises(WrongFileError, match=r"as a\.zip\.sha256 recorded .*delete a\.zip\.sha256 too"):
        verify(wanted, path)
    record.unlink()
    verify(wanted, path)
