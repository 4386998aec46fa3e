from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgaplus.data import manifest, pictures
from sgaplus.data.index import write_index
from sgaplus.data.sources import make
from sgaplus.errors import MissingFileError, WrongFileError
from tests.unit.making import CONFIG, cells, index, pixels, png, refusal, save, write


def names(found) -> list[str]:
    return [image.name for image in found]


def find(entry) -> list[Path]:
    return make(entry).files()


def file_names(entry) -> list[str]:
    return [path.name for path in find(entry)]


def test_a_folder_gives_its_images_by_name(tmp_path):
    for name in ("b.png", "a.jpg", "C.PNG"):
        save(tmp_path / name)
    (tmp_path / "readme.txt").write_text("no image")
    assert file_names({"path": str(tmp_path)}) == ["C.PNG", "a.jpg", "b.png"]


def test_one_file_is_a_data_set(tmp_path):
    assert file_names({"path": str(save(tmp_path / "a.png"))}) == ["a.png"]


def test_a_glob_reaches_into_folders(tmp_path):
    for name in ("2023/b.png", "2024/deep/a.png", "2024/c.jpg"):
        save(tmp_path / name)
    assert file_names({"path": f"{tmp_path}/**/*.png"}) == ["a.png", "b.png"]


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "photos" / "a.png")
    assert file_names({"path": "~/photos"}) == ["a.png"]


def test_paths_are_absolute_so_that_an_index_holds_in_any_folder(tmp_path, monkeypatch):
    save(tmp_path / "photos" / "a.png")
    monkeypatch.chdir(tmp_path)
    (path,) = find({"path": "photos"})
    assert path.is_absolute()


@pytest.mark.parametrize("path", ["photos", "photos/*.png", "photos/a.png"])
def test_a_data_set_that_is_not_there_is_refused(tmp_path, path):
    path = str(tmp_path / path)
    message = refusal(find, {"path": path})
    assert message.startswith(f"{path}: no such folder, and no files match it. ")
    assert "Put images there" in message
    assert ".png" in message
    assert "set the data set's `path`" in message


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "readme.txt").write_text("no image")
    message = refusal(find, {"path": str(tmp_path)})
    assert message.startswith(f"{tmp_path}: holds no images")
    assert "Put images there" in message


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_images_than_stated_is_refused(tmp_path, count):
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    message = refusal(find, {"path": str(tmp_path), "count": count})
    assert message.startswith(f"{tmp_path}: 2 images")
    assert f"count: {count}" in message
    assert "Complete the folder or correct the count" in message


def test_the_stated_number_of_images_is_right(tmp_path):
    save(tmp_path / "a.png")
    assert file_names({"path": str(tmp_path), "count": 1}) == ["a.png"]


@pytest.mark.parametrize(("first", "second"), [("a.png", "a.jpg"), ("2023/a.png", "2024/a.png")])
def test_two_images_of_one_name_are_refused(tmp_path, first, second):
    save(tmp_path / first)
    save(tmp_path / second)
    message = refusal(find, {"path": f"{tmp_path}/**/*"})
    assert str(tmp_path) in message
    assert "'a'" in message
    assert "rename one" in message


def test_a_package_gives_the_files_that_it_ships():
    source = {"package": "skimage.data", "files": ["astronaut.png"], "crop": [256, 128], "count": 1}
    (image,) = index(source)
    assert image.name == "astronaut"
    assert image.read().shape == (128, 256, 3)


def test_a_package_that_is_not_installed_is_refused():
    message = refusal(find, {"package": "no_such_package.data", "files": ["a.png"]})
    assert "no_such_package.data" in message
    assert "make install" in message


def test_a_run_can_be_planned_where_the_package_is_missing_that_its_jobs_have():
    source = make({"package": "no_such_package.data", "files": ["a.png", "b.png"]})
    assert source.known_count(lambda name: 0) == 2
    assert source.known_names(Path(), lambda name: None) == {"a", "b"}


def test_a_file_that_a_package_lacks_is_named():
    message = refusal(find, {"package": "skimage.data", "files": ["astronout.png"]})
    assert "skimage.data" in message
    assert "astronout.png" in message


