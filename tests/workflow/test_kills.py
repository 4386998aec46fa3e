"""SIGKILL of whole runs, and the same command again."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
import yaml

from sgaplus import records
from sgaplus.codec.hyperprior import load_state

from .conftest import PAPER, TINY, checkout, environment, photographs, write_config

SEED, KILLS = 0, 10
EXPERIMENT = "fig2_true_loss"
KEYS = ["image", "method", "step"]
MEASURED = ["seconds", "peak_memory_mb", "joules"]
REMOVED = "Removed the lock of a run that was killed"
REFUSED = "Directory cannot be locked"


@pytest.fixture
def project(tmp_path):
    """A checkout that makes one figure: what takes time is one training, and refinements of two images."""
    folder = checkout(tmp_path)
    photographs(folder / "pictures")
    (folder / "pictures/dot.png").unlink()
    (folder / "pictures/transparent.png").unlink()
    paper = PAPER | {"experiments": {EXPERIMENT: PAPER["experiments"][EXPERIMENT]}, "claims": {}}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(paper))
    return folder


def configure(folder: Path, run: str, training_steps: int) -> None:
    """A configuration whose training saves its state after each step."""
    experiment = TINY["experiments"][EXPERIMENT] | {"steps": [60]}
    changes = {
        "run": run,
        "models": {"low": TINY["models"]["low"] | {"steps": training_steps}},
        "training": TINY["training"] | {"save_minutes": 0, "evaluate_every": 10_000},
        "refinement": TINY["refinement"] | {"images_per_job": 1},
        "experiments": {EXPERIMENT: experiment},
        "claims": {},
        "comparison": None,
    }
    write_config(folder, changes, f"{run}.yaml")


@dataclass
class Demo:
    """A `make demo` that runs."""

    process: subprocess.Popen
    log: Path

    @property
    def printed(self) -> str:
        return self.log.read_text()

    def wait_for(self, pattern: str) -> None:
        """Wait until it has printed a line that begins so; it must not have ended by then."""
        while not re.search(f"^({pattern})", self.printed, re.MULTILINE):
            assert self.process.poll() is None, self.printed
            time.sleep(0.05)

    def at_work(self) -> set[str]:
        """What the jobs that run now do: the first word of their messages."""
        started = dict(re.findall(r"^Job (\d+): (\w+)", self.printed, re.MULTILINE))
        finished = re.findall(r"^Finished jobid: (\d+)", self.printed, re.MULTILINE)
        return {word for job, word in started.items() if job not in finished}

    def kill(self) -> None:
        """SIGKILL of its process group: make, Snakemake and the jobs."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def make_demo(folder: Path, offline: dict[str, str], run: str) -> Iterator[Demo]:
    """README's command in a process group of its own, of which nothing is left when the block ends."""
    binaries = Path(sys.executable).parent
    command = ["make", "-o", "install", "demo", f"BIN={binaries}", "CORES=2", f"DEMO=--configfile {run}.yaml"]
    options = {"cwd": folder, "env": environment(folder, offline), "stdin": subprocess.DEVNULL}
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".log", delete=False) as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **options)
    demo = Demo(process, Path(log.name))
    try:
        yield demo
    finally:
        demo.kill()


def training_seconds(folder: Path) -> float:
    """What the steps of the uninterrupted training took."""
    training = pd.read_csv(folder / "results/whole/models/low/training.csv")
    return (training["step"].diff().fillna(1) / training["steps_per_second"]).sum()


def refining_seconds(folder: Path) -> float:
    """What the steps of the longest uninterrupted job of refinement took."""
    table = records.read([folder / f"results/whole/records/{EXPERIMENT}.parquet"])
    return table.groupby(["image", "method"])["seconds"].max().groupby("image").sum().max()


def refined(folder: Path, run: str) -> pd.DataFrame:
    table = records.read([folder / f"results/{run}/records/{EXPERIMENT}.parquet"])
    return table.drop(columns=MEASURED).sort_values(KEYS, ignore_index=True)


def names(folder: Path, run: str) -> set[str]:
    """The files that a reader meets.

    Where its writer was killed, a temporary file may lie beside them, whose name begins with a dot.
    """
    results = folder / f"results/{run}"
    files = [
        path.relative_to(results) for part in ("models", "refinements", "records") for path in walk(results / part)
    ]
    return {str(path) for path in files if not {"kept", "events"} & set(path.parts)}


def walk(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("[!.]*") if path.is_file()]


def test_ten_kills_at_random_moments_change_nothing_that_the_run_makes(project, snakemake, offline):
    for run in ("whole", "killed"):
        configure(project, run, training_steps=100)
    snakemake(project, f"results/whole/records/{EXPERIMENT}.parquet", "--configfile", "whole.yaml", "--cores", "2")
    # Each kill waits for the progress bar, which says that a job has started to work, and then at most so long.
    # What was done by then is not done again, so later kills may hit what comes after it. An eighth of the training,
    # so that the first kill meets it even where the machine has become faster since it was timed.
    aims = [("low: ", training_seconds(project) / 8)] * (KILLS // 2)
    aims += [("low ", refining_seconds(project))] * (KILLS - KILLS // 2)
    chance = random.Random(SEED)
    hit, printed = [], []
    for bar, longest in aims:
        with make_demo(project, offline, "killed") as demo:
            demo.wait_for(rf"{bar}|low |Job \d+: (Gathering|Writing)")
            time.sleep(chance.uniform(0, longest))
            hit.append(demo.at_work())
        printed.append(demo.printed)
    assert [REMOVED in text for text in printed] == [False] + [True] * (KILLS - 1), (SEED, hit)
    assert any("going on from step" in text for text in printed), (SEED, hit)
    assert {"Training", "Refining"} <= set.union(*hit), (SEED, hit)
    with make_demo(project, offline, "killed") as demo:
        assert demo.process.wait(300) == 0, (SEED, hit, demo.printed)
    assert (project / "results/killed/report.html").exists()
    pd.testing.assert_frame_equal(refined(project, "killed"), refined(project, "whole"))
    killed, whole = (load_state(project / f"results/{run}/models/low/model.pth") for run in ("killed", "whole"))
    assert killed.keys() == whole.keys()
    assert all(torch.equal(killed[name], whole[name]) for name in whole), (SEED, hit)
    assert names(project, "killed") == names(project, "whole"), (SEED, hit)


def test_a_lock_stays_while_a_run_or_a_job_of_it_lives_and_no_longer(project, snakemake, offline):
    configure(project, "killed", training_steps=10**6)
    with make_demo(project, offline, "killed") as first:
        first.wait_for("low: ")  # the progress bar of the training: by now the job has its process
        (main,) = psutil.Process(first.process.pid).children()
        (job,) = main.children()
        refused_beside(project, offline, main)
        main.kill()
        first.process.wait()
        refused_beside(project, offline, job)
    printed = snakemake(project, "--configfile", "killed.yaml", "--cores", "2", ok=False).stdout
    assert "It can be removed with the --unlock argument" in printed
    with make_demo(project, offline, "killed") as again:
        again.wait_for(r"Job \d+: Training")
    assert REMOVED in again.printed


def refused_beside(project: Path, offline: dict[str, str], owner: psutil.Process) -> None:
    with make_demo(project, offline, "killed") as second:
        assert second.process.wait(60) != 0
    assert f"The lock of this folder stays: it may be that of process {owner.pid}: " in second.printed
    assert REFUSED in second.printed
