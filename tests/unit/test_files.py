from __future__ import annotations

import hashlib
import os

import pytest
import torch

from sgaplus.errors import DiskError
from sgaplus.files import is_text, replacing, sha256, shorten, write_csv, write_tensors


@pytest.fixture
def umask():
    """Sets the process's umask, and puts it back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def write(path, text, failure=None):
    with replacing(path) as temporary:
        temporary.write_text(text)
        if failure:
            raise failure


def test_the_file_appears_under_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "records.parquet"
    with replacing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert list(tmp_path.iterdir()) == [path]


def test_an_old_file_is_seen_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "table.csv"
    write(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


# an interrupt and an exit are no Exceptions
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(tmp_path, failure):
    with pytest.raises(failure):
        write(tmp_path / "model.pth", "half", failure)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "model.pth"
    write(path, "old")
    with pytest.raises(OSError, match="disk full"):
        write(path, "half", OSError("disk full"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_cannot_be_taken_leaves_no_temporary_file(tmp_path):
    folder = tmp_path / "taken"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        write(folder, "text")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["figure.pdf", "figure.tar.gz"])
def test_the_temporary_file_lies_beside_the_file_and_ends_like_it(tmp_path, name):
    path = tmp_path / name
    with replacing(path) as temporary:
        assert temporary.parent == path.parent  # a rename across file systems is a copy
        assert temporary.suffix == path.suffix
        assert temporary.name.startswith(".")  # a glob of results does not meet it


def test_missing_folders_are_made(tmp_path):
    path = tmp_path / "tables" / "main" / "table1.csv"
    write(str(path), "text")
    assert path.read_text() == "text"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_permissions_follow_the_umask(tmp_path, umask, mask, mode):
    umask(mask)
    write(tmp_path / "file", "text")
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode
    assert umask(mask) == mask  # and leave it as it was


# more than one buffer, and nothing at all
@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 5000])
def test_sha256_is_that_of_the_files_bytes(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert sha256(path) == hashlib.sha256(content).hexdigest()
    assert sha256(str(path)) == sha256(path)


def test_tensors_are_the_same_bytes_under_every_name(tmp_path):
    content = {"step": 3, "weights": {"a": torch.arange(5.0)}}
    for name in ("state.pth", "other.pt"):
        write_tensors(content, tmp_path / name)
    assert (tmp_path / "state.pth").read_bytes() == (tmp_path / "other.pt").read_bytes()
    read = torch.load(tmp_path / "state.pth", weights_only=True)
    assert read["step"] == 3
    assert torch.equal(read["weights"]["a"], torch.arange(5.0))


def test_tensors_that_a_full_disk_has_no_room_for_keep_the_old_file(small_disk):
    write_tensors({"a": torch.zeros(10)}, small_disk / "state.pth")
    before = (small_disk / "state.pth").read_bytes()
    with pytest.raises(DiskError, match=r"state\.pth: no room left on this disk") as error:
        write_tensors({"a": torch.zeros(100_000)}, small_disk / "state.pth")
    assert "\n" not in str(error.value)
    assert (small_disk / "state.pth").read_bytes() == before
    assert list(small_disk.iterdir()) == [small_disk / "state.pth"]


def test_a_path_of_any_bytes_is_told_from_text():
    assert is_text("photos/日本.png")
    assert not is_text(os.fsdecode(b"photos/caf\xe9.png"))


def test_a_table_may_hold_any_name(tmp_path):
    write_csv([{"image": os.fsdecode(b"caf\xe9")}], ["image"], tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_bytes() == b"image\r\ncaf\xe9\r\n"


def test_a_long_text_is_shortened_in_the_middle():
    assert shorten("as it is") == "as it is"
    assert len(shorten("a" * 300)) <= 200
    assert shorten("b" + "a" * 300 + "c", 20) == "baaaaaaa...aaaaaaac"
