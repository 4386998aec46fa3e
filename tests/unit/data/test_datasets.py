from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sgaplus.data import datasets, manifest
from sgaplus.data.index import write_index
from sgaplus.errors import ImageError, MissingFileError, WrongFileError

from .test_manifest import row_of, write
from .test_shards import encoded

CONFIG = yaml.safe_load((manifest.MANIFEST.parent / "config.yaml").read_text())


def png(side: int = 8, seed: int = 0) -> bytes:
    return encoded("PNG", size=(side, side), seed=seed)


@pytest.fixture(name="folder")
def published(tmp_path, monkeypatch) -> Path:
    """A data folder, and a manifest of two photographs, an archive of two splits, and one to register for."""
    data = tmp_path / "data"
    singles = {f"{n}.png": png(seed=n) for n in range(2)}
    for split, sides in {"valid": (8, 20), "test": (8,)}.items():
        (data / "clips" / split).mkdir(parents=True)
        for number, side in enumerate(sides):
            (data / "clips" / split / f"{number}.png").write_bytes(png(side))
    (data / "photos").mkdir()
    rows = [
        replace(row_of(content, name), dataset="photos", url="https://a.org", images=1)
        for name, content in singles.items()
    ]
    for name, content in singles.items():
        (data / "photos" / name).write_bytes(content)
    rows += [
        replace(row_of(b"zip", f"{split}.zip"), dataset="clips", split=split, url="https://a.org", images=number)
        for split, number in {"valid": 2, "test": 1}.items()
    ]
    rows.append(replace(row_of(b"tar", "big.tar"), dataset="big", split="train"))
    path = write(tmp_path / "datasets.csv", *map(cells, rows))
    monkeypatch.setattr(manifest, "MANIFEST", path)
    return data


def cells(row: manifest.Row) -> dict[str, object]:
    size = f"{row.size[0]}x{row.size[1]}" if row.size else ""
    return {column: getattr(row, column) for column in manifest.COLUMNS} | {
        "mirrors": " ".join(row.mirrors),
        "size": size,
        **{column: getattr(row, column) or "" for column in ("bytes", "images")},
    }


def names(found) -> list[str]:
    return [image.name for image in found]


def index(source, folder, parts=None):
    return datasets.index(source, folder, parts or {})


def refusal(action, *arguments, error=ImageError) -> str:
    with pytest.raises(error) as caught:
        action(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_single_files_of_the_manifest_are_verified_and_indexed(folder):
    found = index({"manifest": "photos"}, folder)
    assert names(found) == ["0", "1"]
    assert all(Path(image.path).is_absolute() and image.read().shape == (8, 8, 3) for image in found)


def test_a_file_that_was_put_there_by_hand_and_is_wrong_is_refused(folder):
    (folder / "photos" / "1.png").write_bytes(png(seed=7))
    message = refusal(index, {"manifest": "photos"}, folder, error=WrongFileError)
    assert message.startswith(f"{folder / 'photos' / '1.png'}: expected sha256 ")
    assert "Delete the file to download it again" in message


def test_one_split_keeps_its_names_and_several_are_told_apart(folder):
    assert names(index({"manifest": "clips", "splits": ["valid"]}, folder)) == ["0", "1"]
    assert names(index({"manifest": "clips"}, folder)) == ["valid:0", "valid:1", "test:0"]


def test_a_folder_that_lost_an_image_is_refused(folder):
    (folder / "clips" / "valid" / "1.png").unlink()
    message = refusal(index, {"manifest": "clips"}, folder)
    assert message.startswith(f"{folder / 'clips' / 'valid'}: 1 images, but valid.zip holds 2.")
    assert "Delete the folder to unpack it again" in message


def test_an_image_of_another_size_than_the_manifests_is_refused(folder):
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


def test_a_path_is_taken_instead_of_the_manifests_files_after_a_check_of_them(folder, tmp_path):
    own = shutil.copytree(folder / "photos", tmp_path / "own")
    source = {"manifest": "photos", "path": str(own)}
    assert {Path(image.path).parent for image in index(source, folder)} == {own}
    (own / "0.png").write_bytes(png(seed=9))
    assert "expected sha256" in refusal(index, source, folder, error=WrongFileError)
    (own / "0.png").unlink()
    assert "no such file. Put 0.png there" in refusal(index, source, folder, error=MissingFileError)


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


def test_what_can_be_known_before_a_download_is(folder):
    entries = {
        "photos": {"manifest": "photos"},
        "valid": {"manifest": "clips", "splits": ["valid"]},
        "both": {"parts": ["photos", "valid", "own"]},
        "own": {"path": str(folder / "clips" / "test")},
        "said": {"manifest": "big", "count": 5},
        "large": {"manifest": "photos", "min_side": 9},
        "unknown": {"manifest": "big"},
    }
    assert [datasets.count(entries, name) for name in ("photos", "valid", "both", "said")] == [2, 2, 5, 5]
    for name in ("large", "unknown"):
        assert f"datasets.{name}: how many images" in refusal(datasets.count, entries, name)


def test_a_file_to_register_for_says_where_and_what_to_do_then(folder, tmp_path):
    row = manifest.named(manifest.read(), "folder", "big/train")
    message = refusal(datasets.archive_of, {"mine": {"manifest": "big"}}, row, folder / row.key)
    assert message.startswith(f"{folder / 'big' / 'big.tar'}: no such file. ")
    assert "register: do so at https://a.org" in message
    assert "set datasets.mine.archive to its path" in message
    archive = tmp_path / "big.tar"
    archive.write_bytes(b"tar")
    assert datasets.archive_of({"mine": {"manifest": "big", "archive": str(archive)}}, row, folder / row.key) == archive


def test_kodak_is_verified_by_its_hashes(kodak, tmp_path):
    """The project's own entry and manifest, with the real photographs."""
    found = datasets.index(CONFIG["datasets"]["kodak"] | {"path": str(kodak)}, tmp_path, {})
    assert names(found) == [f"kodim{number:02}" for number in range(1, 25)]
    assert {(image.width, image.height) for image in found} == {(768, 512), (512, 768)}


def test_the_papers_data_sets_have_the_papers_numbers():
    entries = CONFIG["datasets"]
    published = {
        **entries,
        "clic_train": {key: value for key, value in entries["clic_train"].items() if key != "min_side"},
    }
    assert datasets.count(published, "clic_train") == 1633
    for name in ("kodak", "tecnick", "clic"):  # what is said is what the manifest says
        assert datasets.count({name: {**entries[name]}}, name) == entries[name]["count"]
        silent = {key: value for key, value in entries[name].items() if key != "count"}
        assert datasets.count({name: silent}, name) == entries[name]["count"]
    assert entries["train"] == {"parts": ["clic_train", "imagenet"]}
    assert entries["imagenet"]["min_side"] == entries["clic_train"]["min_side"] == CONFIG["training"]["crop"]
