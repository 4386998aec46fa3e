from __future__ import annotations

import hashlib
import io
import logging
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgaplus.data import shards
from sgaplus.data.index import IndexedImage, read_index
from sgaplus.data.sources import Folder
from sgaplus.errors import ArchiveError, DiskError, ImageError, WrongFileError
from tests.unit.making import encoded, link, make_tar, row_of


def inner(**files: bytes) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{name}.JPEG")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


CLASSES = {
    "n01.tar": {"n01_1": encoded("JPEG"), "n01_2": encoded("JPEG", "L", (300, 20), 1)},
    "n02.tar": {"n02_1": encoded("JPEG", "CMYK", seed=2), "n02_2": encoded("PNG", seed=3)},  # a PNG that is named .JPEG
}
ALL = {name: content for files in CLASSES.values() for name, content in files.items()}


@pytest.fixture
def tar(tmp_path) -> Path:
    """ImageNet's layout, with two classes of two images."""
    return make_tar(tmp_path / "train.tar", {name: inner(**files) for name, files in CLASSES.items()})


def row(archive: Path, **changes):
    return replace(row_of(archive.read_bytes(), archive.name).remote, **changes)


def pack(archive: Path, **options) -> list[IndexedImage]:
    folder = archive.parent
    return shards.pack(archive, options.pop("row", row(archive)), folder / "train", folder / "train.csv", **options)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shard_bytes", [1, 3000, 10**9])
def test_every_image_is_found_again_in_the_shards(tar, shard_bytes, threads):
    packed = pack(tar, shard_bytes=shard_bytes, threads=threads)
    assert left(tar.parent) == ["train", "train.csv", "train.tar"]
    assert read_index(tar.parent / "train.csv") == packed
    assert [image.name for image in packed] == list(ALL)  # in the archive's order
    for image in packed:
        assert image.content() == ALL[image.name]
        assert image.sha256 == hashlib.sha256(ALL[image.name]).hexdigest()
        assert image.read().shape == (image.height, image.width, 3)
    assert len(left(tar.parent / "train")) == {1: 4, 3000: 3, 10**9: 1}[shard_bytes]


def test_cmyk_and_what_is_no_jpeg_are_decoded_by_content(tar):
    packed = {image.name: image for image in pack(tar)}
    np.testing.assert_array_equal(packed["n02_2"].read(), np.asarray(Image.open(io.BytesIO(ALL["n02_2"]))))
    cmyk = Image.open(io.BytesIO(ALL["n02_1"]))
    assert cmyk.mode == "CMYK"
    np.testing.assert_array_equal(packed["n02_1"].read(), np.asarray(cmyk.convert("RGB")))


def test_a_shard_is_a_tar_that_others_can_read(tar):
    pack(tar)
    with tarfile.open(tar.parent / "train" / "shard0000.tar") as shard:
        assert {info.name: shard.extractfile(info).read() for info in shard} == {
            f"{name}.JPEG": content for name, content in ALL.items()
        }


def test_packing_twice_gives_the_same_bytes(tar):
    def content():
        pack(tar, shard_bytes=3000)
        return [path.read_bytes() for path in sorted((tar.parent / "train").iterdir())]

    assert content() == content()


def test_an_unreadable_image_is_dropped_with_its_name_and_a_count(tmp_path, caplog):
    broken = {"n01_7": ALL["n01_1"][:200], "n01_8": ALL["n01_1"], "n01_9": b"no image"}
    archive = make_tar(tmp_path / "train.tar", {"n01.tar": inner(**broken)})
    with caplog.at_level(logging.WARNING):
        assert [image.name for image in pack(archive)] == ["n01_8"]
    assert "dropped: n01_7.JPEG: not a readable image (Truncated File Read)" in caplog.text
    assert "dropped: n01_9.JPEG: not a readable image (cannot identify image file)" in caplog.text
    assert "2 images dropped because they can't be read" in caplog.text


def test_images_need_not_lie_in_tars_of_their_own(tmp_path):
    archive = make_tar(tmp_path / "val.tar", {"val/1.JPEG": ALL["n01_1"], "readme.txt": b""})
    assert [image.name for image in pack(archive)] == ["1"]


