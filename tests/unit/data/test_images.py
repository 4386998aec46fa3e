from __future__ import annotations

import re

import numpy as np
import pytest

from sgaplus.data import images, pictures

from .test_pictures import pixels, refusal, save


def names(source: dict) -> list[str]:
    return [path.name for path in images.find(source)]


def test_a_folder_gives_its_images_by_name(tmp_path):
    for name in ("b.png", "a.jpg", "C.PNG"):
        save(tmp_path / name)
    (tmp_path / "readme.txt").write_text("no image")
    assert names({"path": str(tmp_path)}) == ["C.PNG", "a.jpg", "b.png"]


def test_one_file_is_a_data_set(tmp_path):
    assert names({"path": str(save(tmp_path / "a.png"))}) == ["a.png"]


def test_a_glob_reaches_into_folders(tmp_path):
    for name in ("2023/b.png", "2024/deep/a.png", "2024/c.jpg"):
        save(tmp_path / name)
    assert names({"path": f"{tmp_path}/**/*.png"}) == ["a.png", "b.png"]


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "photos" / "a.png")
    assert names({"path": "~/photos"}) == ["a.png"]


def test_paths_are_absolute_so_that_an_index_holds_in_any_folder(tmp_path, monkeypatch):
    save(tmp_path / "photos" / "a.png")
    monkeypatch.chdir(tmp_path)
    (path,) = images.find({"path": "photos"})
    assert path.is_absolute()


@pytest.mark.parametrize("path", ["photos", "photos/*.png", "photos/a.png"])
def test_a_data_set_that_is_not_there_is_refused(tmp_path, path):
    path = str(tmp_path / path)
    message = refusal(images.find, {"path": path})
    assert message.startswith(f"{path}: no such folder, and no files match it. ")
    assert "Put images there" in message
    assert ".png" in message
    assert "set the data set's `path`" in message


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "readme.txt").write_text("no image")
    message = refusal(images.find, {"path": str(tmp_path)})
    assert message.startswith(f"{tmp_path}: holds no images")
    assert "Put images there" in message


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_images_than_stated_is_refused(tmp_path, count):
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    message = refusal(images.find, {"path": str(tmp_path), "count": count})
    assert message.startswith(f"{tmp_path}: 2 images")
    assert f"count: {count}" in message
    assert "Complete the folder or correct the count" in message


def test_the_stated_number_of_images_is_right(tmp_path):
    save(tmp_path / "a.png")
    assert names({"path": str(tmp_path), "count": 1}) == ["a.png"]


@pytest.mark.parametrize(("first", "second"), [("a.png", "a.jpg"), ("2023/a.png", "2024/a.png")])
def test_two_images_of_one_name_are_refused(tmp_path, first, second):
    save(tmp_path / first)
    save(tmp_path / second)
    message = refusal(images.find, {"path": f"{tmp_path}/**/*"})
    assert str(tmp_path) in message
    assert "'a'" in message
    assert "rename one" in message


def test_a_package_gives_the_files_that_it_ships():
    source = {"package": "skimage.data", "files": ["astronaut.png"], "crop": [256, 128], "count": 1}
    (image,) = images.index(source)
    assert image.name == "astronaut"
    assert image.read().shape == (128, 256, 3)


def test_a_package_that_is_not_installed_is_refused():
    message = refusal(images.find, {"package": "no_such_package.data", "files": ["a.png"]})
    assert "no_such_package.data" in message
    assert "make install" in message


def test_a_file_that_a_package_lacks_is_named():
    message = refusal(images.find, {"package": "skimage.data", "files": ["astronout.png"]})
    assert "skimage.data" in message
    assert "astronout.png" in message


@pytest.mark.parametrize(
    ("action", "argument"),
    [
        (pictures.read, "none.png"),
        (images.index, {"path": "small.png", "crop": [512, 512]}),
        (images.find, {"package": "skimage.data", "files": ["astronout.png"]}),
    ],
    ids=["missing file", "too small for the crop", "file that the package lacks"],
)
def test_a_refusal_ends_with_a_remedy(tmp_path, monkeypatch, action, argument):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "small.png")
    assert re.search(r"\. [A-Z][a-z]+ .*\.$", refusal(action, argument))  # a sentence after the one that names it


def test_a_crop_takes_the_centre(tmp_path):
    picture = pixels(10, 14)
    (image,) = images.index({"path": str(save(tmp_path / "a.png", picture)), "crop": [6, 4]})
    assert (image.left, image.top, image.width, image.height) == (4, 3, 6, 4)
    np.testing.assert_array_equal(image.read(), picture[3:7, 4:10])


def test_a_crop_may_be_the_whole_picture(tmp_path):
    picture = pixels(4, 6)
    (image,) = images.index({"path": str(save(tmp_path / "a.png", picture)), "crop": [6, 4]})
    np.testing.assert_array_equal(image.read(), picture)


@pytest.mark.parametrize("crop", [[7, 4], [6, 5]])
def test_a_picture_smaller_than_the_crop_is_refused(tmp_path, crop):
    path = save(tmp_path / "a.png", pixels(4, 6))
    message = refusal(images.index, {"path": str(path), "crop": crop})
    assert message.startswith(f"{path}: 6x4")
    assert f"{crop[0]}x{crop[1]}" in message


def test_an_index_reads_every_file_under_its_progress(tmp_path):
    seen = []
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    images.index({"path": str(tmp_path)}, lambda files: (seen.append(file.name) or file for file in files))
    assert seen == ["a.png", "b.png"]
