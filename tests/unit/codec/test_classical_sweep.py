from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from compressai.utils.bench.codecs import JPEG, WebP
from PIL import Image

from sgaplus import metrics, records
from sgaplus.codec.classical_codecs import CODECS, Setting
from sgaplus.codec.classical_sweep import measure, sweep
from sgaplus.data.pictures import read


def test_a_row_is_of_the_whole_file_and_of_what_it_decodes_to(photograph):
    pixels = photograph(60, 80).pixels
    setting = next(CODECS["jpeg"].settings())
    row = measure(pixels, "jpeg", setting)
    file = CODECS["jpeg"].encode(pixels, **setting.options)
    assert row["bytes"] == len(file)
    assert row["bpp"] == 8 * len(file) / (60 * 80)
    error = np.square(CODECS["jpeg"].decode(file).astype(float) - pixels).mean()
    assert row["mse"] == pytest.approx(error)
    assert row["psnr"] == pytest.approx(10 * np.log10(255**2 / error))
    assert row["ms_ssim"] is None  # the picture is too small for it
    assert row["haarpsi"] == metrics.haarpsi_of(pixels, CODECS["jpeg"].decode(file))
    assert row["encode_seconds"] > 0
    assert row["decode_seconds"] > 0


def test_a_sweep_has_a_row_per_setting_with_fields_of_the_records(photograph, tmp_path):
    rows = list(sweep(photograph(60, 80).pixels, "jpeg"))
    assert [(row["variant"], row["setting"]) for row in rows] == [
        (setting.variant, setting.value) for setting in CODECS["jpeg"].settings()
    ]
    assert json.loads(rows[0]["options"])["progressive"] is True
    records.write(rows, tmp_path / "coded.parquet", records.CODED_SCHEMA)
    table = records.read([tmp_path / "coded.parquet"], records.CODED_SCHEMA)
    assert table["psnr"].tolist() == [row["psnr"] for row in rows]


def test_distances_are_measured_where_they_are_asked_for(photograph, weights):
    pixels, setting = photograph(60, 80).pixels, next(CODECS["jpeg"].settings())
    decoded = CODECS["jpeg"].decode(CODECS["jpeg"].encode(pixels, **setting.options))
    row = measure(pixels, "jpeg", setting, ["lpips"])
    assert {"lpips": row["lpips"]} == metrics.distances_of(["lpips"], pixels, decoded)
    assert "dists" not in row
    assert "lpips" not in measure(pixels, "jpeg", setting)


@pytest.mark.parametrize(("name", "theirs"), [("jpeg", JPEG), ("webp", WebP)])
def test_rate_and_quality_are_those_that_compressai_measures(name, theirs, photograph, tmp_path):
    """CompressAI codes with its own settings, at the one quality; these are given to ours."""
    pixels = photograph(170, 200).pixels
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = theirs(None).run(str(tmp_path / "a.png"), 40, ["psnr-rgb", "ms-ssim-rgb"])
    row = measure(pixels, name, Setting("", 40, {"quality": 40}))
    assert row["bpp"] == found["bpp"]
    assert row["psnr"] == pytest.approx(found["psnr-rgb"], abs=1e-5)
    assert row["ms_ssim"] == pytest.approx(found["ms-ssim-rgb"], abs=1e-7)


def test_classical_codecs_are_where_others_measured_them(kodak):
    """Against the Kodak results that CompressAI publishes for JPEG at quality 30 and for JPEG 2000 at 1:40."""
    torch.set_num_threads(1)
    pictures = [read(kodak / f"kodim{number:02d}.png") for number in range(1, 25)]

    def means(codec: str, variant: str, value: float) -> tuple[float, float]:
        (setting,) = (s for s in CODECS[codec].settings() if (s.variant, s.value) == (variant, value))
        rows = [measure(pixels, codec, setting) for pixels in pictures]
        return tuple(np.mean([[row["bpp"], row["psnr"]] for row in rows], axis=0))

    bpp, psnr = means("jpeg2000", "", 36)
    assert bpp == pytest.approx(24 / 36, rel=0.005)
    assert 32.5 < psnr < 34
    bpp, psnr = means("jpeg", "4:2:0", 30)
    assert psnr == pytest.approx(30.38, abs=0.15)
    assert 0.85 * 0.660 < bpp < 0.660  # ours is progressive, and its Huffman tables are optimised
