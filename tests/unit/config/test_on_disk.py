from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from sgaplus.config import on_disk
from sgaplus.config.references import validated
from sgaplus.data import manifest
from sgaplus.data.datasets import sources
from sgaplus.errors import ConfigError
from tests.unit.making import pixels, png, save

from .configurations import overlaid, small

QUALITATIVE = {
    **{"title": "Seen", "figure": "qualitative", "dataset": "photos", "image": "a", "models": ["low", "high"]},
    **{"methods": ["sga"], "steps": [10], "targets": [0.01]},
}


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch) -> Path:
    """Two photographs, a.png and b.png, of 90x60 pixels, in the folder that the small configuration names."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        save(tmp_path / "photos" / name, pixels(60, 90))
    return tmp_path / "photos"


def check(config: dict) -> None:
    config = validated(config)
    rows = manifest.read()
    on_disk.check(config, sources(config["datasets"], rows), Path(config["data_folder"]).expanduser())


def refusal(config: dict) -> str:
    with pytest.raises(ConfigError) as error:
        check(config)
    assert "\n" not in str(error.value)
    return str(error.value)


def shown(**changes) -> dict:
    return small(**{"experiments.seen": QUALITATIVE | changes})


@pytest.mark.parametrize("overlays", [["config.yaml"], ["config.yaml", "demo.yaml"]])
def test_the_shipped_configurations_pass_on_an_empty_disk(overlays):
    check(overlaid(*overlays))


def test_sizes_are_not_known_without_pillow(monkeypatch):
    crop = small(**{"datasets.photos.crop": [100, 50]})
    assert "crop" in refusal(crop)
    monkeypatch.setitem(sys.modules, "sgaplus.data.pictures", None)
    monkeypatch.delattr("sgaplus.data.pictures")
    check(crop)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_data_folder_that_is_a_file_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("")
    for folder in (place, f"{tmp_path}/{place}"):
        assert refusal(small(data_folder=folder)).startswith("data_folder: ")
    check(small(data_folder="new/folder"))
    assert "can't be a folder (File name too long)" in refusal(small(data_folder="x" * 300))


def test_a_wrong_count_is_refused(photos):
    message = "datasets.photos.count: photos: 2 images, but the configuration says count: 3."
    assert refusal(small(**{"datasets.photos.count": 3})).startswith(message)
    check(small(**{"datasets.photos": {"path": "elsewhere", "count": 3}}))
    check(small(**{"datasets.photos": {"path": "photos", "count": 3, "min_side": 1}}))
    kodak = {"datasets.photos": {"manifest": "kodak", "count": 23}}
    assert refusal(small(**kodak)).startswith("datasets.photos.count: kodak: 24 images")
    unknown = {"datasets.more": {"parts": ["photos"]}, "datasets.photos": {"path": "photos", "min_side": 9}}
    check(small(**unknown, **{"experiments.table.dataset": "more", "datasets.more.count": 7}))


@pytest.mark.parametrize("crop", [[91, 60], [90, 61]])
def test_a_crop_larger_than_an_image_is_refused(photos, crop):
    message = refusal(small(**{"datasets.photos.crop": crop}))
    assert message.startswith(
        f"datasets.photos.crop: {crop[0]}x{crop[1]} is larger than {photos / 'a.png'}, which has 90"
    )
    check(small(**{"datasets.photos.crop": [90, 60]}))
    check(small(**{"datasets.photos.crop": crop, "datasets.photos.min_side": 61}))


def test_a_crop_is_of_the_upright_image(photos):
    for name in ("a.png", "b.png"):
        (photos / name).unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    save(photos / "a.jpg", pixels(60, 90), exif=exif)
    check(small(**{"datasets.photos.crop": [60, 90]}))
    assert "which has 60x90 pixels" in refusal(small(**{"datasets.photos.crop": [90, 60]}))


def test_a_crop_larger_than_what_is_published_is_refused_before_it_is_there():
    config = small(**{"datasets.photos": {"manifest": "tecnick", "crop": [1300, 100]}})
    assert "1300x100 is larger than testimages.zip, which has 1200x1200 pixels" in refusal(config)


def test_an_unreadable_image_is_left_to_its_job(photos):
    (photos / "a.png").write_bytes(b"no picture")
    check(small(**{"datasets.photos.crop": [90, 60]}))


@pytest.mark.parametrize(
    ("dataset", "known"),
    [({"path": "photos"}, "a, b"), ({"parts": ["tiny"]}, "tiny:coffee"), ({"manifest": "kodak"}, "kodim01, kodim02")],
)
def test_a_data_set_that_names_an_image_which_is_not_there_is_refused(dataset, known):
    config = small(**{"datasets.photos": dataset | {"images": ["c"]}})
    assert f"datasets.photos.images: {next(iter(dataset.values()))}: no image 'c'." in refusal(config)
    assert f"Known: {known}" in refusal(config)


def test_records_that_are_not_there_are_refused(tmp_path):
    config = small(records="kept")
    said = "records: kept/records/curves.parquet is not there. Correct the folder, or leave out experiments.curves"
    assert refusal(config) == f"{said} by null."
    (tmp_path / "kept/records").mkdir(parents=True)
    for name in config["experiments"]:
        (tmp_path / f"kept/records/{name}.parquet").touch()
    check(config)


def test_a_picture_to_compare_that_is_not_there_is_refused():
    config = shown(image="a") | {"comparison": {"experiment": "seen", "method": "sga", "images": ["a", "c"]}}
    assert refusal(config) == "comparison.images: no 'c' in datasets.photos. Known: a, b."


def test_an_image_that_is_not_there_is_refused():
    message = "experiments.seen.image: no 'c' in datasets.photos. Known: a, b."
    assert refusal(shown(image="c")) == message
    check(shown())
    check(shown(dataset="tiny", image="coffee"))
    assert "no 'a' in datasets.photos. Known: b." in refusal(
        shown(image="a") | {"datasets": small()["datasets"] | {"photos": {"path": "photos", "images": ["b"]}}}
    )
    assert "no 'tea' in datasets.tiny" in refusal(shown(dataset="tiny", image="tea"))


@pytest.mark.parametrize(
    ("dataset", "image", "there"),
    [
        ({"manifest": "kodak"}, "kodim05", True),
        ({"manifest": "kodak"}, "kodim25", False),
        ({"manifest": "clic", "count": 2, "min_side": 1}, "whatever", True),  # nobody can tell yet
        ({"path": "elsewhere", "count": 2}, "whatever", True),
        ({"parts": ["kodak_", "mine"]}, "mine:a", True),
        ({"parts": ["kodak_", "mine"]}, "kodak_:kodim01", True),
        ({"parts": ["kodak_", "mine"]}, "a", False),
    ],
)
def test_names_are_known_from_the_manifest_or_the_disk(dataset, image, there):
    others = {"datasets.kodak_": {"manifest": "kodak"}, "datasets.mine": {"path": "photos"}}
    config = small(**others, **{"datasets.photos": dataset, "experiments.seen": QUALITATIVE | {"image": image}})
    check(config) if there else refusal(config)


def test_images_of_unpacked_archives_are_known(tmp_path):
    for split in ("mobile_valid", "mobile_test"):
        (tmp_path / "data" / "clic" / split).mkdir(parents=True)
        (tmp_path / "data" / "clic" / split / "x.png").write_bytes(png())
    dataset = {"manifest": "clic", "splits": ["mobile_valid", "mobile_test"]}
    experiment = QUALITATIVE | {"image": "mobile_valid:y"}
    config = small(**{"datasets.photos": dataset, "experiments.seen": experiment})
    assert "Known: mobile_test:x, mobile_valid:x." in refusal(config)


@pytest.mark.parametrize("part", [[0, 0, 91, 10], [80, 0, 11, 10], [0, 51, 10, 10]])
def test_a_part_that_is_not_in_the_image_is_refused(part):
    within = [80, 50, 10, 10]
    assert refusal(shown(enlarge=[within, part])).startswith(
        f"experiments.seen.enlarge: {part[2]}x{part[3]} pixels at {part[0]}, {part[1]}"
    )
    check(shown(enlarge=[within, [0, 0, 90, 60]]))


def test_the_path_of_an_archive_is_right_while_its_images_are_not_there(tmp_path):
    config = small(**{"datasets.photos": {"manifest": "imagenet", "archive": "none.tar", "count": 9, "min_side": 9}})
    message = "datasets.photos.archive: none.tar is no file. Correct the path, or take photos out of the `parts`"
    assert refusal(copy.deepcopy(config)).startswith(message)
    (tmp_path / "data" / "imagenet").mkdir(parents=True)
    (tmp_path / "data" / "imagenet" / "train.csv").write_text("")
    check(config)


def test_a_distance_needs_its_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    entry = small()["experiments"]["curves"] | {"figure": "rate_distortion", "steps": [40], "quality": "lpips"}
    config = small(**{"experiments.curves": entry})
    said = f"experiments.curves.quality: lpips needs weights that are not in {tmp_path}/hub/checkpoints"
    assert refusal(copy.deepcopy(config)).startswith(said)
    check(small(**{"experiments.curves": entry | {"quality": "haarpsi"}}))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("vgg16-397923af.pth", "lpips_weights.pt"):
        (folder / name).touch()
    check(config)


def test_records_of_another_run_have_their_distances(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    entry = small()["experiments"]["curves"] | {"figure": "rate_distortion", "steps": [40], "quality": "dists"}
    made = tmp_path / "made" / "records"
    made.mkdir(parents=True)
    for name in ("curves", "table"):
        (made / f"{name}.parquet").touch()
    check(small(**{"experiments.curves": entry}, records=str(made.parent)))


def test_what_no_experiment_needs_is_not_looked_at():
    check(small(**{"datasets.spare": yaml.safe_load("{path: photos, count: 9, crop: [999, 999]}")}))