@pytest.mark.parametrize(
    ("action", "argument"),
    [
        (pictures.read, "none.png"),
        (index, {"path": "small.png", "crop": [512, 512]}),
        (find, {"package": "skimage.data", "files": ["astronout.png"]}),
    ],
    ids=["missing file", "too small for the crop", "file that the package lacks"],
)
def test_a_refusal_ends_with_a_remedy(tmp_path, monkeypatch, action, argument):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "small.png")
    assert re.search(r"\. [A-Z][a-z]+ .*\.$", refusal(action, argument))  # a sentence after the one that names it


def test_a_crop_takes_the_centre(tmp_path):
    picture = pixels(10, 14)
    (image,) = index({"path": str(save(tmp_path / "a.png", picture)), "crop": [6, 4]})
    assert (image.left, image.top, image.width, image.height) == (4, 3, 6, 4)
    np.testing.assert_array_equal(image.read(), picture[3:7, 4:10])


def test_a_crop_may_be_the_whole_picture(tmp_path):
    picture = pixels(4, 6)
    (image,) = index({"path": str(save(tmp_path / "a.png", picture)), "crop": [6, 4]})
    np.testing.assert_array_equal(image.read(), picture)


@pytest.mark.parametrize("crop", [[7, 4], [6, 5]])
def test_a_picture_smaller_than_the_crop_is_refused(tmp_path, crop):
    path = save(tmp_path / "a.png", pixels(4, 6))
    message = refusal(index, {"path": str(path), "crop": crop})
    assert message.startswith(f"{path}: 6x4")
    assert f"{crop[0]}x{crop[1]}" in message


def test_an_index_reads_every_file_under_its_progress(tmp_path):
    seen = []
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    index({"path": str(tmp_path)}, progress=lambda files: (seen.append(file.name) or file for file in files))
    assert seen == ["a.png", "b.png"]


def test_single_files_of_the_manifest_are_verified_and_indexed(folder):
    found = index({"manifest": "photos"}, folder)
    assert names(found) == ["0", "1"]
    assert all(Path(image.path).is_absolute() and image.read().shape == (8, 8, 3) for image in found)


def test_a_file_that_was_put_there_by_hand_and_is_wrong_is_refusal(folder):
    (folder / "photos" / "1.png").write_bytes(png(seed=7))
    message = refusal(index, {"manifest": "photos"}, folder, error=WrongFileError)
    assert message.startswith(f"{folder / 'photos' / '1.png'}: expected sha256 ")
    assert "Delete the file to download it again" in message


def test_one_split_keeps_its_names_and_several_are_told_apart(folder):
    assert names(index({"manifest": "clips", "splits": ["valid"]}, folder)) == ["0", "1"]
    assert names(index({"manifest": "clips"}, folder)) == ["valid:0", "valid:1", "test:0"]


def test_a_folder_that_lost_an_image_is_refusal(folder):
    (folder / "clips" / "valid" / "1.png").unlink()
    message = refusal(index, {"manifest": "clips"}, folder)
    assert message.startswith(f"{folder / 'clips' / 'valid'}: 1 images, but valid.zip holds 2.")
    assert "Delete the folder to unpack it again" in message


def test_an_image_of_another_size_than_the_manifests_is_refusal(folder):
    rows = [replace(row, size=(8, 8)) if row.split == "valid" else row for row in manifest.read()]
    write(manifest.MANIFEST, *map(cells, rows))
    assert "1.png: 20x20 pixels, but all images of clips have 8x8" in refusal(index, {"manifest": "clips"}, folder)


def test_small_images_are_left_out_and_the_others_counted(folder):
    assert names(index({"manifest": "clips", "min_side": 9}, folder)) == ["valid:1"]
    index({"manifest": "clips", "min_side": 9, "count": 1}, folder)
    message = refusal(index, {"manifest": "clips", "min_side": 9, "count": 3}, folder)
    assert message.startswith("clips: 1 images, but the configuration says count: 3")


