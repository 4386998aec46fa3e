"""Bitstreams decoded again: the quality of the pictures that they give."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from sgaplus import metrics
from sgaplus.codec import bitstream_archive
from sgaplus.codec.bitstream import Coder
from sgaplus.codec.frozen import Codec, as_tensor
from sgaplus.data.index import IndexedImage
from sgaplus.progress import tqdm
from sgaplus.refinement.measurements import Row
from sgaplus.refinement.task import Refinement


def measure(
    codec: Codec,
    images: Sequence[IndexedImage],
    refinements: Sequence[Refinement],
    archives: Iterable[str | Path],
    distances: Sequence[str] = (),
) -> list[Row]:
    """Decode the bitstreams of images: of the base model, and of refinements after their last step.

    Args:
        codec: The model.
        images: The images.
        refinements: Refinements under that model.
        archives: Archives of their bitstreams.
        distances: Those of ``qualities.DISTANCES`` that are measured, too.

    Returns:
        Rows with the fields of ``records.DECODED``, but for those of the run. A refinement whose latents could not be
        coded has none.

    Raises:
        BitstreamError: the base model's latents of an image can't be coded, or a bitstream is damaged.
    """
    coder, rows = Coder(codec), []
    coder.decode(_encoded(codec, coder, np.zeros((64, 64, 3), np.uint8)))  # what is prepared once is not timed
    for image in tqdm(images, desc="decoding", unit="image", mininterval=1):
        pixels = image.read()
        start = time.perf_counter()
        base = _encoded(codec, coder, pixels)
        seconds = time.perf_counter() - start
        measured = _decoded(coder, base, pixels, distances)
        rows.append({"image": image.name, "step": 0, "encode_seconds": seconds, **measured})
        for refinement in refinements:
            made_by = {"target_lmbda": refinement.target, "variant": refinement.variant, "seed": refinement.seed}
            name = bitstream_archive.name_of(refinement.target, refinement.variant, refinement.seed, image.name)
            try:
                stream = bitstream_archive.find(name, archives)
            except KeyError:
                continue
            measured = _decoded(coder, stream, pixels, distances)
            rows.append({"image": image.name, **made_by, "step": refinement.steps, **measured})
    return rows


def _encoded(codec: Codec, coder: Coder, pixels: np.ndarray) -> bytes:
    """The base model's bitstream of a picture."""
    height, width, _ = pixels.shape
    return coder.encode(codec.latents_of(as_tensor(pixels)), width, height)


def _decoded(coder: Coder, stream: bytes, pixels: np.ndarray, distances: Sequence[str]) -> Row:
    start = time.perf_counter()
    picture, _ = coder.decode(stream)
    seconds = time.perf_counter() - start
    height, width, _ = pixels.shape
    return {
        "width": width,
        "height": height,
        "bytes": len(stream),
        "bpp": 8 * len(stream) / (width * height),
        "psnr": metrics.psnr_of(pixels, picture),
        "ms_ssim": metrics.ms_ssim_of(pixels, picture),
        "haarpsi": metrics.haarpsi_of(pixels, picture),
        **metrics.distances_of(distances, pixels, picture),
        "decode_seconds": seconds,
        "threads": torch.get_num_threads(),
    }
