from __future__ import annotations

import csv

from sgaplus.data import datasets, inventory, manifest
from sgaplus.data.index import write_index
from tests.unit.making import index


def test_the_table_is_aligned_and_says_what_is_missing(folder, tmp_path):
    entries = {"photos": {"manifest": "photos"}, "big": {"manifest": "big"}, "train": {"parts": ["photos", "big"]}}
    write_index(index(entries["photos"], folder), tmp_path / "photos.csv")
    files = {"photos": tmp_path / "photos.csv", "train": tmp_path / "train.csv", "big": None}
    sources = datasets.sources(entries, manifest.read())
    states = [inventory.state(name, sources, files[name], folder) for name in entries]
    head, rule, *rows = inventory.table(states).splitlines()
    assert head.split() == ["data", "set", "images", "Mpx", "bytes", "state"]
    assert len(rule) == len(head.rstrip()) + 2  # the longest state
    size = sum((folder / "photos" / name).stat().st_size for name in ("0.png", "1.png"))
    assert rows[0].split() == ["photos", "2", "0.0", str(size), "bytes", "ready"]
    assert [row.split() for row in rows[1:3]] == [["big", "unused"], ["train", "missing"]]
    assert "big is unused: " in rows[4]
    assert "register" in rows[4]
    assert rows[5] == "train is missing: needs all of photos, big."
    inventory.write_states(states, tmp_path / "table.csv")
    with open(tmp_path / "table.csv") as file:
        first, *_ = csv.DictReader(file)
    assert first == {"name": "photos", "images": "2", "pixels": "128", "bytes": str(size), "state": "ready"}


def test_a_data_set_whose_images_went_is_missing(folder, tmp_path):
    write_index(index({"manifest": "photos"}, folder), tmp_path / "photos.csv")
    (folder / "photos" / "1.png").unlink()
    state = inventory.state(
        "photos", datasets.sources({"photos": {"manifest": "photos"}}, manifest.read()), tmp_path / "photos.csv", folder
    )
    assert state["state"].startswith(f"missing: {folder / 'photos' / '1.png'}: no such file")
