"""A trained mean-scale hyperprior, frozen: the transforms, the rate and the distortion.

    x (B, 3, H, W) in [0, 1]                       padded by the caller to multiples of 16
    y = g_a(x)        latents        (B, M, H/16, W/16)
    z = h_a(y)        hyper-latents  (B, N, H/64, W/64), rounded up
    (scales, means) = h_s(z^)        (B, M, H/16, W/16) each, cropped where H or W is no multiple of 64
    x^ = g_s(y^)                     (B, 3, H, W), not clamped

The network is in ``hyperprior``; here it meets images: padding, batches, strips, rounding, measuring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad as torch_pad
from torch.utils.checkpoint import checkpoint

from sgaplus.codec.distortion import MeanSquaredError
from sgaplus.codec.fast_synthesis import FastHyperSynthesis, FastSynthesis, Transform, pixel_unshuffled
from sgaplus.codec.hyperprior import Hyperprior, load_state
from sgaplus.codec.latents import Latents, Relax, Relaxed, hard_rounding
from sgaplus.devices import fast_precision
from sgaplus.metrics import PEAK


@dataclass
class Batch:
    """Images of one padded size, measured over their own pixels.

    Attributes:
        x: Padded images in [0, 1], (B, 3, H, W), H and W multiples of the model's stride.
        pixels: Original pixels of each image, (B,).
        mask: 1 on original pixels and 0 on padding, (B, 1, H, W); None where nothing is padded.
    """

    x: Tensor
    pixels: Tensor
    mask: Tensor | None

    @cached_property
    def pixel_unshuffled(self) -> tuple[Tensor, Tensor | None]:
        """Images and mask in the synthesis's order: (B, 12, H/2, W/2), (B, 12, H/2, W/2) or None."""
        if self.mask is None:
            return pixel_unshuffled(self.x), None
        return pixel_unshuffled(self.x), pixel_unshuffled(self.mask.expand_as(self.x))

    @classmethod
    def of(cls, images: Sequence[Tensor], stride: int) -> Batch:
        """Stack images (3, h, w) in [0, 1] whose sizes agree once they are padded to multiples of a stride.

        Padding repeats the last row and column, at the bottom and at the right.
        """
        x = torch.stack([pad(image, stride) for image in images])
        pixels = torch.tensor([image.shape[1] * image.shape[2] for image in images], device=x.device)
        if all(image.shape[1:] == x.shape[2:] for image in images):
            return cls(x, pixels, None)
        mask = x.new_zeros(len(images), 1, *x.shape[2:])
        for i, image in enumerate(images):
            mask[i, :, : image.shape[1], : image.shape[2]] = 1
        return cls(x, pixels, mask)


def _pixel_rows(x: Tensor, mask: Tensor | None, y: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor | None]:
    """Images and their mask in the pixels of latent rows start to stop; ``y`` holds all rows."""
    scale = x.shape[2] // y.shape[2]
    rows = slice(start * scale, stop * scale)
    return x[:, :, rows], None if mask is None else mask[:, :, rows]


@dataclass
class Measurement:
    """Rate and distortion of hard-rounded latents, per image: float32 tensors of shape (B,).

    Attributes:
        bpp_y, bpp_z: Estimated bits per original pixel.
        distortion: Over original pixels, by the codec's ``distortion_measure``, of the reconstruction that a decoder
            gives: clamped to [0, 1].
        distortion_unclamped: The same of the synthesis's own output, as the paper's authors measure it.
    """

    bpp_y: Tensor
    bpp_z: Tensor
    distortion: Tensor
    distortion_unclamped: Tensor

    @property
    def bpp(self) -> Tensor:
        """Estimated bits per original pixel, latents and hyper-latents."""
        return self.bpp_y + self.bpp_z

    def true_loss(self, lmbda: float) -> Tensor:
        """The paper's true loss, (B,): bits per pixel + lambda * distortion, not clamped."""
        return self.bpp + lmbda * self.distortion_unclamped

    def sent_loss(self, lmbda: float) -> Tensor:
        """The loss of the image that a decoder gives, (B,): bits per pixel + lambda * distortion."""
        return self.bpp + lmbda * self.distortion


def padded_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """Height and width after padding to multiples of a stride."""
    return math.ceil(height / stride) * stride, math.ceil(width / stride) * stride


