from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import pytest
import torch

from sgaplus import devices
from sgaplus.errors import ConfigError


def test_auto_without_a_gpu_takes_the_cpu_and_says_so_in_one_line(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with caplog.at_level(logging.WARNING):
        assert devices.resolve("auto").type == "cpu"
    assert [record.message for record in caplog.records] == ["device: auto found no GPU; computing on the CPU"]


def test_auto_with_a_gpu_takes_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.resolve("auto").type == devices.resolve("cuda").type == "cuda"
    assert devices.resolve("cpu").type == "cpu"


def test_cuda_without_a_gpu_is_an_error_with_the_remedy(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device: auto"):
        devices.resolve("cuda")


def test_peak_memory_counts_what_is_given_back_before_the_end():
    def work():
        big = torch.ones(50_000_000)  # 200 MB
        del big

    peak = devices.peak_memory(work, torch.device("cpu"))
    assert 190e6 < peak < 260e6


def test_peak_memory_counts_the_same_twice():
    """Memory kept for reuse after the first time must not hide the second."""

    def work():
        return [torch.ones(2_000_000) for _ in range(20)]  # 160 MB

    first = devices.peak_memory(work, torch.device("cpu"))
    second = devices.peak_memory(work, torch.device("cpu"))
    assert second > 0.8 * first > 0.8 * 150e6


def test_memory_that_is_kept_is_neither_faulted_in_again_nor_hidden():
    import resource
    import sys

    if not sys.platform.startswith("linux"):
        pytest.skip("glibc's own")
    devices.keep_memory()
    for _ in range(3):
        torch.ones(5_000_000)  # 20 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(5_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 10_000  # of 49000 pages
    assert devices.peak_memory(lambda: torch.ones(50_000_000), torch.device("cpu")) > 190e6


def test_a_job_gets_the_gpus_that_it_asked_for_and_no_more_than_there_are(monkeypatch):
    assert devices.granted("cpu", 4) == [torch.device("cpu")]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.granted("auto", 1) == [torch.device("cuda", 0)]
    assert devices.granted("cuda", 4) == [torch.device("cuda", 0), torch.device("cuda", 1)]


@pytest.mark.parametrize(("bf16", "amx", "precision"), [(1, 0, "bfloat16"), (0, 1, "bfloat16"), (0, 0, "float32")])
def test_bfloat16_is_taken_where_the_processor_multiplies_in_it(monkeypatch, bf16, amx, precision):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(bf16))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx))
    assert devices.fast_precision(torch.device("cpu")) == precision


def test_the_hardware_is_described():
    described = devices.describe()
    assert described["cores"] >= 1
    assert described["processor"]
    assert (described["gpus"] == "none") == (not torch.cuda.is_available())


def test_a_meter_counts_from_when_it_is_made():
    torch.ones(100_000_000)  # 400 MB, gone before
    meter = devices.Meter(torch.device("cpu"))
    before = meter.peak_memory_mb()
    kept = torch.ones(50_000_000)
    assert meter.peak_memory_mb() - before >= 0.9 * kept.nbytes / 1e6
    assert 0 < meter.seconds() < 60
    assert meter.joules() is None  # a processor's energy is not counted


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
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="11-22"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
    meter = devices.Meter(torch.device("cuda"))
    driver.millijoules += 2500
    assert meter.joules() == 2.5
    driver.millijoules = None  # an old card, which does not count
    assert meter.joules() is None
