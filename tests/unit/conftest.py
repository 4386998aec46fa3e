from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sgaplus.data import manifest
from tests import weights as made_up

from .making import cells, png, row_of, write


@pytest.fixture(scope="session")
def weights_of_distances(tmp_path_factory) -> Path:
    """A TORCH_HOME with made-up weights of LPIPS and DISTS."""
    home = tmp_path_factory.mktemp("torch")
    made_up.write(home / "hub" / "checkpoints")
    return home


@pytest.fixture
def weights(weights_of_distances, monkeypatch) -> Path:
    """The folder of made-up weights of LPIPS and DISTS, where they are looked for."""
    monkeypatch.setenv("TORCH_HOME", str(weights_of_distances))
    return weights_of_distances / "hub" / "checkpoints"


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