def test_small_images_of_ones_own_are_left_out(folder):
    source = {"path": str(folder / "clips" / "valid"), "min_side": 9, "count": 1, "crop": [10, 10]}
    (image,) = index(source, folder)
    assert (image.name, image.left, image.width) == ("1", 5, 10)


def test_named_images_are_taken_and_only_their_files_are_needed(folder):
    source = {"manifest": "photos", "images": ["1"]}
    assert [path.name for path in make(source, manifest.read()).inputs(folder)] == ["1.png"]
    (folder / "photos" / "0.png").unlink()
    assert names(index(source, folder)) == ["1"]
    assert names(index({"manifest": "clips", "images": ["test:0", "valid:1"]}, folder)) == ["valid:1", "test:0"]
    own = {"path": str(folder / "clips" / "valid"), "images": ["1"]}
    assert names(index(own, folder)) == ["1"]
    assert names(index(own | {"manifest": "clips", "splits": ["valid"]}, folder)) == ["1"]


@pytest.mark.parametrize("source", [{"manifest": "photos"}, {"path": "photos"}])
def test_the_number_of_named_images_is_known_and_one_that_is_missing_named(folder, monkeypatch, source):
    monkeypatch.chdir(folder)
    assert make(source | {"images": ["1"]}, manifest.read()).known_count({}.get) == 1
    assert "1 images, but the configuration says count: 2" in refusal(
        index, source | {"images": ["1"], "count": 2}, folder
    )
    assert "photos: no image '2'. Known: " in refusal(index, source | {"images": ["1", "2"]}, folder)


def test_a_path_is_taken_instead_of_the_manifests_files_after_a_check_of_them(folder, tmp_path):
    own = shutil.copytree(folder / "photos", tmp_path / "own")
    source = {"manifest": "photos", "path": str(own)}
    assert {Path(image.path).parent for image in index(source, folder)} == {own}
    (own / "0.png").write_bytes(png(seed=9))
    assert "expected sha256" in refusal(index, source, folder, error=WrongFileError)
    (own / "0.png").unlink()
    assert "no such file. Put 0.png there" in refusal(index, source, folder, error=MissingFileError)


def test_ones_own_copy_has_the_published_size_before_it_is_cropped(folder):
    write(manifest.MANIFEST, *(cells(replace(row, size=(8, 8))) for row in manifest.read()))
    (image,) = index(
        {"manifest": "clips", "splits": ["test"], "path": str(folder / "clips/test"), "crop": [4, 2]}, folder
    )
    assert (image.width, image.height) == (4, 2)


def test_a_path_is_taken_instead_of_parts(folder):
    source = make({"parts": ["photos", "clips"], "path": str(folder / "photos")})
    assert not source.needs
    assert names(source.index(folder)) == ["0", "1"]


def test_a_path_of_unpacked_images_is_checked_by_their_number(folder):
    source = {"manifest": "clips", "splits": ["valid"], "path": str(folder / "clips" / "valid")}
    assert len(index(source, folder)) == 2
    message = refusal(index, source | {"path": str(folder / "clips" / "test")}, folder)
    assert "1 images, but clips has 2. Complete the folder" in message


def test_the_images_of_parts_are_all_of_theirs(folder, tmp_path):
    parts = {}
    for name, source in {"photos": {"manifest": "photos"}, "clips": {"manifest": "clips"}}.items():
        parts[name] = tmp_path / f"{name}.csv"
        write_index(index(source, folder), parts[name])
    found = index({"parts": ["photos", "clips"]}, folder, parts)
    assert names(found) == ["photos:0", "photos:1", "clips:valid:0", "clips:valid:1", "clips:test:0"]
    assert names(index({"parts": ["photos", "clips"], "min_side": 9}, folder, parts)) == ["clips:valid:1"]
    for image in found:
        image.read()


def test_kodak_is_verified_by_its_hashes(kodak, tmp_path):
    """The project's own entry and manifest, with the real photographs."""
    found = index(CONFIG["datasets"]["kodak"] | {"path": str(kodak)}, tmp_path)
    assert names(found) == [f"kodim{number:02}" for number in range(1, 25)]
    assert {(image.width, image.height) for image in found} == {(768, 512), (512, 768)}
