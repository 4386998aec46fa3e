from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgaplus.data import pictures
from sgaplus.data.index import digest_of, of_file, read_chunk, read_index, write_index
from sgaplus.data.sources import Folder
from tests.unit.making import pixels, png, refusal, save


def test_a_link_keeps_its_own_name(tmp_path):
    target = save(tmp_path / "store" / "3f2a.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "kodim01.png").symlink_to(target)
    (image,) = Folder(str(tmp_path / "photos")).index()
    assert image.name == "kodim01"
    np.testing.assert_array_equal(image.read(), pictures.read(target))


def test_an_index_measures_the_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (image,) = Folder(str(save(tmp_path / "a.jpg", pixels(4, 6), exif=exif))).index()
    assert (image.width, image.height) == (4, 6)


def test_an_index_is_read_as_it_was_written(tmp_path):
    for name in ('comma, "quotes".png', "Schloß.png", "two words.png"):
        save(tmp_path / "photos" / name)
    written = Folder(str(tmp_path / "photos"), crop=(3, 2)).index()
    write_index(written, tmp_path / "photos.csv")
    read = read_index(tmp_path / "photos.csv")
    assert read == written
    assert [image.name for image in read] == ["Schloß", 'comma, "quotes"', "two words"]
    assert [read_chunk(tmp_path / "photos.csv", number, 2) for number in (0, 1, 2)] == [read[:2], read[2:], []]


def test_a_file_that_changed_since_it_was_indexed_is_refused(tmp_path):
    path = save(tmp_path / "a.png", pixels(4, 6))
    (image,) = Folder(str(path)).index()
    before = path.stat()
    save(path, pixels(4, 6, seed=1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # the bytes count, not the date
    message = refusal(image.read)
    assert message.startswith(f"{path}: changed")
    assert "Index it again" in message


def test_a_file_that_was_removed_since_it_was_indexed_is_refused(tmp_path):
    path = save(tmp_path / "a.png")
    (image,) = Folder(str(path)).index()
    path.unlink()
    message = refusal(image.read)
    assert str(path) in message
    assert "Restore it, or index the data set again" in message


@pytest.mark.parametrize(("file", "name"), [(b"caf\xe9.png", "caf\\xe9"), ("日本.png".encode(), "日本")])
def test_a_file_may_have_any_name(tmp_path, file, name):
    """Names go into records, which are UTF-8; the path leads to the file."""
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), file)))
    try:
        path.write_bytes(png())
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    image = of_file(path)
    assert image.name == name
    digest_of([image])
    write_index([image], tmp_path / "index.csv")
    assert read_index(tmp_path / "index.csv") == [image]
    assert image.read().shape == (8, 8, 3)
