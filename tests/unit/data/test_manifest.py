from __future__ import annotations

import csv

import pytest
from PIL import Image

from sgaplus.data import manifest
from sgaplus.data.remote import verify
from sgaplus.errors import ManifestError
from tests.unit.making import write

ROWS = manifest.read()
GOOD = next(csv.DictReader(manifest.MANIFEST.read_text().splitlines()))


def refusal(tmp_path, *rows, **options) -> str:
    with pytest.raises(ManifestError) as caught:
        manifest.read(write(tmp_path / "datasets.csv", *rows, **options))
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path / 'datasets.csv'}: ")


def test_the_manifest_has_the_papers_data_sets():
    splits = {(row.dataset, row.split) for row in ROWS}
    clic = {f"{kind}_{split}" for kind in ("mobile", "professional") for split in ("train", "valid", "test")}
    assert {dataset for dataset, _ in splits} == {"kodak", "tecnick", "clic", "imagenet"}
    assert {split for dataset, split in splits if dataset == "clic"} == clic
    assert [row.file for row in manifest.select(ROWS, "kodak")] == [f"kodim{n:02}.png" for n in range(1, 25)]


def test_the_manifest_has_as_many_images_as_the_paper():
    images = {row.folder: row.images for row in ROWS}
    assert images["clic/mobile_train"] + images["clic/professional_train"] == 1633
    assert images["tecnick/RGB_OR_1200x1200"] == 100


def test_what_can_be_downloaded_has_a_hash_but_for_tecnick():
    assert {row.dataset for row in ROWS if not row.hash} == {"tecnick"}
    assert {row.dataset for row in ROWS if not row.urls} == {"imagenet"}


def test_the_hashes_of_kodak_are_those_of_the_real_files(kodak):
    for row in manifest.select(ROWS, "kodak"):
        verify(row.remote, kodak / row.file)
        with Image.open(kodak / row.file) as picture:
            assert sorted(picture.size) == [512, 768]
    assert not list(kodak.glob("*.sha256"))


def test_a_selection_of_splits_keeps_the_order_of_the_manifest():
    splits = ["professional_valid", "mobile_valid"]
    assert [row.split for row in manifest.select(ROWS, "clic", splits)] == splits[::-1]


def test_urls_are_tried_before_mirrors(tmp_path):
    good = GOOD | {"mirrors": "https://b.org/1 https://c.org/1"}
    (row,) = manifest.read(write(tmp_path / "datasets.csv", good))
    assert row.urls == (GOOD["url"], "https://b.org/1", "https://c.org/1")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("dataset", "../up", "a name of letters"),
        ("dataset", "", "a name of letters"),
        ("split", "a/b", "a name of letters"),
        ("file", "/etc/passwd.png", "a name of letters"),
        ("file", "a.rar", "a .png, .zip or .tar file"),
        ("url", "http://r0k.us/a.png", "is not an https address. Use https"),
        ("url", "ftp://r0k.us/a.png", "is not an https address"),
        ("url", "file:///etc/passwd", "is not an https address"),
        ("url", "http://127.0.0.1.evil.org/a.png", "is not an https address"),
        ("mirrors", "https://a.org/1 http://b.org/1", "'http://b.org/1' is not an https address"),
        ("page", "", "must be said"),
        ("licence", " ", "must be said"),
        ("bytes", "12 MB", "a whole number above 0"),
        ("bytes", "0", "a whole number above 0"),
        ("images", "-1", "a whole number above 0"),
        ("size", "1200", "WIDTHxHEIGHT"),
        ("hash_kind", "sha265", "no hash is called 'sha265'. Did you mean 'sha256'?"),
        ("hash_kind", "", "no hash is called ''"),
        ("hash", "", "64 lower-case hex digits"),
        ("hash", GOOD["hash"].upper(), "64 lower-case hex digits"),
        ("hash", GOOD["hash"][:-1], "64 lower-case hex digits"),
    ],
)
def test_a_wrong_cell_is_named_by_its_row_and_column(tmp_path, column, value, said):
    other = GOOD | {"file": "other.png"}
    message = refusal(tmp_path, other, GOOD | {column: value})
    assert message.startswith(f"row 3: {column}: ")
    assert said in message


def test_mirrors_without_an_address_are_refused(tmp_path):
    assert refusal(tmp_path, GOOD | {"url": "", "mirrors": "https://a.org"}).startswith("row 2: url: ")


def test_a_file_that_two_rows_make_is_refused(tmp_path):
    assert refusal(tmp_path, GOOD, GOOD).startswith("row 3: file: kodak/kodim01.png is also what row 2 makes")


def test_a_folder_that_two_archives_make_is_refused(tmp_path):
    zips = [GOOD | {"file": name} for name in ("a.zip", "b.zip")]
    assert refusal(tmp_path, *zips).startswith("row 3: split: kodak/all is also what row 2 makes")


def test_other_columns_are_refused(tmp_path):
    assert refusal(tmp_path, GOOD, columns=manifest.COLUMNS[1:]).startswith("row 1: the columns must be dataset,split,")


def test_a_short_row_is_refused(tmp_path):
    path = write(tmp_path / "datasets.csv", GOOD)
    path.write_text(path.read_text() + "kodak,all\n")
    with pytest.raises(ManifestError, match="row 3: has another number of columns"):
        manifest.read(path)
