from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from sgaplus.analysis.equal_rate import OURS, compare, per_megapixel, points

RATES = np.array([0.1, 0.2, 0.4, 0.8])
SIZE = {"width": 1000, "height": 500}


def quality(bpp: float, image: int) -> dict:
    """Qualities of some codec: straight lines over log rate."""
    decibels = 10 + 5 * math.log10(bpp)
    return {
        "psnr": 30 + image + 10 * math.log10(bpp),
        "ms_ssim": 1 - 10 ** (-decibels / 10),
        "haarpsi": 1 - 10 ** (-decibels / 20),
        "lpips": 10 ** (-decibels / 10),
    }


def coded(factor: float = 1.0, images: int = 2, codec: str = "webp") -> pd.DataFrame:
    """Records of a codec that needs ``factor`` times the bits."""
    seconds = {"encode_seconds": 0.5, "decode_seconds": 0.05}
    return pd.DataFrame(
        {"image": str(image), "codec": codec, "variant": "", "setting": bpp, "bpp": factor * bpp, **SIZE}
        | quality(bpp, image)
        | seconds
        for image in range(images)
        for bpp in RATES
    )


def ours(*rates: float, images: int = 2) -> pd.DataFrame:
    return pd.DataFrame(
        {"image": str(image), "rate": f"at {bpp}", "bpp": bpp, "decode_seconds": 1.0, **SIZE} | quality(bpp, image)
        for image in range(images)
        for bpp in rates
    )


def test_at_our_rate_stands_the_quality_of_each_codec():
    (beside,) = compare(ours(0.3), pd.concat([coded(1.0), coded(2.0, codec="jpeg")]))
    assert [one.name for one in beside] == [OURS, "WebP", "JPEG"]
    own, webp, jpeg = beside
    assert own.bpp == webp.bpp == jpeg.bpp == pytest.approx(0.3)
    assert webp.psnr == pytest.approx(own.psnr, abs=1e-6)
    assert list(own.measures) == ["ms_ssim", "haarpsi", "lpips"]
    assert webp.measures == pytest.approx(own.measures, abs=1e-6)
    assert jpeg.measures["lpips"] > own.measures["lpips"]
    assert jpeg.psnr == pytest.approx(own.psnr - 10 * math.log10(2), abs=1e-6)
    assert math.isnan(own.encode)
    assert own.decode == pytest.approx(2)
    assert (webp.encode, webp.decode) == pytest.approx((1, 0.1))


@pytest.mark.parametrize("rates", [(0.3,), (0.15, 0.3)])
def test_our_bits_are_compared_at_equal_quality(rates):
    for beside in compare(ours(*rates), coded(2.0)):
        assert beside[1].bits == pytest.approx((-50, -50, -50), abs=1e-6)
    for beside in compare(ours(*rates, images=9), coded(0.5, images=9)):
        assert beside[1].bits.value == pytest.approx(100, abs=1e-6)


def test_rates_come_from_the_lowest_up():
    assert [beside[0].bpp for beside in compare(ours(0.4, 0.15), coded())] == [0.15, 0.4]


def test_beyond_a_codecs_rates_nothing_is_known():
    (beside,) = compare(ours(0.9), coded())
    assert math.isnan(beside[1].psnr)
    assert all(math.isnan(value) for value in beside[1].measures.values())
    assert math.isnan(beside[1].bits.value)


def test_photographs_that_are_too_small_have_no_ms_ssim():
    own, records = (rows.assign(ms_ssim=None) for rows in (ours(0.3), coded()))
    (beside,) = compare(own, records)
    assert all(math.isnan(one.measures["ms_ssim"]) for one in beside)
    assert beside[1].psnr == pytest.approx(beside[0].psnr, abs=1e-6)


def test_points_are_means_over_photographs():
    table = points(coded(), ["codec", "setting"])
    assert table["setting"].tolist() == list(RATES)
    assert table["psnr"].tolist() == pytest.approx([30.5 + 10 * math.log10(bpp) for bpp in RATES])
    assert table["encode_seconds_per_megapixel"].tolist() == pytest.approx([1.0] * 4)
    assert "encode_seconds_per_megapixel" not in points(ours(0.3), ["rate"])


def test_seconds_count_pixels():
    rows = pd.DataFrame({"width": [1000, 2000], "height": [1000, 1000], "encode_seconds": [1.0, 5.0]})
    assert per_megapixel(rows, "encode_seconds") == 2
