from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaplus.data.archives import Limits, members, reading, safe_path, unpack
from sgaplus.errors import ArchiveError, DiskError
from tests.unit.making import chain, gnu_sparse, link, make_tar, make_zip, pax_sparse

PNG = {".png"}


MAKERS = {"a.zip": make_zip, "a.tar": make_tar}


@pytest.fixture(params=MAKERS)
def make(request, tmp_path):
    """Makes an archive of one kind in an empty folder."""
    return lambda files, *more: MAKERS[request.param](tmp_path / request.param, files, *more)


def refusal(archive: Path, **options) -> str:
    """The message of an archive that is not unpacked; nothing of it is left."""
    folder = archive.parent / "images"
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, folder, PNG, **options)
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]
    message = str(caught.value)
    assert message.startswith(f"{archive}: ")
    assert "\n" not in message
    return message


def there(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_images_come_into_one_folder_and_nothing_else_does(make, tmp_path):
    files = {
        **{"set/a.png": b"a", "set/deep/B.PNG": b"b"},
        **{"set/readme.txt": b"", "__MACOSX/set/._a.png": b"x", "set/.hidden.png": b"x", ".git/c.png": b"x"},
    }
    assert unpack(make(files), tmp_path / "images", PNG) == 2
    assert there(tmp_path / "images") == {"a.png": b"a", "B.PNG": b"b"}


def test_only_a_folder_of_the_archive_is_taken(make, tmp_path):
    files = {"T/RGB/RGB_OR/a.png": b"a", "T/RGB/RGB_OR_B/b.png": b"b", "T/GRAY/RGB_OR/c.png": b"c", "d.png": b"d"}
    unpack(make(files), tmp_path / "images", PNG, within="RGB/RGB_OR")
    assert there(tmp_path / "images") == {"a.png": b"a"}


def test_an_archive_without_the_folder_is_refused(make):
    assert "holds no images (.png) in a folder RGB/X" in refusal(make({"a.png": b"a"}), within="RGB/X")


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "x/../../a.png", "..", "C:/a.png", "x\\..\\a.png", "a\n.png"])
def test_a_name_that_leaves_the_folder_is_refused(make, name):
    assert "would leave the archive's folder" in refusal(make({"b.png": b"", name: b"evil"}))


@given(st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "", "a", "b.png", "/", "\\"])).map("/".join))
def test_no_name_that_is_let_through_leads_out_of_its_folder(name):
    try:
        path = safe_path(name, "archive")
    except ArchiveError:
        return
    folder = "/some/where"
    assert os.path.normpath(os.path.join(folder, path)).startswith(f"{folder}/") or path == PurePosixPath(".")
    assert path.name not in ("..", "/")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_a_tar_is_refused(tmp_path, kind):
    archive = make_tar(tmp_path / "a.tar", {"b.png": b""}, link(kind))
    assert "the member 'a.png' is a link or a device" in refusal(archive)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR])
def test_a_link_or_device_in_a_zip_is_refused(tmp_path, kind):
    info = zipfile.ZipInfo("a.png")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "the member 'a.png' is a link or a device" in refusal(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(members=1), "more than 1 members"),
        (Limits(member_bytes=1500), "the member 'b.png' has more than 1.5 kB"),
    ],
)
def test_more_than_the_limits_is_refused_and_the_limit_stated(make, limits, said):
    assert said in refusal(make({"a.png": b"a" * 1000, "b.png": b"b" * 2000}), limits=limits)


def test_a_zip_that_unpacks_into_too_much_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a.png": b"a" * 1000, "b.png": b"b" * 2000})
    assert "unpacks into more than 2.5 kB" in refusal(archive, limits=Limits(total_bytes=2500))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a.png": bytes(20_000_000)}, zipfile.ZIP_DEFLATED)
    assert archive.stat().st_size < 30_000
    assert "the member 'a.png' grows more than 100 times when unpacked" in refusal(archive)


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a.png": b"a" * 5000})
    content = archive.read_bytes()
    archive.write_bytes(content.replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    assert "broken" in refusal(archive)


def test_two_images_of_one_name_are_refused(make):
    assert "two images are called 'a.png'" in refusal(make({"x/a.png": b"1", "y/a.png": b"2"}))


def test_an_encrypted_member_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a.png": b"a"})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    archive.write_bytes(content)
    assert "is encrypted" in refusal(archive)


def test_a_spoilt_member_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a.png": b"abcdefgh" * 100})
    archive.write_bytes(archive.read_bytes().replace(b"abcdefgh", b"abcdefgH", 1))
    assert "broken (Bad CRC-32" in refusal(archive)


@pytest.mark.parametrize("keep", [0.3, 0.6])
def test_an_archive_that_is_cut_short_is_refused(make, keep):
    archive = make({f"{n}.png": bytes(5000) for n in range(4)})
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * keep)])
    assert "broken" in refusal(archive)


@pytest.mark.parametrize("content", [b"", b"<html>sorry</html>", b"x" * 2000])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    refusal(tmp_path / "a.zip")


def test_what_a_killed_attempt_left_is_removed(make, tmp_path):
    (tmp_path / ".images.unpacking").mkdir()
    (tmp_path / ".images.unpacking" / "old.png").write_bytes(b"half")
    unpack(make({"a.png": b"a"}), tmp_path / "images", PNG)
    assert there(tmp_path / "images") == {"a.png": b"a"}


def test_a_full_disk_is_told_as_such_and_leaves_nothing(make, small_disk):
    archive = make({"a.png": bytes(400_000)})
    with pytest.raises(DiskError, match=r"no room left on this disk\. Free some"):
        unpack(archive, small_disk / "images", PNG)
    assert list(small_disk.iterdir()) == []


def test_members_come_in_the_archives_order(make):
    archive = make({"b.png": b"1", "a.png": b"22"})
    assert [(str(m.path), m.size, m.content.read()) for m in members(archive)] == [
        ("b.png", 1, b"1"),
        ("a.png", 2, b"22"),
    ]


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "é" * 150 + ".png", "a" * 300 + "/b.png"])
def test_a_name_that_no_file_may_have_is_refused(make, name):
    message = refusal(make({"b.png": b"", name: b"long"}))
    assert "has a name of more than 255 bytes" in message
    assert len(message) < 400


@pytest.mark.parametrize("make", [gnu_sparse, pax_sparse])
def test_a_sparse_member_is_refused(tmp_path, make):
    assert "the member 'a.png' is sparse" in refusal(make(tmp_path / "a.tar"))


def test_a_malformed_sparse_header_is_refused(tmp_path):
    archive = pax_sparse(tmp_path / "a.tar", "three")
    assert "broken (invalid literal for int() with base 10: 'three')" in refusal(archive)


def test_a_chain_of_headers_is_refused(tmp_path):
    assert "broken (maximum recursion depth exceeded" in refusal(chain(tmp_path / "a.tar"))


@pytest.mark.parametrize("error", [MemoryError(), ValueError("odd"), IndexError("odd"), OverflowError("odd")])
def test_whatever_a_header_makes_tarfile_raise_is_a_refusal(tmp_path, monkeypatch, error):
    """A header of 1.5 GB, for one, is a MemoryError."""

    def fail(*_):
        raise error

    monkeypatch.setattr(tarfile.TarFile, "next", fail)
    assert f"broken ({str(error) or type(error).__name__})" in refusal(make_tar(tmp_path / "a.tar", {"a.png": b""}))


def test_what_is_no_file_is_refused(tmp_path):
    for place in (tmp_path, tmp_path / "none.zip"):
        with pytest.raises(ArchiveError, match="no such file"), reading(place):
            list(members(place))
