"""A small refinement on the CPU and on another device, compared: whether that device computes the same.

With straight-through rounding, which draws no random numbers: a GPU's differ from the CPU's. And one on a GPU, with
CUDA graphs and without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sgaplus.codec.bitstream import Coder
from sgaplus.codec.frozen import Codec, as_tensor
from sgaplus.devices import name_of
from sgaplus.errors import DeviceError
from sgaplus.metrics import PEAK, psnr
from sgaplus.refinement import rounding
from sgaplus.refinement.engine import refine
from sgaplus.refinement.measurements import Refined
from sgaplus.refinement.method import Method, Plan
from sgaplus.refinement.step_graph import CAPTURE

SIDE = 128
"""Side of the two pictures in pixels."""

STEPS = 10
LEARNING_RATE = 0.005
STRAIGHT_THROUGH = Method(rounding.make("ste"), lr=LEARNING_RATE)

GRAPH_STEPS = 60
"""With CUDA graphs and without. Last bits move one latent in ten thousand in these steps, a temperature that is 1 %
wrong most of them."""

SSL = Method(rounding.make("ssl"), lr=LEARNING_RATE)

LOSS = 1e-4
"""Relative difference of true losses that the order of sums explains."""

MOVED = LEARNING_RATE / 10
"""Difference of latents beyond which one has taken another step."""

SHARE = 0.01
"""Share of the latents that may: where a gradient is nearly 0, the order of sums decides the way of Adam's step."""


DECIBELS = 0.01
"""Difference of a picture's quality that rounding to 8 bits explains."""


@dataclass(frozen=True)
class Comparison:
    """A difference between two devices, and the largest that rounding explains."""

    name: str
    difference: float
    allowed: float

    @property
    def text(self) -> str:
        """The comparison in words."""
        return f"{self.name}: {self.difference:.2g} apart, at most {self.allowed:g} expected"

    @property
    def agrees(self) -> bool:
        """Whether the difference is small; a number that is not finite is none."""
        return self.difference <= self.allowed


def compare(reference: Codec, codec: Codec, lmbda: float) -> list[Comparison]:
    """The differences of what two codecs of one model compute on two pictures.

    Args:
        reference: On the CPU, in float32.
        codec: On the device in question.
        lmbda: Weight of the distortion.
    """
    pictures = list(_pictures())
    expected, found = (
        refine(each, pictures, STRAIGHT_THROUGH, Plan(lmbda, STEPS), "selftest") for each in (reference, codec)
    )
    pairs = list(zip(expected, found, strict=True))
    decoded = [_off_after_decoding(reference, *each) for each in zip(dict(pictures).values(), found, strict=True)]
    return [
        Comparison("true loss before refinement", max(_apart(*pair, row=0) for pair in pairs), LOSS),
        Comparison(f"true loss after {STEPS} steps", max(_apart(*pair, row=-1) for pair in pairs), LOSS),
        Comparison(
            f"share of latents that went elsewhere in {STEPS} steps", max(_moved(*pair) for pair in pairs), SHARE
        ),
        Comparison("quality of the decoded bitstream (dB)", max(decoded), DECIBELS),
    ]


def compare_graphs(codec: Codec, lmbda: float) -> list[Comparison]:
    """What CUDA graphs change in a refinement of two pictures by SSL; nothing on a device without graphs.

    Random numbers are the same. Where graphs can't be captured, they change nothing, and the log says so.

    Args:
        codec: On the device in question, in float32: bfloat16 would make the differences of the last bits large.
        lmbda: Weight of the distortion.
    """
    if codec.device.type not in CAPTURE:
        return []
    plans = [Plan(lmbda, GRAPH_STEPS, cuda_graphs=graphs) for graphs in (False, True)]
    ordinary, graphed = (refine(codec, list(_pictures()), SSL, plan, "selftest") for plan in plans)
    pairs = list(zip(ordinary, graphed, strict=True))
    after = f"after {GRAPH_STEPS} steps with CUDA graphs and without"
    return [
        Comparison(f"true loss {after}", max(_apart(*pair, row=-1) for pair in pairs), LOSS),
        Comparison(f"share of latents that are elsewhere {after}", max(_moved(*pair) for pair in pairs), SHARE),
    ]


def check(path: str | Path, device: torch.device, lmbda: float, cuda_graphs: bool = False) -> list[Comparison]:
    """Compare a device with the CPU under a model file, and its CUDA graphs, if asked, with its ordinary steps.

    Raises:
        DeviceError: they do not agree.
    """
    codec = Codec.load(path, device)
    compared = compare(Codec.load(path), codec, lmbda)
    _stop_if_wrong(
        compared,
        f"{name_of(device)} does not compute what the CPU does",
        "Its results can't be believed: look for other versions of its driver and of torch, or set `device: cpu`.",
    )
    if cuda_graphs:
        graphs = compare_graphs(codec, lmbda)
        _stop_if_wrong(
            graphs,
            f"{name_of(device)} computes something else with CUDA graphs",
            "Set `refinement: {cuda_graphs: false}`.",
        )
        compared += graphs
    return compared


def _stop_if_wrong(compared: Sequence[Comparison], what: str, remedy: str) -> None:
    wrong = [one.text for one in compared if not one.agrees]
    if wrong:
        raise DeviceError(f"{what}: {'; '.join(wrong)}. {remedy}")


def _pictures() -> Iterator[tuple[str, Tensor]]:
    """Waves and noise, (3, SIDE, SIDE) in [0, 1]."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    for seed, wavelength in enumerate((9.0, 40.0)):
        noise = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
        waves = torch.stack([torch.sin((x + shift * y) / wavelength) for shift in (0, 1, 2)])
        yield f"waves{seed}", 0.5 + 0.4 * waves + 0.2 * (noise - 0.5)


def _apart(expected: Refined, found: Refined, row: int) -> float:
    """The relative difference of a true loss."""
    loss = float(expected.rows[row]["true_loss"])
    return abs(float(found.rows[row]["true_loss"]) - loss) / loss


def _moved(expected: Refined, found: Refined) -> float:
    """The share of the latents that have taken another way."""
    apart = [
        (one.cpu() - other.cpu()).abs().flatten()
        for one, other in zip((expected.latents.y, expected.latents.z), (found.latents.y, found.latents.z), strict=True)
    ]
    return float((~(torch.cat(apart) <= MOVED)).float().mean())


def _off_after_decoding(reference: Codec, picture: Tensor, found: Refined) -> float:
    """By how many dB the picture of the device's bitstream, decoded on the CPU, differs from the device's own."""
    coder = Coder(reference)
    decoded, _ = coder.decode(coder.encode(found.latents, SIDE, SIDE))
    mse = PEAK**2 * (as_tensor(decoded) - picture).square().mean()
    return abs(psnr(mse).item() - float(found.rows[-1]["psnr"]))