@pytest.mark.parametrize(
    ("wrong", "said"), [({"bytes": 5}, "expected 5 bytes, found"), ({"hash": "0" * 64}, "expected sha256 0000")]
)
def test_an_archive_that_is_another_leaves_nothing(tar, wrong, said):
    with pytest.raises(WrongFileError, match=said):
        pack(tar, row=row(tar, **wrong))
    assert left(tar.parent) == ["train.tar"]


def test_a_wrong_length_is_told_before_the_archive_is_read(tar):
    read = []
    with pytest.raises(WrongFileError):
        pack(tar, row=row(tar, bytes=5), progress=read.append)
    assert not read


def test_progress_adds_up_to_the_archive(tar):
    read = []
    pack(tar, progress=read.append)
    assert sum(read) == tar.stat().st_size


def test_a_full_disk_leaves_nothing(tmp_path, small_disk):
    archive = make_tar(tmp_path / "train.tar", {f"{n}.png": encoded("PNG", size=(200, 200), seed=n) for n in range(4)})
    with pytest.raises(DiskError, match="no room left on this disk"):
        shards.pack(archive, row(archive), small_disk / "train", small_disk / "train.csv")
    assert left(small_disk) == []


def test_a_broken_archive_leaves_nothing(tar):
    content = tar.read_bytes()
    tar.write_bytes(content[:3000])
    with pytest.raises(ArchiveError, match="broken"):
        pack(tar)
    assert left(tar.parent) == ["train.tar"]


def test_a_link_in_an_inner_tar_is_refused(tmp_path):
    make_tar(tmp_path / "inner.tar", {}, link(tarfile.SYMTYPE))
    archive = make_tar(tmp_path / "train.tar", {"n01.tar": (tmp_path / "inner.tar").read_bytes()})
    with pytest.raises(ArchiveError, match=r"train\.tar \(n01\.tar\): the member 'a\.png' is a link or a device"):
        pack(archive)


def test_two_images_of_one_name_are_refused(tmp_path):
    archive = make_tar(tmp_path / "train.tar", {f"{n}.tar": inner(same=ALL["n01_1"]) for n in range(2)})
    with pytest.raises(ImageError, match="two images are called 'same'"):
        pack(archive)


def test_a_shard_that_changed_is_refused_by_the_image(tar):
    first, *others = pack(tar)
    with open(first.path, "r+b") as shard:
        shard.seek(first.offset + 100)
        shard.write(b"x")
    with pytest.raises(ImageError, match=r"shard0000\.tar \(n01_1\): changed since the data set was indexed"):
        first.read()
    for image in others:
        image.read()  # a shard is not hashed as a whole


def test_a_shard_that_is_cut_short_or_gone_is_told(tar):
    *_, last = pack(tar)
    with open(last.path, "r+b") as shard:
        shard.truncate(last.offset + 10)
    with pytest.raises(ImageError, match="changed since"):
        last.read()
    Path(last.path).unlink()
    with pytest.raises(ImageError, match=r"no such file\. Restore it"):
        last.read()


def test_images_of_imagenet_are_packed_and_the_small_ones_left_out(photographs_of_imagenet, tmp_path):
    """A tar of tars of real photographs, some grayscale, some with a side under 256 pixels."""
    files = sorted(photographs_of_imagenet.glob("*.JPEG"))
    content = {file.stem: file.read_bytes() for file in files}
    classes = {f"{name}.tar": inner(**{name: data}) for name, data in content.items()}
    packed = pack(make_tar(tmp_path / "train.tar", classes), shard_bytes=10_000_000, threads=2)
    assert {image.name: image.content() for image in packed} == content
    assert len(left(tmp_path / "train")) == -(-sum(map(len, content.values())) // 10_000_000)
    large = Folder("train", min_side=256).select(packed)
    sizes = {file.stem: Image.open(file).size for file in files}
    assert {image.name for image in large} == {name for name, size in sizes.items() if min(size) >= 256}
    assert 0 < len(large) < len(packed)
    for image in large[::50]:
        assert image.read().shape == (*sizes[image.name][::-1], 3)
