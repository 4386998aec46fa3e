from __future__ import annotations

import numpy as np
import pytest
from compressai.utils.eval_model.__main__ import compute_metrics, inference
from PIL import Image
from torchvision.transforms.functional import to_tensor

from sgaplus import metrics, records
from sgaplus.codec import bitstream_archive
from sgaplus.codec.bitstream import Coder, unrefined
from sgaplus.codec.frozen import as_tensor
from sgaplus.data.sources import Folder
from sgaplus.refinement.decoded import measure
from sgaplus.refinement.task import Refinement

TASK = Refinement("photos", "m", 0.02, "ssl", "ssl_a1", 3, {}, steps=7)


@pytest.fixture
def images(photograph, tmp_path):
    for name, size in {"a": (170, 180), "b": (64, 80)}.items():
        Image.fromarray(photograph(*size).pixels).save(tmp_path / f"{name}.png")
    return Folder(str(tmp_path)).index()


def archive(codec, images, folder):
    """An archive of one refinement: here, of coarser latents of the same pictures."""
    coder, streams = Coder(codec), {}
    for image in images:
        latents = codec.latents_of(as_tensor(image.read() // 2))
        name = bitstream_archive.name_of(TASK.target, TASK.variant, TASK.seed, image.name)
        streams[name] = coder.encode(latents, image.width, image.height)
    bitstream_archive.write(streams, folder / "streams.zip")
    return folder / "streams.zip", streams


def test_bitstreams_are_measured_by_what_they_decode_to(codec, images, tmp_path):
    path, streams = archive(codec, images, tmp_path)
    rows = measure(codec, images, [TASK], [path])
    assert [(row["image"], row["step"]) for row in rows] == [("a", 0), ("a", 7), ("b", 0), ("b", 7)]
    base, refined, *_ = rows
    original = images[0].read()
    assert base["psnr"] == metrics.psnr_of(original, unrefined(codec, original))
    (stream, _) = streams.values()
    picture, _ = Coder(codec).decode(stream)
    assert refined["bytes"] == len(stream)
    assert refined["bpp"] == 8 * len(stream) / (170 * 180)
    assert refined["ms_ssim"] == metrics.ms_ssim_of(original, picture)
    assert refined["haarpsi"] == metrics.haarpsi_of(original, picture)
    assert base["encode_seconds"] > 0
    assert "encode_seconds" not in refined  # it was refinement
    assert (refined["target_lmbda"], refined["variant"], refined["seed"]) == (0.02, "ssl_a1", 3)
    assert [row["ms_ssim"] is None for row in rows] == [False, False, True, True]  # b is too small
    records.write(rows, tmp_path / "rows.parquet", records.DECODED_SCHEMA)


def test_distances_are_measured_where_they_are_asked_for(codec, images, tmp_path, weights):
    path, streams = archive(codec, images, tmp_path)
    rows = measure(codec, images[:1], [TASK], [path], ["dists", "lpips"])
    original = images[0].read()
    picture, _ = Coder(codec).decode(next(iter(streams.values())))
    expected = metrics.distances_of(["lpips", "dists"], original, picture)
    assert {name: rows[1][name] for name in expected} == expected
    assert 0 < rows[0]["lpips"] != rows[1]["lpips"]
    records.write(rows, tmp_path / "rows.parquet", records.DECODED_SCHEMA)
    table = records.read([tmp_path / "rows.parquet"], records.DECODED_SCHEMA)
    assert table["lpips"].tolist() == [row["lpips"] for row in rows]
    assert measure(codec, images[:1], [], [])[0].keys().isdisjoint(expected)


def test_quality_is_that_of_compressais_evaluation_of_the_same_pictures(codec, images, tmp_path):
    base, *_ = measure(codec, images[:1], [], [])
    original = images[0].read()
    theirs = compute_metrics(*(to_tensor(picture.copy())[None] for picture in (original, unrefined(codec, original))))
    assert base["psnr"] == pytest.approx(theirs["psnr-rgb"], abs=1e-5)
    assert base["ms_ssim"] == pytest.approx(theirs["ms-ssim-rgb"], abs=1e-7)


def test_a_model_is_as_good_as_in_compressais_evaluation(trained, codec, photograph, tmp_path):
    """To the digits that are printed; our file has a header, and coding of our own, where CompressAI counts strings."""
    Image.fromarray(photograph(192, 256).pixels).save(tmp_path / "a.png")
    (image,) = Folder(str(tmp_path)).index()
    (base,) = measure(codec, [image], [], [])
    theirs = inference(trained, to_tensor(image.read().copy()))
    assert base["psnr"] == pytest.approx(theirs["psnr-rgb"], abs=0.005)
    assert base["ms_ssim"] == pytest.approx(theirs["ms-ssim-rgb"], abs=5e-5)
    assert 8 * 60 / (192 * 256) > base["bpp"] - theirs["bpp"] > -0.02 * theirs["bpp"]


def test_a_refinement_without_a_bitstream_has_no_row(codec, images, tmp_path):
    bitstream_archive.write({}, tmp_path / "none.zip")
    rows = measure(codec, images, [TASK], [tmp_path / "none.zip"])
    assert [row["step"] for row in rows] == [0, 0]
    assert np.isfinite([row["psnr"] for row in rows]).all()
