from __future__ import annotations

import os

import numpy as np
from PIL import Image

from sgaplus.data import pictures
from sgaplus.data.index import read_index, write_index
from sgaplus.data.sources import Folder
from tests.unit.making import pixels, refusal, save


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
