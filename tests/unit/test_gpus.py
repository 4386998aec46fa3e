from __future__ import annotations

import random
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

JOB = """
import sys
import time
from pathlib import Path
from sgaplus.gpus import claim
names, number, folder, seconds = sys.argv[1].split(","), int(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
print(*(names[index] for index in claim(names, number, folder)), flush=True)
time.sleep(seconds)
"""
FOUR = "a,b,c,d"


def start(folder: Path, names: str = FOUR, number: int = 1, seconds: float = 1.0) -> subprocess.Popen:
    command = [sys.executable, "-c", JOB, names, str(number), str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def taken(job: subprocess.Popen) -> set[str]:
    """The GPUs of a job, once it has them."""
    return set(job.stdout.readline().split())


def next_of(waiting: list[subprocess.Popen]) -> subprocess.Popen:
    """The first job that has a GPU, taken from those that wait."""
    ready, _, _ = select.select([job.stdout for job in waiting], [], [], 60)
    return waiting.pop([job.stdout for job in waiting].index(ready[0]))


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_eight_jobs_share_four_gpus_never_two_on_one_and_a_free_one_is_taken(tmp_path, kill):
    jobs = [start(tmp_path, seconds=60) for _ in range(4)]
    have = {job: taken(job) for job in jobs}
    assert set.union(*have.values()) == {"a", "b", "c", "d"}
    waiting = [start(tmp_path, seconds=60) for _ in range(4)]
    random.Random(0).shuffle(jobs)
    for job in jobs:
        assert not select.select([other.stdout for other in waiting], [], [], 0.5)[0]
        job.send_signal(kill)
        follower = next_of(waiting)
        have[follower] = taken(follower)
        assert have[follower] == have[job]
    for job in have:
        job.kill()
        job.communicate()


def test_a_training_takes_several_and_waits_for_all_of_them(tmp_path):
    single = start(tmp_path, names="a,b", seconds=1)
    assert taken(single) == {"a"}
    several = start(tmp_path, names="a,b", number=2, seconds=0)
    other = start(tmp_path, names="a,b", number=2, seconds=0)
    assert taken(several) == taken(other) == {"a", "b"}
    for job in (single, several, other):
        job.communicate(timeout=60)


def test_jobs_that_see_different_gpus_know_them_by_their_names(tmp_path):
    first = start(tmp_path, names="b", seconds=60)  # as a scheduler's CUDA_VISIBLE_DEVICES leaves it
    assert taken(first) == {"b"}
    second = start(tmp_path, names="b,a", seconds=0)
    assert taken(second) == {"a"}
    for job in (first, second):
        job.kill()
        job.communicate()


def test_a_process_keeps_the_gpus_that_it_has(tmp_path):
    code = (
        "from pathlib import Path; from sgaplus.gpus import claim; import sys; "
        "print(*(claim(['a', 'b', 'c'], n, Path(sys.argv[1])) for n in (1, 1, 2)))"
    )
    printed = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True).stdout
    assert printed == "[0] [0] [0, 1]\n"
