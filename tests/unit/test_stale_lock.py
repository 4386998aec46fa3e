from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from sgaplus import stale_lock

LOCK = stale_lock.LOCKS / "0.output.lock"
REMOVED = "Removed the lock of a run that was killed\n"


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A folder with the lock of a run that began a minute ago, as the working folder."""
    monkeypatch.chdir(tmp_path)
    LOCK.parent.mkdir(parents=True)
    LOCK.write_text("results/demo/report.html\n")
    os.utime(LOCK, (time.time() - 60,) * 2)
    return tmp_path


@contextmanager
def sleeping(program: Path, folder: Path):
    """A Python that runs ``program``, which does nothing, in a folder."""
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("print(flush=True)\nimport time\ntime.sleep(60)\n")
    with subprocess.Popen([sys.executable, program, "report"], cwd=folder, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def said(capsys) -> str:
    stale_lock.main()
    return capsys.readouterr().err


def test_without_a_lock_nothing_is_said_or_looked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(psutil, "process_iter", lambda: pytest.fail("processes were looked at"))
    assert said(capsys) == ""


def test_a_lock_whose_owner_is_gone_is_removed(locked, capsys):
    stale_lock.record_host(local=True)
    assert said(capsys) == REMOVED
    assert not LOCK.exists()
    assert said(capsys) == ""


@pytest.mark.parametrize("program", [".venv/bin/snakemake", ".snakemake/scripts/tmpx1y2_z3.train_model.py"])
def test_the_lock_of_a_run_that_works_here_stays_and_its_process_is_named(locked, program, capsys):
    with sleeping(locked / program, locked) as process:
        told = said(capsys)
        assert f"process {process.pid}: " in told
        assert program in told
        assert told.count("\n") == 1
        assert LOCK.exists()
    assert said(capsys) == REMOVED


def test_a_run_in_another_folder_is_no_owner(locked, tmp_path_factory, capsys):
    other = tmp_path_factory.mktemp("other")
    with sleeping(other / ".venv/bin/snakemake", other):
        assert said(capsys) == REMOVED


@pytest.mark.parametrize(
    "command", [["bash", "-c", "make demo"], ["tail", "-f", "snakemake"], ["python", "-m", "sgaplus.stale_lock"], []]
)
def test_what_else_works_here_is_no_owner(locked, command, monkeypatch, capsys):
    other = SimpleNamespace(pid=1, cmdline=lambda: command, cwd=lambda: str(locked))
    monkeypatch.setattr(psutil, "process_iter", lambda: [other])
    assert said(capsys) == REMOVED


@pytest.mark.parametrize("error", [psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess])
def test_a_process_that_cannot_be_read_is_no_owner(locked, error, monkeypatch, capsys):
    def refuse():
        raise error(1)

    snakemake = ["python", "-m", "snakemake"]
    unreadable = SimpleNamespace(pid=1, cmdline=lambda: snakemake, cwd=refuse)
    monkeypatch.setattr(psutil, "process_iter", lambda: [unreadable])
    assert said(capsys) == REMOVED


def test_the_lock_of_a_run_on_another_host_stays_and_what_to_do_is_said(locked, monkeypatch, capsys):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(platform, "node", lambda: "node17")
        stale_lock.record_host(local=True)
    assert said(capsys).endswith("a run on node17. If none is left: snakemake --unlock\n")
    assert LOCK.exists()


def test_a_run_whose_jobs_a_cluster_has_counts_as_one_on_another_host(locked, capsys):
    stale_lock.record_host(local=False)
    assert "a run on a cluster. If none is left: snakemake --unlock" in said(capsys)
    assert LOCK.exists()


def test_a_host_whose_last_run_began_before_the_lock_has_none(locked, monkeypatch, capsys):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(platform, "node", lambda: "node17")
        stale_lock.record_host(local=True)
    os.utime(stale_lock.HOSTS / "node17", (time.time() - 3600,) * 2)
    assert said(capsys) == REMOVED


def test_the_lock_of_another_user_stays_and_what_to_do_is_said(locked, monkeypatch, capsys):
    monkeypatch.setattr(os, "getuid", lambda: LOCK.stat().st_uid + 1)
    assert said(capsys).endswith("another user's run. If none is left: snakemake --unlock\n")
    assert LOCK.exists()
