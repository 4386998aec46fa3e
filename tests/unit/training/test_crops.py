from __future__ import annotations

import numpy as np
import pytest
import torch

from sgaplus.errors import TrainingError
from sgaplus.training.crops import Crops


@pytest.fixture(scope="module")
def photographs(photograph):
    return [photograph(70 + 10 * seed, 100, seed) for seed in range(3)]


def windows(pixels: np.ndarray, side: int) -> set[bytes]:
    return {
        pixels[top : top + side, left : left + side].tobytes()
        for top in range(pixels.shape[0] - side + 1)
        for left in range(pixels.shape[1] - side + 1)
    }


def test_crops_are_parts_of_the_pictures_and_small_pictures_are_left_out(photograph):
    rng = np.random.default_rng(0)
    noise = type(photograph(1, 1))(rng.integers(0, 256, (70, 90, 3), dtype=np.uint8))
    batch = Crops([photograph(63, 200), noise], 64, batch_size=20, seed=1)[0]
    assert batch.shape == (20, 3, 64, 64)
    assert batch.dtype == torch.uint8
    parts, flipped = windows(noise.pixels, 64), 0
    for crop in batch.permute(0, 2, 3, 1).numpy():
        plain, mirrored = crop.tobytes() in parts, np.ascontiguousarray(crop[:, ::-1]).tobytes() in parts
        assert plain or mirrored
        flipped += mirrored
    assert 0 < flipped < 20


def test_a_step_has_its_crops_whoever_draws_them_and_when(photographs):
    alone = Crops(photographs, 64, batch_size=4, seed=7)
    later = list(Crops(photographs, 64, batch_size=4, seed=7, cache_bytes=10**9).batches(3, 6))
    worked = list(Crops(photographs, 64, batch_size=4, seed=7).batches(3, 6, workers=2))
    for step, (here, there) in enumerate(zip(later, worked, strict=True), start=3):
        assert torch.equal(alone[step], here)
        assert torch.equal(alone[step], there)
    assert not torch.equal(alone[0], alone[1])
    assert not torch.equal(alone[0], Crops(photographs, 64, batch_size=4, seed=8)[0])


def test_the_size_of_varied_crops_differs_from_step_to_step_and_not_within_one(photograph):
    crops = Crops([photograph(130, 200)], 128, batch_size=3, seed=0, vary=True)
    shapes = {tuple(crops[step].shape) for step in range(40)}
    assert shapes == {(3, 3, side, side) for side in (80, 96, 112, 128)}
    assert torch.equal(crops[5], Crops([photograph(130, 200)], 128, batch_size=3, seed=0, vary=True)[5])


def test_shares_of_a_step_make_up_the_step(photographs):
    whole = Crops(photographs, 64, batch_size=6, seed=0)[2]
    shares = [Crops(photographs, 64, batch_size=6, seed=0, share=(k, 3))[2] for k in range(3)]
    assert torch.equal(torch.stack(shares, dim=1).flatten(0, 1), whole)


def test_every_picture_is_as_likely_as_any_other(photographs):
    crops = Crops(photographs, 64, batch_size=3000, seed=0)
    counts = np.bincount([crop.picture for crop in crops.plan(0)])
    assert np.abs(counts / 1000 - 1).max() < 0.1


class Counted:
    """A picture that counts how often it is read."""

    width, height = 100, 70

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.count = pixels, 0

    def read(self) -> np.ndarray:
        self.count += 1
        return self.pixels


@pytest.mark.parametrize("share", [(0, 1), (1, 2)])
def test_several_crops_of_a_picture_decode_it_once_each(photographs, share):
    pictures = [Counted(photographs[0].pixels[:70]) for _ in range(50)]
    crops = Crops(pictures, 64, batch_size=8, seed=0, per_picture=4, share=share)
    crops[0]
    assert sorted(picture.count for picture in pictures)[-3:] == [0, 1, 1]
    plan = crops.plan(0)
    assert len({crop.picture for crop in plan[:4]}) == len({crop.picture for crop in plan[4:]}) == 1
    assert len({(crop.top, crop.left) for crop in plan[:4]}) > 1


def test_the_cache_keeps_what_fits_and_no_more(photographs):
    pictures = [Counted(photographs[0].pixels[:70]) for _ in range(3)]
    crops = Crops(pictures, 64, batch_size=64, seed=0, cache_bytes=70 * 100 * 3)
    crops[0], crops[1]
    kept, *others = sorted(picture.count for picture in pictures)
    assert kept == 1
    assert min(others) > 10


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"side": 128}, "no training image is 128 pixels high and wide"),
        ({"per_picture": 3}, "batch_size 4 is no multiple of crops_per_image 3"),
        ({"share": (0, 3)}, "batch_size 4 is no multiple of gpus 3"),
    ],
)
def test_what_cannot_be_cropped_is_refused(photographs, wrong, message):
    with pytest.raises(TrainingError, match=message):
        Crops(photographs, **({"side": 64, "batch_size": 4, "seed": 0} | wrong))
