"""A SLURM cluster on this machine, from Debian's packages: a controller, two nodes with two simulated GPUs each.

Everything lies in one folder and runs as the user who starts it; nothing of a cluster that this machine
may already belong to is used or changed. There is no accounting database: ``jobs`` asks the controller.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "munge")
NEEDED = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "munged")
NODES = ("n1", "n2")
GPUS = ("/dev/null", "/dev/zero")  # of each node; a GPU must be a device file, and nothing is done with it

CONFIG = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# cred_expire is also how many seconds a requeued job waits
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=2,sched_interval=2
MinJobAge=86400
KillWait=5
# a node that is silent for so long has failed; its jobs go back into the queue
SlurmdTimeout=20
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=n1 {node} Port={n1_port} Gres=gpu:2
NodeName=n2 {node} Port={n2_port} Gres=gpu:2
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""
NODE = "NodeHostname=localhost NodeAddr=127.0.0.1 CPUs=3 CoresPerSocket=3 RealMemory=16000 State=UNKNOWN"


def missing() -> list[str]:
    """The programs that a cluster needs and this machine has not."""
    return [program for program in NEEDED if not shutil.which(program, path=_path())]


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"  # where daemons are, for users who have no business there


def wait_until(what: str, true: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is true; an error that says what did not happen if it takes too long."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.2)


class Cluster:
    """A running cluster; a context manager that stops it and all its jobs.

    Args:
        folder: An existing folder for its files. Its path must be short, as it holds sockets.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{_path()}",
        }
        self.children: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Self:
        self._write_files()
        try:
            self._start_munge()
            self._start("slurmctld", "slurmctld", "-D", "-i")
            wait_until("the controller answers", lambda: self._run("scontrol", "ping").returncode == 0)
            for node in NODES:
                self.start_node(node)
            wait_until("both nodes are idle", lambda: self._nodes() == ["idle"] * len(NODES))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if "slurmctld" in self.children:
            self._run("scancel", "--user", _user())
            with suppress(TimeoutError):
                wait_until("all jobs have ended", lambda: not self._run("squeue", "-h").stdout, 15)
        for name in [*NODES, "slurmctld", "munged"]:
            self._stop(name)
        # Snakemake within a job, told to end, waits for what it has started
        kill(list(self._processes()))

    def _write_files(self) -> None:
        for name in ("state", "bin", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        ports = dict(zip(("controller_port", "n1_port", "n2_port"), free_ports(3), strict=True))
        text = CONFIG.format(folder=self.folder, user=_user(), node=NODE, **ports)
        (self.folder / "slurm.conf").write_text(text)
        gres = "".join(f"NodeName={node} Name=gpu File={device}\n" for node in NODES for device in GPUS)
        (self.folder / "gres.conf").write_text(gres)
        # The plugin takes SLURM_CONF out of srun's environment. Where the file is /etc/slurm/slurm.conf nobody minds.
        srun = self.folder / "bin/srun"
        real = shutil.which("srun", path=_path())
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {real} "$@"\n')
        srun.chmod(0o755)

    def _start_munge(self) -> None:
        places = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={self.folder}/munge.{suffix}" for option, suffix in places.items()]
        self._start("munged", "munged", "--foreground", "--force", *options)
        wait_until("munged listens", (self.folder / "munge.socket").exists)

    def _start(self, name: str, *command: str) -> None:
        with open(self.folder / f"{name}.out", "ab") as out:
            self.children[name] = subprocess.Popen(
                command, env=self.environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def _stop(self, name: str) -> None:
        child = self.children.pop(name, None)
        if child is None:
            return
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _run(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=60)

    def _nodes(self) -> list[str]:
        return self._run("sinfo", "--noheader", "--Node", "--format=%t").stdout.split()

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        self._start(node, "slurmd", "-D", "-N", node)

    def crash_node(self, node: str) -> None:
        """What a power failure does: the node's daemon and all that runs on the node is killed at once."""
        daemon = self.children.pop(node)
        jobs = {job["JobId"] for job in self.jobs() if job["JobState"] == "RUNNING" and job["NodeList"] == node}
        victims = [
            process for process, environment in self._processes().items() if environment.get("SLURM_JOB_ID") in jobs
        ]
        watchers = [parent for process in victims if (parent := process.parent()) and "slurmstepd" in parent.name()]
        kill([psutil.Process(daemon.pid), *watchers, *victims])
        daemon.wait()

    def _processes(self) -> dict[psutil.Process, dict[str, str]]:
        """The processes that this cluster and its users have started, and their environment."""
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                if environment.get("SLURM_CONF") == self.environment["SLURM_CONF"]:
                    found[process] = environment
        return found

    def cancel(self, job: dict[str, str]) -> None:
        """What a user or an administrator does to one job."""
        assert self._run("scancel", job["JobId"]).returncode == 0

    def jobs(self, rule: str = "") -> list[dict[str, str]]:
        """What the controller knows of all jobs so far, or of one rule's, oldest first."""
        lines = self._run("scontrol", "--oneliner", "show", "jobs").stdout.splitlines()
        found = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if "JobId=" in line]
        mine = [job for job in found if re.match(rf"rule_{rule}(_wildcards_|$)" if rule else "", job["Comment"])]
        return sorted(mine, key=lambda job: int(job["JobId"]))


def kill(processes: list[psutil.Process]) -> None:
    """End processes as a power failure does."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _user() -> str:
    return psutil.Process().username()
