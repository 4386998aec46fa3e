from __future__ import annotations

from sgaplus.data import datasets, manifest
from sgaplus.data.datasets import count
from tests.unit.making import CONFIG, refusal


def sources(entries):
    return datasets.sources(entries, manifest.read())


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
    assert [count(sources(entries), name) for name in ("photos", "valid", "both", "said")] == [2, 2, 5, 5]
    for name in ("large", "unknown"):
        assert f"datasets.{name}: how many images" in refusal(count, sources(entries), name)


def test_a_file_to_register_for_says_where_and_what_to_do_then(folder, tmp_path):
    row = manifest.filling(manifest.read(), "big/train")
    message = refusal(datasets.archive_of, sources({"mine": {"manifest": "big"}}), row, folder / row.key)
    assert message.startswith(f"{folder / 'big' / 'big.tar'}: no such file. ")
    assert "register: do so at https://a.org" in message
    assert "set datasets.mine.archive to its path" in message
    archive = tmp_path / "big.tar"
    archive.write_bytes(b"tar")
    assert (
        datasets.archive_of(sources({"mine": {"manifest": "big", "archive": str(archive)}}), row, folder / row.key)
        == archive
    )


def test_the_papers_data_sets_have_the_papers_numbers():
    entries = CONFIG["datasets"]
    unfiltered = {
        **entries,
        "clic_train": {key: value for key, value in entries["clic_train"].items() if key != "min_side"},
    }
    assert count(sources(unfiltered), "clic_train") == 1633
    for name in ("kodak", "tecnick", "clic"):  # what is said is what the manifest says
        assert count(sources({name: entries[name]}), name) == entries[name]["count"]
        silent = {key: value for key, value in entries[name].items() if key != "count"}
        assert count(sources({name: silent}), name) == entries[name]["count"]
    assert entries["train"] == {"parts": ["clic_train", "imagenet"]}
    assert entries["imagenet"]["min_side"] == entries["clic_train"]["min_side"] == CONFIG["training"]["crop"]
