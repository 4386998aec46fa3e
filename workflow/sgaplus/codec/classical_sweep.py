"""What classical codecs reach: a row per picture and setting, of real files and of what they decode to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sgaplus import metrics
from sgaplus.codec.classical_codecs import CODECS, Setting


def sweep(pixels: np.ndarray, codec: str, distances: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Code a picture at every setting of a codec's sweep.

    Args:
        pixels: uint8 (height, width, 3).
        codec: A key of ``classical_codecs.CODECS``.
        distances: Those of ``qualities.DISTANCES`` that are measured, too.

    Yields:
        Fields of ``records.CODED``, but for the names of the data set and of the image and for where it ran.
    """
    measure(np.zeros((16, 16, 3), np.uint8), codec, next(CODECS[codec].settings()))  # its library loads meanwhile
    for setting in CODECS[codec].settings():
        yield measure(pixels, codec, setting, distances)


def measure(pixels: np.ndarray, codec: str, setting: Setting, distances: Sequence[str] = ()) -> dict[str, Any]:
    """Code a picture at one setting; as for :func:`sweep`."""
    coder = CODECS[codec]
    start = time.perf_counter()
    file = coder.encode(pixels, **setting.options)
    encoded = time.perf_counter()
    decoded = coder.decode(file)
    end = time.perf_counter()
    height, width, _ = pixels.shape
    return {
        "width": width,
        "height": height,
        "codec": codec,
        "variant": setting.variant,
        "setting": float(setting.value),
        "options": json.dumps(setting.options),
        "library": coder.library(),
        "bytes": len(file),
        "bpp": 8 * len(file) / (width * height),
        "mse": metrics.mse_of(pixels, decoded),
        "psnr": metrics.psnr_of(pixels, decoded),
        "ms_ssim": metrics.ms_ssim_of(pixels, decoded),
        "haarpsi": metrics.haarpsi_of(pixels, decoded),
        **metrics.distances_of(distances, pixels, decoded),
        "encode_seconds": encoded - start,
        "decode_seconds": end - encoded,
    }
