from __future__ import annotations

import numpy as np
import pytest
from compressai.utils.bench.codecs import compute_metrics

from sgaplus.metrics import ms_ssim_of, mse_of, psnr_of


def test_quality_is_what_compressai_measures(photograph):
    original = photograph(170, 190).pixels
    noise = np.random.default_rng(0).integers(-9, 10, original.shape)
    decoded = np.clip(original.astype(int) + noise, 0, 255).astype(np.uint8)
    theirs = compute_metrics(original, decoded, ["psnr-rgb", "ms-ssim-rgb"])
    assert psnr_of(original, decoded) == pytest.approx(theirs["psnr-rgb"], abs=1e-5)
    assert ms_ssim_of(original, decoded) == pytest.approx(theirs["ms-ssim-rgb"], abs=1e-7)
    assert mse_of(original, decoded) == np.square(original.astype(float) - decoded).mean()


def test_equal_pictures_have_the_highest_quality(photograph):
    original = photograph(170, 190).pixels
    assert mse_of(original, original) == 0
    assert psnr_of(original, original) == pytest.approx(148.13, abs=0.01)
    assert ms_ssim_of(original, original) == pytest.approx(1)


def test_a_picture_of_few_pixels_has_no_ms_ssim(photograph):
    for size, known in (((161, 161), True), ((160, 500), False), ((500, 160), False)):
        pixels = photograph(*size).pixels
        assert (ms_ssim_of(pixels, pixels) is not None) == known
