from __future__ import annotations

import logging
import tempfile
from types import SimpleNamespace

import pytest
import torch

from sgaplus import devices, gpus
from sgaplus.errors import DeviceError, TrainingError


def test_auto_without_a_gpu_takes_the_cpu_and_says_so_in_one_line(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with caplog.at_level(logging.WARNING):
        assert devices.resolve("auto").type == "cpu"
    assert [record.message for record in caplog.records] == ["device: auto found no GPU; computing on the CPU"]


def test_auto_begins_no_long_training_on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cpu = [torch.device("cpu")]
    assert devices.granted_to_training("auto", 1, 36_000) == cpu
    assert devices.granted_to_training("cpu", 1, 3_000_000) == cpu
    with pytest.raises(TrainingError, match=r"auto finds no GPU, and 3,000,000 steps .* set `device: cpu`"):
        devices.granted_to_training("auto", 1, 3_000_000)


def test_auto_with_a_gpu_takes_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.resolve("auto").type == devices.resolve("cuda").type == "cuda"
    assert devices.resolve("cpu").type == "cpu"


def test_float32_is_float32_on_a_gpu_and_sums_are_the_same_in_every_run(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with torch.backends.cudnn.flags(allow_tf32=True, deterministic=False, benchmark=True):
        devices.resolve("auto")
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark


def test_cuda_without_a_gpu_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no CUDA device here"):
        devices.resolve("cuda")


def test_a_job_gets_the_gpus_that_it_asked_for_and_no_more_than_there_are(monkeypatch, tmp_path):
    current = []
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(gpus, "_held", {})
    assert devices.granted("cpu", 4) == [torch.device("cpu")]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"GPU-{index}"))
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert devices.granted("auto", 1) == [torch.device("cuda", 0)]
    assert devices.granted("cuda", 4) == [torch.device("cuda", 0), torch.device("cuda", 1)]
    assert current == [0, 0]


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
