from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sgaplus.codec.classical_codecs import JPEG2000_OPTIONS, SETTINGS, Setting, code, curves, psnr_at
from sgaplus.data.pictures import read


def test_rate_counts_the_whole_file_and_quality_is_that_of_what_it_decodes_to(photograph):
    pixels = photograph(60, 80).pixels
    bpp, psnr = code(pixels, Setting("PNG", "PNG", ()))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    assert bpp == 8 * len(file.getvalue()) / (60 * 80)
    assert psnr > 100  # lossless
    rough, fine = (code(pixels, Setting("JPEG", "JPEG", (("quality", quality),))) for quality in (10, 90))
    assert rough[0] < fine[0]
    assert rough[1] < fine[1]


def test_a_curve_per_codec_by_rate_as_means_over_images(photograph):
    pictures = [photograph(60, 80, seed).pixels for seed in range(2)]
    chosen = [s for s in SETTINGS if s.options[0][1] in (20, 80, (12,), (45,))]
    found = curves(pictures, chosen)
    assert list(found) == ["JPEG 4:2:0", "JPEG 4:4:4", "JPEG 2000"]
    for curve in found.values():
        assert curve.shape == (2, 2)
        assert (np.diff(curve[:, 0]) > 0).all()
    first = [code(pixels, chosen[0]) for pixels in pictures]
    np.testing.assert_allclose(found["JPEG 4:2:0"][0], np.mean(first, axis=0))


def test_a_curve_is_read_in_between_and_not_beyond():
    curve = np.array([[0.1, 20.0], [0.3, 30.0]])
    assert psnr_at(curve, 0.2) == pytest.approx(25.0)
    assert np.isnan(psnr_at(curve, 0.05))
    assert np.isnan(psnr_at(curve, 0.31))


def test_the_classical_codecs_are_where_others_measured_them(kodak):
    """Against the Kodak results that CompressAI publishes for JPEG at quality 30 and for JPEG 2000 at 1:40."""
    pictures = [read(kodak / f"kodim{number:02d}.png") for number in range(1, 25)]
    chosen = [Setting("JPEG 2000", "JPEG2000", (("quality_layers", (40,)), *JPEG2000_OPTIONS))]
    chosen += [setting for setting in SETTINGS if setting.codec == "JPEG 4:2:0" and setting.options[0][1] == 30]
    found = curves(pictures, chosen)
    ((bpp, psnr),) = found["JPEG 2000"]
    assert bpp == pytest.approx(0.5988, rel=0.005)
    assert 32.09 < psnr < 33.5  # theirs seems to be the lossless wavelet, which loses 0.5 dB here
    ((bpp, psnr),) = found["JPEG 4:2:0"]
    assert psnr == pytest.approx(30.38, abs=0.15)
    assert 0.9 * 0.660 < bpp < 0.660  # our Huffman tables are optimised
