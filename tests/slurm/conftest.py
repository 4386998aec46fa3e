"""The one-machine cluster, a checkout beside it, and a run of the demo on it that is disturbed."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.workflow.conftest import checkout

from .cluster import PACKAGES, Cluster, missing


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A scratch folder with a short path, since sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def cluster(folder: Path) -> Iterator[Cluster]:
    if programs := missing():
        pytest.exit(
            f"error: {', '.join(programs)} not found. On Debian or Ubuntu: apt-get install {' '.join(PACKAGES)}",
            returncode=3,
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends the test ends the cluster, too
    (folder / "cluster").mkdir()
    with Cluster(folder / "cluster") as started:
        yield started


@pytest.fixture(scope="session")
def project(folder: Path) -> Path:
    """A checkout of the project."""
    (folder / "project").mkdir()
    return checkout(folder / "project")


@contextmanager
def running(project: Path, cluster: Cluster, *arguments: str) -> Iterator[tuple[subprocess.Popen, Path]]:
    """Snakemake in a checkout, and the file that it prints to; ended when the caller has failed."""
    log = project / "printed.txt"
    environment = cluster.environment | {"PYTHONPATH": str(project / "workflow")}  # the checkout's library
    command = [sys.executable, "-m", "snakemake", *arguments]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=project, env=environment, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        try:
            yield process, log
        finally:
            if process.poll() is None:
                process.kill()  # it would wait for its jobs, which the cluster ends
                process.wait()
