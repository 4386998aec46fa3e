"""The devices of the computation, and the precision in which each is fast."""

from __future__ import annotations

import logging
import os
import platform
from contextlib import suppress
from pathlib import Path

import torch

from sgaplus.errors import DeviceError, TrainingError
from sgaplus.gpus import claim

logger = logging.getLogger(__name__)

LONG = 200_000
"""Steps of a training that ``auto`` does on a CPU at most; the small models take 36,000."""


def resolve(device: str) -> torch.device:
    """The torch device for ``auto``, ``cpu`` or ``cuda``; ``auto`` falls back to the CPU and says so.

    float32 is float32 there: convolutions of GPUs since Ampere would take TF32 by default, whose 10 bits of mantissa
    change rates and decoded pixels. Where fewer bits are allowed, the code asks for bfloat16. cuDNN takes algorithms
    that give the same sums in every run.

    Raises:
        DeviceError: ``cuda`` is asked for and torch finds no CUDA device.
    """
    if device == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        return torch.device("cuda")
    if device == "cuda":
        raise DeviceError("torch finds no CUDA device here.")
    logger.warning("device: auto found no GPU; computing on the CPU")
    return torch.device("cpu")


def granted_to_training(device: str, gpus: int, steps: int) -> list[torch.device]:
    """The devices of a training, as by :func:`granted`; but ``auto`` begins no long one on the CPU.

    Raises:
        TrainingError: ``auto`` finds no GPU, and the steps are more than :data:`LONG`.
    """
    found = granted(device, gpus)
    if device == "auto" and found[0].type == "cpu" and steps > LONG:
        raise TrainingError(
            f"device: auto finds no GPU, and {steps:,} steps of training would take weeks on a CPU. Run it where torch "
            "finds a GPU, or set `device: cpu` to train on the CPU all the same."
        )
    return found


def granted(device: str, gpus: int) -> list[torch.device]:
    """The devices of one job: up to ``gpus`` GPUs that no other job has, or the CPU; ``device`` as for :func:`resolve`.

    Of the GPUs that ``CUDA_VISIBLE_DEVICES`` leaves, as schedulers set it. The first becomes torch's current one.
    """
    first = resolve(device)
    if first.type == "cpu":
        return [first]
    names = [str(torch.cuda.get_device_properties(i).uuid) for i in range(torch.cuda.device_count())]
    taken = claim(names, min(gpus, len(names)))
    torch.cuda.set_device(taken[0])
    return [torch.device("cuda", index) for index in taken]


def describe() -> dict[str, str | int]:
    """The hardware of this machine: processor, cores, and GPUs."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"processor": _processor(), "cores": os.cpu_count() or 1, "gpus": ", ".join(gpus) or "none"}


def name_of(device: torch.device) -> str:
    """The name of a device: of the GPUs, or of the processor."""
    return str(describe()["gpus" if device.type == "cuda" else "processor"])


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():  # Linux; platform says little there
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def fast_precision(device: torch.device) -> str:
    """``bfloat16`` where the device multiplies matrices in it faster than in float32, else ``float32``."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast else "float32"
