from __future__ import annotations

from sgaplus.config import needed
from sgaplus.data import datasets, manifest


def test_what_is_used_is_used_with_its_parts(folder):
    config = {
        "datasets": {
            "photos": {"manifest": "photos"},
            "big": {"manifest": "big"},
            "train": {"parts": ["photos", "big"]},
            "test": {"path": "test"},
        },
        "training": {"evaluate_on": "test"},
        "models": {"low": {"dataset": "train"}},
        "experiments": {"figure": {"dataset": "photos"}, "other": {}},
    }
    sources = datasets.sources(config["datasets"], manifest.read())
    assert needed.used(config, sources) == {"photos", "big", "train", "test"}
    assert needed.optional(config, sources, folder) == set()
    config["models"]["low"]["path"] = "low.pth"
    assert needed.used(config, sources) == {"photos"}
    assert needed.optional(config, sources, folder) == {"big", "train"}
    (folder / "big").mkdir()
    (folder / "big" / "big.tar").write_bytes(b"tar")
    assert needed.optional(config, sources, folder) == set()
