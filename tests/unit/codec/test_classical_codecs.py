from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sgaplus.codec.classical_codecs import CODECS, ClassicalCodec

FORMATS = {"jpeg": "JPEG", "jpeg2000": "JPEG2000", "webp": "WEBP", "avif": "AVIF"}


@pytest.fixture(scope="module", params=CODECS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def codec(name) -> ClassicalCodec:
    return CODECS[name]


def coarser(codec: ClassicalCodec) -> list:
    """The settings of each way of coding, from the lowest quality up."""
    ordered = sorted(codec.settings(), key=lambda setting: setting.value, reverse=codec.knob in ("ratio", "distance"))
    return [[one for one in ordered if one.variant == variant] for variant in codec.variants]


def test_a_sweep_goes_from_few_bits_to_many_and_quality_rises_with_them(codec, photograph):
    pixels = photograph(96, 128).pixels
    for settings in coarser(codec):
        chosen = [settings[0], settings[len(settings) // 2], settings[-1]]
        files = [codec.encode(pixels, **setting.options) for setting in chosen]
        errors = [np.square(codec.decode(file).astype(float) - pixels).mean() for file in files]
        assert len(files[0]) < len(files[1]) < len(files[2])
        assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("shape", [(1, 1, 3), (9, 200, 3), (70, 90, 3)])
def test_pictures_of_any_size_come_back_as_such(codec, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    decoded = codec.decode(codec.encode(pixels, **next(codec.settings()).options))
    assert decoded.shape == shape
    assert decoded.dtype == np.uint8


def test_the_files_are_those_that_others_read(name, codec, photograph):
    pixels = photograph(64, 96).pixels
    file = codec.encode(pixels, **next(codec.settings()).options)
    if name in FORMATS:
        with Image.open(io.BytesIO(file)) as image:
            assert image.format == FORMATS[name]
            assert image.size == (96, 64)
    else:
        assert file.startswith(b"\xff\x0a")  # a bare codestream of JPEG XL


def test_the_library_is_named_with_its_version(codec):
    name, version, *_ = codec.library().replace(",", "").split()
    assert name.startswith(("lib", "OpenJPEG"))
    assert version[0].isdigit()


def test_jpeg_is_swept_with_and_without_all_of_its_colours():
    assert {setting.options["subsampling"] for setting in CODECS["jpeg"].settings()} == {"4:2:0", "4:4:4"}


def test_jpeg_is_progressive_and_jpeg_2000_decorrelates_colours(photograph):
    pixels = photograph(64, 96).pixels
    (jpeg, *_), (jpeg2000, *_) = (list(CODECS[name].settings()) for name in ("jpeg", "jpeg2000"))
    with Image.open(io.BytesIO(CODECS["jpeg"].encode(pixels, **jpeg.options))) as image:
        assert image.info["progressive"]
    together = CODECS["jpeg2000"].encode(pixels, **jpeg2000.options)
    apart = CODECS["jpeg2000"].encode(pixels, **jpeg2000.options | {"mct": 0})
    assert together != apart


def test_decoding_avif_in_one_thread_leaves_pillow_as_it_was(photograph):
    from PIL import AvifImagePlugin

    before = AvifImagePlugin.DEFAULT_MAX_THREADS
    codec = CODECS["avif"]
    codec.decode(codec.encode(photograph(64, 96).pixels, **next(codec.settings()).options))
    assert before == AvifImagePlugin.DEFAULT_MAX_THREADS
