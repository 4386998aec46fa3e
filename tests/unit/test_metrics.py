from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from compressai.utils.bench.codecs import compute_metrics
from PIL import Image
from scipy.signal import convolve2d
from scipy.special import expit, logit

from sgaplus.metrics import haarpsi_of, ms_ssim_of, mse_of, psnr_of


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
    assert haarpsi_of(original, original) == pytest.approx(1)


def test_a_picture_of_few_pixels_has_no_ms_ssim(photograph):
    for size, known in (((161, 161), True), ((160, 500), False), ((500, 160), False)):
        pixels = photograph(*size).pixels
        assert (ms_ssim_of(pixels, pixels) is not None) == known


def haarpsi_of_the_paper(original: np.ndarray, decoded: np.ndarray) -> float:
    """Reisenhofer et al. 2018, Equations 6 to 12, with their C = 30 and alpha = 4.2; even sides."""
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    halves = [picture.astype(float) @ to_yiq.T for picture in (original, decoded)]
    halves = [sum(picture[i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4 for picture in halves]

    def filtered(plane: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """As MATLAB's conv2(..., "same"), whose centre is that of the paper's code; SciPy's lies a pixel before."""
        half = len(kernel) // 2
        return convolve2d(plane, kernel)[half : half + len(plane), half : half + plane.shape[1]]

    def haar(luma: np.ndarray, scale: int) -> np.ndarray:
        size = 2**scale
        wavelet = np.full((size, size), 2.0**-scale)
        wavelet[: size // 2] *= -1
        return np.abs([filtered(luma, each) for each in (wavelet, wavelet.T)])

    def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (2 * a * b + 30) / (a**2 + b**2 + 30)

    first, second, third = (np.array([haar(picture[..., 0], scale) for picture in halves]) for scale in (1, 2, 3))
    maps = [(similarity(*first[:, way]) + similarity(*second[:, way])) / 2 for way in (0, 1)]
    weights = list(third.max(axis=0))
    box = np.full((2, 2), 0.25)
    chroma = [[np.abs(filtered(picture[..., k], box)) for picture in halves] for k in (1, 2)]
    maps.append(sum(similarity(*pair) for pair in chroma) / 2)
    weights.append((weights[0] + weights[1]) / 2)
    mean = (expit(4.2 * np.array(maps)) * weights).sum() / np.sum(weights)
    return float((logit(mean) / 4.2) ** 2)


@pytest.mark.parametrize("quality", [5, 30, 95])
def test_haarpsi_is_that_of_the_paper(photograph, quality):
    original = photograph(96, 144).pixels
    file = BytesIO()
    Image.fromarray(original).save(file, "JPEG", quality=quality)
    decoded = np.asarray(Image.open(file))
    assert haarpsi_of(original, decoded) == pytest.approx(haarpsi_of_the_paper(original, decoded), abs=2e-3)


def test_a_picture_of_few_pixels_has_no_haarpsi(photograph):
    for size, known in (((16, 17), True), ((15, 500), False), ((500, 15), False)):
        pixels = photograph(*size).pixels
        assert (haarpsi_of(pixels, pixels) is not None) == known
