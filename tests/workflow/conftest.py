"""A checkout of the project to run the workflow in, and a configuration of seconds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from snakemake.api import SnakemakeApi
from snakemake.rules import Rule
from snakemake.settings.types import OutputSettings, ResourceSettings
from snakemake.workflow import Workflow

REPOSITORY = Path(__file__).parents[2]
LIBRARY = "workflow/sgaplus"
PARTS = ("Makefile", "Snakefile", "config", "envs", "profiles", "workflow")

NO_NETWORK = """
import socket

connect = socket.socket.connect

def refuse(self, address):
    if address[0] != "127.0.0.1":
        raise AssertionError(f"the network was asked for: {address}")
    connect(self, address)

socket.socket.connect = refuse
"""

# What a rule's script calls of the library, for a test of what its identity covers: modules and names. Functions
# note themselves, since a trace of every call makes a bootstrap ten times slower. Calls that build a module's constants
# do not count: every script that imports the module makes them, and a constant is covered where it is used.
TRACE = """
import ast, atexit, json, os, sys
from importlib.machinery import SourceFileLoader

def trace(folder, script):
    called, importing = set(), []
    sys.called = lambda name: importing or called.add(name)
    load, execute = SourceFileLoader.get_code, SourceFileLoader.exec_module

    def get_code(loader, module):
        if not module.startswith("sgaplus."):
            return load(loader, module)
        tree = ast.parse(loader.get_data(loader.path))
        for top in tree.body:
            for node in [top, *getattr(top, "body", [])]:
                if isinstance(node, ast.FunctionDef):
                    node.body[:0] = ast.parse(f"__import__('sys').called({(module, top.name)!r})").body
        return compile(ast.fix_missing_locations(tree), loader.path, "exec")

    def exec_module(loader, module):
        importing.append(module)
        try:
            execute(loader, module)
        finally:
            importing.pop()

    def save():
        with open(os.path.join(folder, f"{script}.{os.getpid()}.json"), "w") as file:
            json.dump(sorted(called), file)

    SourceFileLoader.get_code, SourceFileLoader.exec_module = get_code, exec_module
    atexit.register(save)

if "SGAPLUS_TRACE" in os.environ and ".snakemake/scripts" in sys.orig_argv[-1]:
    trace(os.environ["SGAPLUS_TRACE"], sys.orig_argv[-1].split(".")[-2])
"""

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="session")
def offline(tmp_path_factory) -> dict[str, str]:
    """An environment in which Python cannot open connections, but for those to this machine."""
    folder = tmp_path_factory.mktemp("offline")
    (folder / "sitecustomize.py").write_text(NO_NETWORK + TRACE)
    return os.environ | {"PYTHONPATH": str(folder), "NO_PROXY": "127.0.0.1"}


def checkout(folder: Path) -> Path:
    """The project's files, without results."""
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, folder / part)
    return folder


def environment(folder: Path, offline: dict[str, str]) -> dict[str, str]:
    """The environment of a run: the checkout's library, not the installed one, and no network."""
    return offline | {"PYTHONPATH": f"{folder / 'workflow'}:{offline['PYTHONPATH']}"}


@pytest.fixture(scope="session")
def snakemake(offline) -> Run:
    """Runs Snakemake in a folder and returns what it printed; ``ok=False`` expects a failure.

    Other keywords are environment variables.
    """

    def run(folder: Path, *arguments: str, ok: bool = True, **variables: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "snakemake", *arguments]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(folder, offline) | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1200,
            check=False,
        )
        assert (done.returncode == 0) == ok, done.stdout
        return done

    return run


@pytest.fixture(scope="session")
def workflow() -> Workflow:
    """The workflow as Snakemake reads it."""
    with SnakemakeApi(OutputSettings()) as api:
        read = api.workflow(ResourceSettings(), snakefile=REPOSITORY / "Snakefile", workdir=REPOSITORY)
        return read._workflow


@pytest.fixture(scope="session")
def rules(workflow) -> dict[str, Rule]:
    """The rules that run something, by name; the others are targets."""
    return {rule.name: rule for rule in workflow.rules if rule.script or rule.shellcmd}


CONFIG = ("--configfile", "tiny.yaml", "--cores", "2")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, snakemake) -> Path:
    """A checkout in which the tiny configuration has run to its end. What its scripts ran is in ``trace``.

    It takes minutes, and its tests change it for a while: they run in one process (``TOGETHER`` in tests/conftest.py).
    """
    folder = checkout(tmp_path_factory.mktemp("tiny"))
    photographs(folder / "pictures")
    write_config(folder)
    (folder / "trace").mkdir()
    snakemake(folder, *CONFIG, SGAPLUS_TRACE=str(folder / "trace"))
    return folder


