"""A training of two GPUs on a real SLURM cluster, through profiles/slurm: one process, which sees both."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import yaml

from .cluster import NODES, Cluster, wait_until
from .conftest import running

SCRIPT = ".train_model.py"
OVERLAY = {
    "run": "gpus",
    "device": "auto",
    "models": {"tiny_lmbda0.01": {"steps": 100_000}},
    "training": {"gpus": 2, "evaluate_every": 100_000},
}
OPTIONS = (
    *("--workflow-profile", "profiles/slurm", "--configfile", "config/demo.yaml", "gpus.yaml"),
    *("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5"),
)
MODEL = "results/gpus/models/tiny_lmbda0.01/model.pth"
ANSWER = 300
"""Seconds within which the training begins."""


def python_of(cluster: Cluster, script: str) -> dict[psutil.Process, dict[str, str]]:
    """The processes of the cluster that run a rule's script themselves, and their environment."""
    return {
        process: environment
        for process, environment in cluster._processes().items()
        if process.name().startswith("python") and process.cmdline()[-1:] and process.cmdline()[-1].endswith(script)
    }


@pytest.fixture(scope="module")
def started(project: Path, cluster: Cluster) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The job of the training, and the environments of its processes, once it has trained for some steps."""
    (project / "gpus.yaml").write_text(yaml.safe_dump(OVERLAY))
    trained = project / "results/gpus/logs/train_model/tiny_lmbda0.01.log"
    with running(project, cluster, MODEL, *OPTIONS) as (process, log):

        def training() -> bool:
            assert process.poll() is None, log.read_text()
            return trained.is_file() and bool(python_of(cluster, SCRIPT))

        wait_until("the training has begun", training, ANSWER)
        found = list(python_of(cluster, SCRIPT).values())
        (job,) = [job for job in cluster.jobs("train_model") if job["JobState"] == "RUNNING"]
    cluster.cancel(job)  # after Snakemake has been ended, which would start it again
    return job, found


def test_one_process_starts_on_one_node_and_sees_both_gpus(started):
    job, environments = started
    assert job["TresPerJob"] == "gres:gpu:2"
    assert (job["NumTasks"], job["NumNodes"]) == ("1", "1")
    assert job["NodeList"] in NODES
    (environment,) = environments
    assert environment["SLURM_NTASKS"] == "1"
    assert environment["CUDA_VISIBLE_DEVICES"] == "0,1"
