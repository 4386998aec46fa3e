from __future__ import annotations

import resource
from types import SimpleNamespace

import psutil
import pytest

from sgaplus import memory


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 8,000 bytes free, without limits."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8_000, total=16_000))
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "GROUP_OF_PROCESS", tmp_path / "cgroup")
    return tmp_path


def test_what_is_free_on_the_machine_may_be_taken(machine):
    assert memory.room() == 8_000


@pytest.mark.parametrize(
    ("line", "folder", "name"),
    [("0::/job/step", "", "memory.max"), ("4:memory:/job/step", "memory", "memory.limit_in_bytes")],
)
@pytest.mark.parametrize("limited", ["job", "job/step"])
def test_the_limit_of_a_job_or_container_holds(machine, line, folder, name, limited):
    (machine / "cgroup").write_text(f"9:name=systemd:/x\n{line}\n")
    (machine / folder / "job/step").mkdir(parents=True)
    (machine / folder / "job/step" / name).write_text("max\n")
    (machine / folder / limited / name).write_text("5000\n")
    assert memory.room() == 5_000


def test_the_limit_of_the_process_holds(machine, monkeypatch):
    taken = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (taken + 3_000, resource.RLIM_INFINITY))
    assert memory.room() <= 3_000
