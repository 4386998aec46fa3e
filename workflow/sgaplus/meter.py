"""The cost of a piece of work on this machine: time, memory and energy. No result depends on it."""

from __future__ import annotations

import ctypes
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pynvml
import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
"""Parameters of glibc's mallopt: free bytes at the top of the heap above which they go back to the system; size above
which a piece is mapped by itself; and most pieces that are mapped so."""


def peak_memory(work: Callable[[], object], device: torch.device) -> int:
    """Bytes that ``work`` needs at its peak, above the memory in use before it.

    On a GPU it is the allocator's own count. On a CPU it is the growth of the process's resident memory,
    which includes the scratch space of the convolution library.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    _reset_high_water_mark()
    before = _resident_bytes()
    work()
    return max(0, _high_water_mark_bytes() - before)


def keep_memory() -> None:
    """Have the C library keep memory that is freed, until :func:`return_memory`.

    By default it returns large pieces to the system, and the next allocation faults in page by page,
    which takes a fifth of a refinement step on a CPU. The peak of memory in use stays the same.
    """
    _mallopt({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1})


def return_memory() -> None:
    """Have the C library return memory as it does by default in a program that has used pieces of all sizes."""
    _mallopt({M_MMAP_MAX: 2**16, M_MMAP_THRESHOLD: 2**25, M_TRIM_THRESHOLD: 2**26})


def _mallopt(parameters: dict[int, int]) -> None:
    with suppress(OSError, AttributeError):  # glibc only
        libc = ctypes.CDLL(None)
        for parameter, value in parameters.items():
            libc.mallopt(parameter, value)


class Meter:
    """The cost of a piece of work since the meter was made: time, memory and energy.

    Args:
        device: The device that does the work.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _reset_high_water_mark()
        self._joules = _energy_counter(device)
        self._start = time.perf_counter()

    def seconds(self) -> float:
        """Wall time in seconds."""
        return time.perf_counter() - self._start

    def peak_memory_mb(self) -> float:
        """Peak of memory, in MB: the memory of a GPU that the allocator holds, or of the whole process on a CPU."""
        on_gpu = self.device.type == "cuda"
        return (torch.cuda.max_memory_reserved(self.device) if on_gpu else _high_water_mark_bytes()) / 1e6

    def joules(self) -> float | None:
        """Energy of the GPU in joules, of all its users; None on a CPU or if the driver does not count it."""
        now = _energy_counter(self.device)
        return None if now is None or self._joules is None else now - self._joules


def _energy_counter(device: torch.device) -> float | None:
    """Joules that a GPU has used since its driver was loaded."""
    if device.type != "cuda":
        return None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    except pynvml.NVMLError:
        return None


def _resident_bytes() -> int:
    return psutil.Process().memory_info().rss


def _reset_high_water_mark() -> None:
    """Count the peak of resident memory from here, without freed memory that the C library keeps."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc only
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux; elsewhere the mark is the process's all-time peak


def _high_water_mark_bytes() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