def started(printed: str) -> list[str]:
    """The messages of the jobs that ran."""
    return re.findall(r"^Job \d+: (.*)$", printed, re.MULTILINE)


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    """A file with a text replaced, for a while."""
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    try:
        yield
    finally:
        path.write_text(before)


def photographs(folder: Path) -> None:
    """Pictures of awkward shapes and modes, large enough to train on and small enough to be quick."""
    folder.mkdir()
    rng = np.random.default_rng(0)

    def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, channels), dtype=np.uint8))
        return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))

    Image.fromarray(picture(70, 90)).save(folder / "odd.png")
    Image.fromarray(picture(64, 64)).convert("L").save(folder / "gray.png")
    Image.fromarray(picture(80, 64, 4), "RGBA").save(folder / "transparent.png")
    Image.new("RGB", (1, 1), "red").save(folder / "dot.png")


PAPER = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())


def tiny(entry: dict) -> dict:
    """What makes an experiment of the paper one of seconds, with everything that it is about."""
    if "dataset" not in entry:
        return {}
    changes = {
        **{"dataset": "large" if "quality" in entry else "pictures"},
        **{"models": ["low", "high"] if len(entry["models"]) > 1 else ["low"]},
        **{"steps": [2, 4] if len(entry["steps"]) > 1 else [4], "seeds": [0]},
    }
    if "targets" in entry:
        changes["targets"] = [0.01, 0.05]
    if "anchors" in entry:
        changes["anchors"] = ["jpeg", "jxl"]  # nobody published curves of these pictures
    if "image" in entry:
        changes |= {"image": "odd", "enlarge": [[0, 0, 32, 24]]}
    if "sweep" in entry:
        changes["sweep"] = {parameter: [values[0], values[-1]] for parameter, values in entry["sweep"].items()}
    return changes


def tiny_claim(claim: dict) -> dict | None:
    """What fits a claim to the tiny experiments: their step counts, values and models; None where nothing does."""
    if "published" in claim or claim["check"] == "gains_most_at_the_ends":
        return None  # nobody published numbers of these pictures; two models have none between them
    changes: dict = {}
    if "steps" in claim:
        changes["steps"] = 4 if claim["steps"] == max(PAPER["experiments"][claim["experiment"]]["steps"]) else 2
    if "values" in claim:
        ((_, swept),) = PAPER["experiments"][claim["experiment"]]["sweep"].items()
        both = claim["check"] in ("equal_values", "steady_values", "lower_loss_at")
        changes["values"] = [swept[0], swept[-1]] if both else [swept[-1]]
    return changes


TINY = {
    "run": "tiny",
    "notice": "Only a test.",
    "device": "cpu",
    "datasets": {
        "pictures": {"path": "pictures"},
        "large": {"package": "skimage.data", "files": ["camera.png", "coffee.png"], "crop": [170, 161]},
    },
    "training": {
        **{"batch_size": 2, "crop": 64, "lr": 2.0e-3, "warmup_steps": 2, "latent_gain": 10, "precision": "float32"},
        **{"log_every": 5, "evaluate_on": "pictures", "evaluate_every": 10, "workers": 0, "threads": 1},
    },
    "models": {
        "low": {"lmbda": 0.01, "N": 8, "M": 8, "steps": 20, "dataset": "pictures"},
        "high": {"lmbda": 0.05, "N": 8, "M": 8, "steps": 10, "dataset": "pictures", "start_from": "low"},
    },
    "refinement": {
        **{"images_per_job": 3, "refinements_per_job": 30, "record_every": 2, "memory_mb": 500, "threads": 1},
    },
    "methods": {"ssl_fast": {"steps": 4}},
    "experiments": {name: tiny(entry) for name, entry in PAPER["experiments"].items()},
    "comparison": {"images": ["odd", "gray"], "models": ["low", "high"]},
    "claims": {name: tiny_claim(claim) for name, claim in PAPER["claims"].items()},
}


def write_config(folder: Path, changes: dict | None = None, name: str = "tiny.yaml") -> None:
    """The tiny configuration, with top-level keys replaced."""
    (folder / name).write_text(yaml.safe_dump(TINY | (changes or {})))