def as_tensor(pixels: np.ndarray) -> Tensor:
    """Pixels, uint8 (H, W, 3), as float32, (3, H, W) in [0, 1]."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / PEAK


def pad(image: Tensor, stride: int) -> Tensor:
    """(3, h, w) to multiples of a stride, repeating the last row and column."""
    _, height, width = image.shape
    to_height, to_width = padded_size(height, width, stride)
    return torch_pad(image[None], (0, to_width - width, 0, to_height - height), mode="replicate")[0]


class Codec:
    """A frozen model on a device. Nothing here changes it, and no gradient reaches its weights.

    Args:
        model: The model; analysis, measurement and coding use its own precision.
        device: The device that computes; None for the CPU.
        precision: Precision of the differentiated computations, ``distortion`` and the gradient of ``relaxed``:
            ``float32`` (the model's own), ``bfloat16`` for the layers that tolerate it, or ``auto`` for
            bfloat16 where the device is faster in it.
    """

    distortion_measure = MeanSquaredError()

    def __init__(self, model: Hyperprior, device: torch.device | None = None, precision: str = "float32") -> None:
        self.device = device or torch.device("cpu")
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.precision = fast_precision(self.device) if precision == "auto" else precision

    @classmethod
    def load(cls, path: str | Path, device: torch.device | None = None, precision: str = "float32") -> Codec:
        """Read a model file.

        Raises:
            CodecError: missing, not a state dict, or of another architecture.
        """
        return cls(Hyperprior.of(load_state(path)), device, precision)

    @property
    def _low_precision(self) -> torch.dtype | None:
        return torch.bfloat16 if self.precision == "bfloat16" else None

    @cached_property
    def _synthesis(self) -> FastSynthesis:
        """The synthesis that is differentiated."""
        return FastSynthesis(self.model.g_s, self._low_precision)

    @cached_property
    def _hyper_synthesis(self) -> FastHyperSynthesis:
        """The hyper-synthesis that is differentiated."""
        return FastHyperSynthesis(self.model.h_s, self._low_precision)

    @property
    def channels(self) -> int:
        """Channels of the widest layer between latents and pixels: N."""
        return self.model.g_s[-1].in_channels

    @property
    def takes_strips(self) -> bool:
        """Whether images may be cut into strips; if not, every ``strip`` below is taken as None."""
        return self.model.halo is not None and self.distortion_measure.adds_up

    def batch(self, pictures: Sequence[Tensor]) -> Batch:
        """Pictures (3, h, w) in [0, 1] whose padded sizes agree, on the codec's device."""
        return Batch.of([picture.to(self.device) for picture in pictures], self.model.stride)

    def analyse(self, x: Tensor, strip: int | None = None) -> Latents:
        """Continuous latents of padded images (B, 3, H, W).

        Args:
            x: Padded images.
            strip: Latent rows computed at once, to bound memory; None for all.
        """
        with torch.no_grad():
            x = x.contiguous(memory_format=torch.channels_last)
            spans = self._spans(x.shape[2] // self.model.stride, strip)
            rows = [self._analyse_rows(x, *span) for span in spans]
            y = torch.cat(rows, dim=2) if len(rows) > 1 else rows[0]
            return Latents(y, self.model.h_a(y))

    def latents_of(self, picture: Tensor, strip: int | None = None) -> Latents:
        """Continuous latents of one picture (3, h, w) of any size, without a batch dimension; ``strip`` as above."""
        latents = self.analyse(self.batch([picture]).x, strip)
        return Latents(latents.y[0], latents.z[0])

    def _analyse_rows(self, x: Tensor, start: int, stop: int) -> Tensor:
        halo, stride = self.model.halo or 0, self.model.stride
        top = max(0, start - halo)
        y = self.model.g_a(x[:, :, top * stride : (stop + halo) * stride])
        return y[:, :, start - top : stop - top]

    def relaxed(self, latents: Latents, relax: Relax) -> Relaxed:
        """Relaxed latents and their estimated rate, differentiable: see ``Hyperprior.relaxed``."""
        return self.model.relaxed(latents, relax, self._hyper_synthesis)

    def round(self, latents: Latents) -> Latents:
        """The latents that a bitstream would carry."""
        with torch.no_grad():
            return self.relaxed(latents, hard_rounding).latents

    def synthesise(self, y: Tensor) -> Tensor:
        """Reconstruction of padded images, not clamped, from relaxed or rounded latents."""
        return self.model.g_s(y)

    def distortion(self, batch: Batch, y: Tensor, strip: int | None = None, reference: Tensor | None = None) -> Tensor:
        """The distortion over each image's original pixels, (B,), differentiable in ``y``.

        Args:
            batch: The originals.
            y: Latents, relaxed or rounded.
            strip: Latent rows synthesised at once and recomputed in the backward pass, to bound
                memory; None for all. The value is the same but for the order of the sum.
            reference: Result of :meth:`reference`, to compare the difference from it with the batch; None to
                compare the whole reconstruction.
        """
        if self.distortion_measure.adds_up:  # so the pixels may stay in the synthesis's order
            synthesis = partial(self._synthesis.pixel_unshuffled, reference=reference)
            return self._distortion(synthesis, *batch.pixel_unshuffled, batch.pixels, y, strip)
        synthesis = partial(self._synthesis, reference=reference)
        return self._distortion(synthesis, batch.x, batch.mask, batch.pixels, y, strip)

    def _distortion(
        self, synthesis: Transform, x: Tensor, mask: Tensor | None, pixels: Tensor, y: Tensor, strip: int | None
    ) -> Tensor:
        spans = self._spans(y.shape[2], strip)
        if len(spans) == 1:
            total = self._total(synthesis, x, mask, y, *spans[0])
        else:
            parts = [
                checkpoint(self._total, synthesis, x, mask, y, *span, use_reentrant=False, preserve_rng_state=False)
                for span in spans
            ]
            total = torch.stack(parts).sum(dim=0)
        return self.distortion_measure.value(total, pixels)

    def _total(self, synthesis: Transform, x: Tensor, mask: Tensor | None, y: Tensor, start: int, stop: int) -> Tensor:
        """The distortion measure's total over the pixels of latent rows start to stop, (B,)."""
        x_hat = self._rows(synthesis, y, start, stop)
        return self.distortion_measure.total(x_hat, *_pixel_rows(x, mask, y, start, stop))

    def reference(self, y: Tensor) -> Tensor:
        """Latents (B, M, H/16, W/16) as a reference: see ``FastSynthesis.reference``."""
        return self._synthesis.reference(y)

    def low_precision_shift(self, y: Tensor, strip: int | None = None, reference: Tensor | None = None) -> Tensor:
        """The reconstruction that ``distortion`` differentiates minus the model's own, (B, 3, H, W).

        Args:
            y: Latents, relaxed or rounded.
            strip: Latent rows synthesised at once; None for all.
            reference: As for :meth:`distortion`.
        """
        fast = partial(self._synthesis, reference=reference)
        spans = self._spans(y.shape[2], strip)
        return torch.cat([self._rows(fast, y, *span) - self._rows(self.synthesise, y, *span) for span in spans], dim=2)

    def measure(self, batch: Batch, latents: Latents, strip: int | None = None) -> Measurement:
        """Rate and distortion of the rounded latents, as a decoder would see them."""
        with torch.no_grad():
            rounded = self.relaxed(latents, hard_rounding)
            y = rounded.latents.y
            strips = [self._total_clamped_and_not(batch, y, *span) for span in self._spans(y.shape[2], strip)]
            totals = torch.stack(strips).sum(dim=0)
            clamped, unclamped = (self.distortion_measure.value(total, batch.pixels) for total in totals)
            return Measurement(rounded.bits_y / batch.pixels, rounded.bits_z / batch.pixels, clamped, unclamped)

    def _total_clamped_and_not(self, batch: Batch, y: Tensor, start: int, stop: int) -> Tensor:
        """The distortion measure's total over latent rows start to stop, clamped to [0, 1] and not, (2, B)."""
        x_hat = self._rows(self.synthesise, y, start, stop)
        x, mask = _pixel_rows(batch.x, batch.mask, y, start, stop)
        return torch.stack([self.distortion_measure.total(one, x, mask) for one in (x_hat.clamp(0, 1), x_hat)])

    def _rows(self, synthesis: Transform, y: Tensor, start: int, stop: int) -> Tensor:
        """Reconstruction in the pixels of latent rows start to stop."""
        halo = self.model.halo or 0
        top = max(0, start - halo)
        seen = y[:, :, top : stop + halo]
        x_hat = synthesis(seen)
        scale = x_hat.shape[2] // seen.shape[2]
        return x_hat[:, :, (start - top) * scale : (stop - top) * scale]

    def _spans(self, rows: int, strip: int | None) -> list[tuple[int, int]]:
        """Rows cut into strips: (start, stop) pairs."""
        size = strip if strip and self.takes_strips else rows
        return [(start, min(start + size, rows)) for start in range(0, rows, size)]
