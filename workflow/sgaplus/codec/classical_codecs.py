"""Classical image codecs, each with the sweep that its rate-distortion curve is measured at. Learned ones stand beside.

:data:`CODECS` is the only place that says how a classical codec codes. All use one thread, so that their
seconds compare. The libraries are imported where they code: plain Snakemake, which has none of them, checks a
configuration by the names here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Setting:
    """A codec at one quality.

    Attributes:
        variant: The name of the way of coding, such as ``4:2:0``; empty where the codec has but one.
        value: The value of the option that trades rate for quality.
        options: All options of the encoder.
    """

    variant: str
    value: float
    options: Mapping[str, Any]


@dataclass(frozen=True)
class ClassicalCodec:
    """A codec and its sweep.

    Attributes:
        label: Its name in print.
        encode: Codes a picture, uint8 (height, width, 3), with options by their names, to the bytes of a file.
        decode: Decodes a file to such a picture.
        library: The name and version of the library that codes.
        knob: The option that trades rate for quality.
        sweep: Its values, from less than the lowest rate of the paper's models to beyond the highest.
        options: Other options.
        variants: Ways of coding that are swept each, by name, with their options: the better one counts.
    """

    label: str
    encode: Callable[..., bytes]
    decode: Callable[[bytes], np.ndarray]
    library: Callable[[], str]
    knob: str
    sweep: tuple[float, ...]
    options: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})

    def settings(self) -> Iterator[Setting]:
        """The settings of the sweep."""
        for variant, options in self.variants.items():
            for value in self.sweep:
                yield Setting(variant, value, {self.knob: value, **self.options, **options})


def _by_pillow(format: str, pixels: np.ndarray, **options: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def _of_pillow(file: bytes) -> np.ndarray:
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def _jpeg2000(pixels: np.ndarray, ratio: float, **options: Any) -> bytes:
    return _by_pillow("JPEG2000", pixels, quality_layers=(ratio,), **options)


def _avif_decoded(file: bytes) -> np.ndarray:
    from PIL import AvifImagePlugin

    # the plugin takes its number of threads from its module alone
    threads, AvifImagePlugin.DEFAULT_MAX_THREADS = AvifImagePlugin.DEFAULT_MAX_THREADS, 1
    try:
        return _of_pillow(file)
    finally:
        AvifImagePlugin.DEFAULT_MAX_THREADS = threads


def _jpeg_xl(pixels: np.ndarray, **options: Any) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(pixels, numthreads=1, **options))


def _jpeg_xl_decoded(file: bytes) -> np.ndarray:
    import imagecodecs
    import numpy as np

    return np.asarray(imagecodecs.jpegxl_decode(file, numthreads=1))


def _version_in_pillow(name: str, feature: str) -> str:
    from PIL import features

    return f"{name} {features.version(feature)}"


def _version_of_avif() -> str:
    from PIL import AvifImagePlugin

    return f"{_version_in_pillow('libavif', 'avif')}, aom {AvifImagePlugin.get_codec_version('aom')}"


def _version_of_jpeg_xl() -> str:
    import imagecodecs

    return str(imagecodecs.jpegxl_version())


CODECS: dict[str, ClassicalCodec] = {
    "jpeg": ClassicalCodec(
        "JPEG",
        partial(_by_pillow, "JPEG"),
        _of_pillow,
        partial(_version_in_pillow, "libjpeg-turbo", "libjpeg_turbo"),
        "quality",
        (2, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95),
        {"optimize": True, "progressive": True},
        {chroma: {"subsampling": chroma} for chroma in ("4:2:0", "4:4:4")},
    ),
    # The lossy wavelet, on decorrelated colours. By default Pillow does not decorrelate them, at a cost of 4 dB. The
    # ratios are those to 24 bits per pixel.
    "jpeg2000": ClassicalCodec(
        "JPEG 2000",
        _jpeg2000,
        _of_pillow,
        partial(_version_in_pillow, "OpenJPEG", "jpg_2000"),
        "ratio",
        (400, 240, 160, 120, 90, 70, 55, 45, 36, 30, 25, 20, 16, 12, 9, 7),
        {"irreversible": True, "mct": 1},
    ),
    "webp": ClassicalCodec(
        "WebP",
        partial(_by_pillow, "WEBP"),
        _of_pillow,
        partial(_version_in_pillow, "libwebp", "webp"),
        "quality",
        (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95, 100),
        {"method": 6},  # the slowest
    ),
    # At speed 0 it takes five times as long and saves another 2 % of the bits.
    "avif": ClassicalCodec(
        "AVIF",
        partial(_by_pillow, "AVIF"),
        _avif_decoded,
        _version_of_avif,
        "quality",
        (1, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90),
        {"codec": "aom", "speed": 2, "subsampling": "4:4:4", "max_threads": 1},
    ),
    # Its own default effort: at 9 it takes five times as long and has no higher PSNR at a rate. At a distance of 20 and
    # beyond it codes half the width and height.
    "jxl": ClassicalCodec(
        "JPEG XL",
        _jpeg_xl,
        _jpeg_xl_decoded,
        _version_of_jpeg_xl,
        "distance",
        (25, 15, 12, 10, 8, 6, 5, 4, 3, 2.5, 2, 1.5, 1, 0.7, 0.5),
        {"effort": 7},
    ),
}
"""Codecs by their names in configurations and records."""
