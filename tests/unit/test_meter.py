from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from sgaplus import meter


def test_peak_memory_counts_what_is_given_back_before_the_end():
    def work():
        big = torch.ones(50_000_000)  # 200 MB
        del big

    peak = meter.peak_memory(work, torch.device("cpu"))
    assert 190e6 < peak < 260e6


def test_peak_memory_counts_the_same_twice():
    """Memory kept for reuse after the first time must not hide the second."""

    def work():
        return [torch.ones(2_000_000) for _ in range(20)]  # 160 MB

    first = meter.peak_memory(work, torch.device("cpu"))
    second = meter.peak_memory(work, torch.device("cpu"))
    assert second > 0.8 * first > 0.8 * 150e6


def test_memory_that_is_kept_is_neither_faulted_in_again_nor_hidden():
    import resource

    if not sys.platform.startswith("linux"):
        pytest.skip("glibc's own")
    meter.keep_memory()
    for _ in range(3):
        torch.ones(5_000_000)  # 20 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(5_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 10_000  # of 49000 pages
    assert meter.peak_memory(lambda: torch.ones(50_000_000), torch.device("cpu")) > 190e6


def test_a_meter_counts_from_when_it_is_made():
    torch.ones(100_000_000)  # 400 MB, gone before
    running = meter.Meter(torch.device("cpu"))
    before = running.peak_memory_mb()
    kept = torch.ones(50_000_000)
    assert running.peak_memory_mb() - before >= 0.9 * kept.nbytes / 1e6
    assert 0 < running.seconds() < 60
    assert running.joules() is None  # a processor's energy is not counted


class Driver:
    """NVML of a machine with one GPU, whose counter is set by hand."""

    NVMLError = RuntimeError
    millijoules = 5000

    def nvmlInit(self):
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):
        assert uuid == "GPU-11-22"
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if self.millijoules is None:
            raise self.NVMLError("not supported")
        return self.millijoules


def test_the_energy_of_a_gpu_is_the_growth_of_its_drivers_counter(monkeypatch):
    driver = Driver()
    monkeypatch.setattr(meter, "pynvml", driver)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="11-22"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
    running = meter.Meter(torch.device("cuda"))
    driver.millijoules += 2500
    assert running.joules() == 2.5
    driver.millijoules = None  # an old card, which does not count
    assert running.joules() is None
