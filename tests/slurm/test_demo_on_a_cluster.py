"""A part of the demo on a real SLURM cluster, through profiles/slurm, while its jobs are cancelled and a node fails."""

from __future__ import annotations

import itertools
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from sgaplus import records
from sgaplus.codec.hyperprior import load_state, weights_sha256

from .cluster import Cluster, wait_until
from .conftest import running

# Three of the seven models, one of which is not there at first; `auto`, so that jobs ask for a GPU.
THREE = ["small_lmbda0.0025", "small_lmbda0.01", "small_lmbda0.04"]
OVERLAY = {
    "run": "cluster",
    "device": "auto",
    "comparison": None,
    "datasets": {"demo": {"files": ["astronaut.png", "chelsea.png"]}},
    "models": {"small_lmbda0.04": {"path": "mended.pth"}, "tiny_lmbda0.01": {"steps": 120}},
    "training": {"save_minutes": 0},
    "experiments": {
        **{name: {"models": THREE} for name in ("fig7_kodak_rd", "bd_kodak", "cost", "bitrate_gap")},
        "trained_here": {"dataset": "demo"},
    },
}
TARGETS = ("fig7", "bd_kodak", "trained_here")
OPTIONS = (
    *("--workflow-profile", "profiles/slurm", "--configfile", "config/demo.yaml", "overlay.yaml"),
    # the profile asks after a minute, which is right for jobs of ten
    *("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5"),
    # as for one machine, where it lets one GPU job run at a time
    *("--resources", "gpu=1", "downloads=1"),
)
RESULTS = Path("results/cluster")
MINUTES = 30


@dataclass(frozen=True)
class Finished:
    """What a run left behind."""

    printed: str
    jobs: list[dict[str, str]]
    cancelled_at: int  # the training's step
    failed_at: int  # the training's step

    def of(self, rule: str) -> list[dict[str, str]]:
        return [job for job in self.jobs if re.match(rf"rule_{rule}(_wildcards_|$)", job["Comment"])]


class Trouble:
    """What happens to the jobs of a run, each once, as soon as it can."""

    def __init__(self, project: Path, cluster: Cluster) -> None:
        self.project, self.cluster = project, cluster
        self.training = project / RESULTS / "models/tiny_lmbda0.01"
        self.cancelled_at = self.failed_at = 0
        self.ahead = [self.mend_a_model, self.cancel_a_training, self.cancel_a_refinement, self.lose_a_node]
        self.lost = ""

    def happen(self) -> None:
        for event in list(self.ahead):
            if event():
                self.ahead.remove(event)

    def running(self, rule: str) -> list[dict[str, str]]:
        return [job for job in self.cluster.jobs(rule) if job["JobState"] == "RUNNING"]

    def mend_a_model(self) -> bool:
        """Once the job has failed that needs it."""
        failed = any(job["JobState"] == "FAILED" for job in self.cluster.jobs("check_model"))
        if failed:
            shutil.copy(self.project / "workflow/models/small_lmbda0.04.pth", self.project / "mended.pth")
        return failed

    def cancel_a_training(self) -> bool:
        under_way = step(self.training) > 10 and self.running("train_model")
        if under_way:
            self.cluster.cancel(under_way[0])
            wait_until("the training is cancelled", lambda: not self.running("train_model"))
            self.cancelled_at = step(self.training)
        return bool(under_way)

    def lose_a_node(self) -> bool:
        """The one of the training, once that has gone on."""
        further = self.cancelled_at and step(self.training) > self.cancelled_at + 10 and self.running("train_model")
        if further:
            self.lost = further[0]["NodeList"]
            self.cluster.crash_node(self.lost)
            self.failed_at = step(self.training)
            self.ahead.append(self.find_it_again)
        return bool(further)

    def find_it_again(self) -> bool:
        """Once its jobs are back in the queue."""
        requeued = any(job["Restarts"] == "1" for job in self.cluster.jobs("train_model"))
        if requeued:
            self.cluster.start_node(self.lost)
        return requeued

    def cancel_a_refinement(self) -> bool:
        """A job that has kept some of its four refinements of two images, and is not at its last."""
        for job in self.running("refine"):
            if any(model in job["Comment"] and 1 <= kept(self.project, model) < 7 for model in THREE):
                self.cluster.cancel(job)
                return True
        return False


@pytest.fixture(scope="module")
def finished(project: Path, cluster: Cluster) -> Finished:
    """The run: one job fails, a training and a refinement are cancelled, and the training's node is lost."""
    (project / "overlay.yaml").write_text(yaml.safe_dump(OVERLAY))
    (project / "mended.pth").write_text("not a model yet")
    trouble = Trouble(project, cluster)
    with running(project, cluster, *TARGETS, *OPTIONS) as (process, log):

        def over() -> bool:
            trouble.happen()
            return process.poll() is not None

        wait_until("the run is over", over, 60 * MINUTES)
        printed = log.read_text()
        assert process.returncode == 0, printed
    assert not trouble.ahead, printed
    return Finished(printed, cluster.jobs(), trouble.cancelled_at, trouble.failed_at)


def step(folder: Path) -> int:
    """How far a training has saved itself."""
    with suppress(OSError, RuntimeError, EOFError, ValueError):  # not there yet, or replaced at this moment
        (state,) = folder.glob("state_*.pth")
        return torch.load(state, weights_only=True)["step"]
    return 0


