from __future__ import annotations

import shutil

import numpy as np
import piq
import pytest
import torch
from torchvision.models import VGG16_Weights

from sgaplus import distances
from sgaplus.errors import WeightsError
from sgaplus.metrics import distances_of
from sgaplus.qualities import DISTANCES

THEIRS = {"lpips": piq.LPIPS, "dists": piq.DISTS}


@pytest.fixture
def pictures(photograph):
    """A photograph that DISTS makes smaller, and the same with noise."""
    original = photograph(260, 300).pixels
    noise = np.random.default_rng(0).integers(-9, 10, original.shape)
    return original, np.clip(original.astype(int) + noise, 0, 255).astype(np.uint8)


def test_every_distance_has_weights_and_they_are_those_that_piq_takes():
    assert set(distances.OWN) == set(DISTANCES) == set(THEIRS)
    assert {name: theirs._weights_url for name, theirs in THEIRS.items()} == distances.OWN
    assert VGG16_Weights.IMAGENET1K_V1.url == distances.VGG


@pytest.mark.parametrize(
    "places",
    [{}, {"TORCH_HOME": "~/own"}, {"XDG_CACHE_HOME": "cache"}, {"TORCH_HOME": "own", "XDG_CACHE_HOME": "cache"}],
)
def test_weights_are_where_torch_has_them(places, monkeypatch):
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    assert str(distances.folder()) == f"{torch.hub.get_dir()}/checkpoints"


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")  # of the way in which piq asks for weights
@pytest.mark.parametrize("name", DISTANCES)
def test_a_distance_is_what_piq_measures(name, weights, pictures):
    """piq's own constructor reads the same files."""
    tensors = [torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 for picture in pictures]
    assert distances_of([name], *pictures) == {name: pytest.approx(THEIRS[name]()(*tensors).item(), rel=1e-5)}


def test_equal_pictures_are_at_no_distance_and_worse_ones_further_away(weights, pictures):
    original, noisy = pictures
    assert distances_of(DISTANCES, original, original) == pytest.approx({"lpips": 0, "dists": 0}, abs=1e-6)
    near, far = distances_of(DISTANCES, original, noisy), distances_of(DISTANCES, original, 255 - original)
    for name in DISTANCES:
        assert 1e-5 < near[name] < far[name]


@pytest.mark.parametrize(("size", "known"), [((32, 33), True), ((31, 50), False), ((50, 31), False)])
def test_a_picture_of_few_pixels_has_none(size, known, weights, photograph):
    pixels = photograph(*size).pixels
    found = distances_of(DISTANCES, pixels, pixels)
    assert [value is not None for value in found.values()] == [known] * 2


def test_what_is_not_asked_for_needs_no_weights(monkeypatch, tmp_path, pictures):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert distances_of([], *pictures) == {}
    distances.check([])


def test_weights_that_are_missing_are_named_with_their_address(weights, tmp_path, monkeypatch, pictures):
    folder = tmp_path / "hub" / "checkpoints"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as none:
        distances.check(["lpips"])
    said = str(none.value)
    assert said.startswith(f"lpips needs weights that are not in {folder}: vgg16-397923af.pth (published at https://")
    assert distances.VGG in said
    assert distances.OWN["lpips"] in said
    folder.mkdir(parents=True)
    shutil.copy(weights / "vgg16-397923af.pth", folder)
    with pytest.raises(WeightsError, match=r"dists needs weights .*checkpoints: dists_weights.pt \(published at"):
        distances_of(["dists"], *pictures)


class Harmful:
    """Stands for a file that runs code as it is loaded."""

    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file was run')",)


@pytest.mark.parametrize("wrong", [b"no weights", Harmful(), [torch.ones(3)] * 5, {"alpha": torch.ones(9)}])
@pytest.mark.parametrize("name", DISTANCES)
def test_files_that_are_not_the_weights_are_refused_and_run_no_code(
    name, wrong, weights, tmp_path, monkeypatch, pictures
):
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    shutil.copy(weights / "vgg16-397923af.pth", folder)
    file = folder / distances.file_of(distances.OWN[name])
    if isinstance(wrong, bytes):
        file.write_bytes(wrong)
    else:
        torch.save(wrong, file)
    with pytest.raises(WeightsError, match=f"{file.name}: not the weights that are published at"):
        distances_of([name], *pictures)
