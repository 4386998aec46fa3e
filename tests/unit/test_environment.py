from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from sgaplus.files import sha256
from sgaplus.provenance import PACKAGES

REPOSITORY = Path(__file__).parents[2]
ENVS = REPOSITORY / "envs"
LOCKS = ("requirements.lock", "bootstrap.lock", "tools.lock")
CONDA = yaml.safe_load((ENVS / "sgaplus.yaml").read_text())


def entries(name: str) -> list[str]:
    """Requirements of a file, one string each, with their hashes and without comments."""
    lines = [line for line in (ENVS / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def requirements(name: str) -> list[Requirement]:
    return [Requirement(entry.split("--hash")[0]) for entry in entries(name)]


def pins(name: str) -> dict[str, Version]:
    """Versions that a lock gives this machine, by normalised name."""
    applying = [entry for entry in requirements(name) if entry.marker is None or entry.marker.evaluate()]
    return {canonicalize_name(entry.name): Version(str(entry.specifier).removeprefix("==")) for entry in applying}


def command(lock: str) -> list[str]:
    """The words of the refresh command in a lock's header."""
    return shlex.split(next(line for line in (ENVS / lock).read_text().splitlines() if "uv pip" in line).strip("# "))


def conda_pin(name: str) -> str:
    (pin,) = [str(one) for one in CONDA["dependencies"] if str(one).split()[0] == name]
    return pin.split("=", 1)[1]


PINS = pins("requirements.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_of_a_lock_is_one_version_with_hashes(lock):
    assert entries(lock)
    for entry in entries(lock):
        assert re.fullmatch(r"[\w.\[\]-]+==[\w.+!]+( ; .+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry), entry[:80]


@pytest.mark.parametrize("stem", ["requirements", "bootstrap", "tools"])
def test_a_lock_pins_every_requirement_within_its_bounds(stem):
    locked = pins(f"{stem}.lock")
    for wanted in requirements(f"{stem}.in"):
        assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), wanted


def test_the_lock_keeps_the_overrides():
    for override in requirements("overrides.txt"):
        assert override.specifier.contains(PINS[canonicalize_name(override.name)]), override


@pytest.mark.parametrize(
    ("package", "right"),
    [("torch", "==2.11.0"), ("torchvision", "==0.26.0"), ("compressai", "==1.2.8"), ("snakemake", ">=9.27.1,<10")],
)
def test_the_packages_that_results_hang_on_have_known_versions(package, right):
    assert SpecifierSet(right).contains(PINS[package])


def test_the_workflow_asks_for_no_newer_snakemake_than_the_lock_has():
    (least,) = re.findall(r'^min_version\("(.+)"\)', (REPOSITORY / "workflow/Snakefile").read_text(), re.MULTILINE)
    assert PINS["snakemake"] >= Version(least)


def test_every_package_whose_version_a_run_saves_is_locked():
    assert set(PACKAGES) <= set(PINS)


@pytest.mark.parametrize("file", sorted(ENVS.iterdir()), ids=lambda file: file.name)
def test_no_file_names_a_host(file):
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", file.read_text())


@pytest.mark.parametrize("lock", LOCKS)
def test_the_header_of_a_lock_says_how_to_refresh_it(lock):
    words = command(lock)
    assert words[:3] == ["uv", "pip", "compile"]
    assert {"--universal", "--generate-hashes"} <= set(words)
    assert words[words.index("-o") + 1] == lock
    sources = [word for word in words if word.endswith((".in", ".txt"))]
    assert f"{Path(lock).stem}.in" in sources
    assert all((ENVS / source).is_file() for source in sources)


def test_the_lock_is_made_with_the_overrides():
    words = command("requirements.lock")
    assert words[words.index("--override") + 1] == "overrides.txt"


@pytest.mark.parametrize("lock", ["requirements.lock", "tools.lock"])
def test_make_lock_is_the_command_of_the_header(lock):
    lines = re.findall(r"uv pip compile .*", (REPOSITORY / "Makefile").read_text())
    assert command(lock) in [shlex.split(line.replace(" --upgrade", "")) for line in lines]


@pytest.mark.parametrize("lock", LOCKS)
def test_conda_takes_the_python_that_the_locks_are_made_for(lock):
    words = command(lock)
    assert words[words.index("--python-version") + 1] == conda_pin("python")


def test_the_python_of_conda_is_one_that_the_project_supports():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert SpecifierSet(project["requires-python"]).contains(conda_pin("python"))


def test_there_is_one_version_of_uv():
    assert Version(conda_pin("uv")) == pins("bootstrap.lock")["uv"] == pins("tools.lock")["uv"]


def test_the_post_deploy_script_changes_with_the_lock_or_snakemake_would_keep_the_old_environment():
    (named,) = re.findall(r"^# ([0-9a-f]{64})$", (ENVS / "sgaplus.post-deploy.sh").read_text(), re.MULTILINE)
    assert named == sha256(ENVS / "requirements.lock")


def test_the_post_deploy_script_installs_exactly_the_lock_from_wherever_snakemake_runs(tmp_path):
    stand_in = tmp_path / "uv"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(tmp_path))}/calls\n')
    stand_in.chmod(0o755)
    environ = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "CONDA_PREFIX": "/env"}
    environ["SGAPLUS_CHECKOUT"] = str(REPOSITORY)
    script = ENVS / "sgaplus.post-deploy.sh"  # Snakemake finds it by the name of sgaplus.yaml
    subprocess.run(["bash", script], cwd=tmp_path, env=environ, check=True)
    (call,) = [call.split() for call in (tmp_path / "calls").read_text().splitlines()]
    assert call[:2] == ["pip", "sync"]  # which removes what is not locked
    assert call[call.index("--python") + 1] == "/env/bin/python"
    assert "--require-hashes" in call
    assert Path(call[-1]).samefile(ENVS / "requirements.lock")


def test_an_image_installs_exactly_the_lock(tmp_path):
    """The files that come into an image, and the commands that its script runs there."""
    for recipe in ("Containerfile", "sgaplus.def"):
        text = (ENVS / recipe).read_text()
        copied = set(re.findall(r"envs/([\w.]+)(?= |$)", re.sub("(?m)^#.*$", "", text), re.MULTILINE)) - {"install.sh"}
        assert {"bootstrap.lock", "requirements.lock"} <= copied
        assert "cd /opt/envs && sh install.sh" in text
        assert "PATH=/opt/sgaplus/bin:$PATH" in text
    script = (ENVS / "install.sh").read_text()
    commands = [line.split() for line in script.splitlines() if line.startswith("/opt/sgaplus/bin/")]
    assert [command[-1] for command in commands] == ["bootstrap.lock", "requirements.lock"]
    assert all("--require-hashes" in command for command in commands)


def test_what_builds_the_project_is_locked():
    # it is installed without build isolation
    needed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["build-system"]["requires"]
    assert {canonicalize_name(Requirement(one).name) for one in needed} <= set(PINS)


def test_what_is_installed_is_what_the_lock_says():
    wrong = {}
    for package, right in PINS.items():
        try:
            installed = version(package)
        except PackageNotFoundError:
            installed = "0+missing"
        if Version(installed) != right:
            wrong[package] = f"{installed}, locked {right}"
    assert not wrong, f"{sys.prefix} differs from envs/requirements.lock: {wrong}"