def kept(project: Path, model: str) -> int:
    """How many refinements of an image a job has done under a model."""
    weights = weights_sha256(load_state(project / RESULTS / f"models/{model}/model.pth"))
    files = (project / RESULTS / "refinements/kept").glob("[!.]*.parquet")
    return sum(set(records.read([file])["weights"]) == {weights} for file in files)


def minutes(limit: str) -> int:
    """A time limit of SLURM, ``[days-]hours:minutes:seconds``, in minutes."""
    days, _, clock = limit.rpartition("-")
    hours, part, _ = map(int, clock.split(":"))
    return 60 * (24 * int(days or 0) + hours) + part


def megabytes(job: dict[str, str]) -> int:
    found = re.search(r"mem=(\d+)([MG])", job["TRES"])
    assert found, job
    return int(found[1]) * (1000 if found[2] == "G" else 1)


def test_every_artifact_is_there(finished, project):
    for name in ("fig7_kodak_rd", "trained_here"):
        assert (project / RESULTS / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")
    assert len(pd.read_csv(project / RESULTS / "tables/bd_kodak.csv")) >= 1


def test_slurm_ran_every_job_but_downloads_plots_and_tables(finished, project):
    """Each model, index and refinement has a job of its own that SLURM completed; what is drawn of them has none."""
    outputs = {
        "index_dataset": [path.stem for path in (project / RESULTS / "datasets").glob("*.csv")],
        "check_model": THREE,
        "train_model": ["tiny_lmbda0.01"],
        "selftest": [""],
        "refine": [
            f"{path.parent.parent.name}.*{path.parent.name}"
            for path in (project / RESULTS / "refinements").glob("*/*/part*.parquet")
        ],
    }
    for rule, names in outputs.items():
        completed = [job["Comment"] for job in finished.of(rule) if job["JobState"] == "COMPLETED"]
        assert len(completed) == len(names)
        for name in names:
            assert any(re.search(name, comment) for comment in completed), f"{rule} {name}"
    ran = {re.match(r"rule_([a-z_]+?)(_wildcards_|$)", job["Comment"])[1] for job in finished.jobs}
    assert ran == set(outputs)


def test_a_gpu_is_asked_of_slurm_for_trainings_and_refinements_alone(finished):
    for job in finished.jobs:
        wants = job.get("TresPerJob") == "gres:gpu:1"
        assert wants == job["Comment"].startswith(("rule_train_model", "rule_refine", "rule_selftest")), job
        assert minutes(job["TimeLimit"]) > 0


def test_gpu_jobs_run_side_by_side_whatever_one_machine_may_do(finished):
    times = sorted((job["StartTime"], job["EndTime"]) for job in finished.of("refine"))
    assert any(second[0] < first[1] for first, second in itertools.pairwise(times)), times


def test_a_job_that_failed_is_retried_with_more_memory_and_time_and_its_log_is_named(finished):
    first, second, *_ = [job for job in finished.of("check_model") if "0.04" in job["Comment"]]
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    assert megabytes(second) == 2 * megabytes(first) == 4000
    assert minutes(second["TimeLimit"]) == 2 * minutes(first["TimeLimit"]) == 120
    error = finished.printed[finished.printed.index("Error in rule check_model") :][:3000]
    assert f"{RESULTS}/logs/check_model/small_lmbda0.04.log" in error
    assert re.search(rf"results/slurm_logs/rule_check_model/\S+/{first['JobId']}\.log", error)
    assert "error: mended.pth" in finished.printed  # what the log says is shown


def test_a_cancelled_training_and_a_lost_node_repeat_no_step_from_zero(finished, project):
    cancelled, resumed = finished.of("train_model")
    assert (cancelled["JobState"], cancelled["Restarts"]) == ("CANCELLED", "0")
    assert (resumed["JobState"], resumed["Restarts"]) == ("COMPLETED", "1")  # the same job, put back into the queue
    assert megabytes(resumed) == 2 * megabytes(cancelled)
    assert resumed["TimeLimit"] == cancelled["TimeLimit"] == "2-00:00:00"
    log = (project / RESULTS / "logs/train_model/tiny_lmbda0.01.log").read_text()
    went_on = int(re.search(r"going on from step (\d+) of 120", log)[1])
    assert 10 < finished.cancelled_at < finished.failed_at <= went_on
    steps = pd.read_csv(project / RESULTS / "models/tiny_lmbda0.01/training.csv")["step"]
    assert steps.is_monotonic_increasing
    assert steps.iloc[-1] == 119


def test_a_cancelled_refinement_job_goes_on_with_the_refinement_that_it_was_at(finished, project):
    (cancelled,) = [job for job in finished.of("refine") if job["JobState"] == "CANCELLED"]
    model = next(model for model in THREE if model in cancelled["Comment"])
    (log,) = (project / RESULTS / f"logs/refine/demo/{model}").glob("part0_chunk0.log")
    assert "done before" in log.read_text()


def test_a_second_run_submits_nothing(finished, project, cluster):
    with running(project, cluster, *TARGETS, *OPTIONS) as (process, log):
        assert process.wait(600) == 0
        assert "Nothing to be done" in log.read_text()
    assert len(cluster.jobs()) == len(finished.jobs)


def test_what_slurm_printed_of_failed_jobs_is_kept_and_of_others_removed(finished, project):
    names = {path.stem for path in (project / "results/slurm_logs").rglob("*.log")}
    failed = {job["JobId"] for job in finished.jobs if job["JobState"] != "COMPLETED"}
    assert names == failed
