"""Started from another folder, as a module, deployed: files come from the workflow, results lie where the user is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .conftest import PAPER, REPOSITORY, checkout
from .test_plan import counts

MODEL = "results/demo/models/small_lmbda0.001/model.pth"
"""What a job makes in seconds from a file that ships with the workflow."""

PLAN = ("-n", "--quiet", "rules")

# As snakedeploy writes it.
DEPLOYED = """
from snakemake.utils import min_version

min_version("6.10.0")

configfile: "config/config.yaml"

module sgaplus:
    snakefile:
        {snakefile}
    config:
        config

use rule * from sgaplus
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    return checkout(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def demo(clone, snakemake) -> dict[str, int]:
    """The jobs of the demo, planned in the workflow's own folder."""
    return counts(snakemake(clone, *PLAN, "--configfile", "config/demo.yaml").stdout)


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts and ".snakemake" not in path.parts}


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_from_another_folder_the_files_are_the_workflows_and_the_results_the_users(
    clone, tmp_path, snakemake, demo, snakefile
):
    before = files(clone)
    options = ("--snakefile", str(clone / snakefile), "--configfile", str(clone / "config/demo.yaml"))
    assert counts(snakemake(tmp_path, *PLAN, *options).stdout) == demo
    snakemake(tmp_path, MODEL, "--cores", "1", *options)
    assert (tmp_path / MODEL).is_file()
    assert files(clone) == before


def test_results_lie_in_the_directory_that_is_named(clone, tmp_path, snakemake, demo):
    options = ("--directory", str(tmp_path), "--configfile", "config/demo.yaml")
    assert counts(snakemake(clone, *PLAN, *options).stdout) == demo
    snakemake(clone, MODEL, "--cores", "1", *options)
    assert (tmp_path / MODEL).is_file()


def test_the_configuration_of_the_users_folder_lies_over_the_papers(clone, tmp_path, snakemake, demo):
    (tmp_path / "config").mkdir()
    shutil.copy(clone / "config/demo.yaml", tmp_path / "config/config.yaml")
    assert counts(snakemake(tmp_path, *PLAN, "--snakefile", str(clone / "Snakefile")).stdout) == demo
    (tmp_path / "config/config.yaml").write_text("device: gpu\n")
    printed = snakemake(tmp_path, *PLAN, "--snakefile", str(clone / "Snakefile"), ok=False).stdout
    assert "config/config.yaml, line 1: device: 'gpu' is not one of" in printed


def test_a_workflow_that_uses_this_one_has_rules_of_its_own_and_says_only_what_differs(clone, tmp_path, snakemake):
    (tmp_path / "Snakefile").write_text(
        f"""
module sgaplus:
    snakefile: "{clone}/workflow/Snakefile"
    config: {{"run": "mine", "device": "cpu"}}

use rule * from sgaplus as sgaplus_*

rule mine:
    input: "results/mine/figures/fig2_true_loss.pdf"
"""
    )
    jobs = counts(snakemake(tmp_path, "mine", *PLAN).stdout)
    assert jobs["mine"] == jobs["sgaplus_draw_figure"] == 1
    listed = snakemake(tmp_path, "--list-rules").stdout
    assert "sgaplus_fig2 (Figure 2: refinement over steps)" in listed


def test_a_single_rule_can_be_used(clone, tmp_path, snakemake):
    module = f'module sgaplus:\n    snakefile: "{clone}/workflow/Snakefile"\n    config: {{}}\n'
    (tmp_path / "Snakefile").write_text(f"{module}\nuse rule list_datasets, index_dataset from sgaplus\n")
    listed = snakemake(tmp_path, "--list-rules").stdout
    assert [line.split(" ")[0] for line in listed.splitlines() if "(" in line] == ["index_dataset", "list_datasets"]


def test_a_prefix_is_refused_because_parameters_name_folders_too(clone, tmp_path, snakemake):
    module = f'module sgaplus:\n    snakefile: "{clone}/workflow/Snakefile"\n    config: {{}}\n    prefix: "mine"\n'
    (tmp_path / "Snakefile").write_text(f"{module}\nuse rule * from sgaplus\n")
    assert "prefix: not supported" in snakemake(tmp_path, *PLAN, ok=False).stdout


@pytest.fixture
def hosted(clone, tmp_path_factory) -> dict[str, str]:
    """Variables with which git takes a repository on this machine for one on GitHub."""
    bare = tmp_path_factory.mktemp("hosted")
    work = shutil.copytree(clone, bare / "work", ignore=shutil.ignore_patterns("results", ".snakemake"))
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    for command in (["init", "--initial-branch=main"], ["add", "--all"], [*identity, "commit", "--message=all"]):
        subprocess.run(["git", *command], cwd=work, check=True, capture_output=True)
    rewritten = {"KEY_0": f"url.{work}.insteadOf", "VALUE_0": "https://github.com/someone/sgaplus"}
    variables = {f"GIT_CONFIG_{key}": value for key, value in ({"COUNT": "1"} | rewritten).items()}
    return variables | {"XDG_CACHE_HOME": str(bare / "cache")}


def test_what_snakedeploy_writes_runs(clone, tmp_path, snakemake, hosted, demo):
    """It copies config/ and profiles/, and names a commit on GitHub, whose files Snakemake fetches one by one."""
    for part in ("config", "profiles"):
        shutil.copytree(clone / part, tmp_path / part)
    (tmp_path / "workflow").mkdir()
    github = 'github("someone/sgaplus", path="workflow/Snakefile", branch="main")'
    (tmp_path / "workflow/Snakefile").write_text(DEPLOYED.format(snakefile=github))
    options = ("--configfile", "config/demo.yaml")
    assert counts(snakemake(tmp_path, *PLAN, *options, PYTHONPATH="", **hosted).stdout) == demo
    snakemake(tmp_path, MODEL, "--cores", "1", *options, PYTHONPATH="", **hosted)
    assert (tmp_path / MODEL).is_file()


def test_the_report_can_be_written_from_elsewhere(clone, tmp_path, snakemake):
    """A Snakemake of its own writes it, which finds the workflow that the user started."""
    config = {
        **{
            "run": "small",
            "experiments": {name: None for name in PAPER["experiments"] if name != "fig1_probabilities"},
        },
        "claims": dict.fromkeys(PAPER["claims"]),
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(config))
    options = ("--snakefile", str(clone / "Snakefile"), "--configfile", "small.yaml", "--cores", "1")
    snakemake(tmp_path, "report", *options)
    assert "probability of each candidate" in (tmp_path / "results/small/report.html").read_text()


# The workflow catalogue's standard


def test_the_catalogue_finds_what_it_looks_for():
    usage = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"] == {"conda": True, "apptainer": True}
    assert usage["report"] is True
    for file in ("workflow/Snakefile", "config/README.md", "config/config.yaml", "LICENSE", ".test/config/config.yaml"):
        assert (REPOSITORY / file).is_file()


@pytest.mark.parametrize(
    "command",
    [
        ["snakefmt", "--check", "--line-length", "88", "workflow"],
        ["snakemake", "--lint", "--snakefile", "workflow/Snakefile"],
    ],
    ids=lambda command: command[0],
)
def test_the_catalogue_s_checks_pass(command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_test_case_of_the_catalogue_is_the_demo(clone, snakemake, demo):
    shutil.copytree(REPOSITORY / ".test", clone / ".test", symlinks=True)
    printed = snakemake(clone, *PLAN, "--directory", ".test", "--snakefile", "workflow/Snakefile").stdout
    assert counts(printed) == demo
