"""What Snakemake plans and refuses, without running anything."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
import yaml
from snakemake.common.configfile import load_configfile
from snakemake.profiles import ProfileConfigFileParser
from snakemake.utils import update_config

from sgaplus.config.references import validated
from sgaplus.data.sources import make

from .conftest import REPOSITORY, checkout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def paper(clone, snakemake) -> dict[str, int]:
    """The jobs of the paper in a fresh clone, without network or data."""
    return counts(snakemake(clone, "-n", "--quiet", "rules").stdout)


def counts(printed: str) -> dict[str, int]:
    """Jobs by rule, from Snakemake's summary."""
    return {rule: int(number) for rule, number in re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE)}


def configuration(*overlays: dict) -> dict:
    """The paper's configuration with others laid over it, checked."""
    config = load_configfile(REPOSITORY / "config/config.yaml")
    for overlay in overlays:
        update_config(config, overlay)
    return validated(config)


def refinements(config: dict) -> Counter:
    """How many refinements each data set and model has: two are one if nothing that decides the result differs."""
    found = set()
    for entry in config["experiments"].values():
        if "dataset" not in entry:
            continue
        sweep = entry.get("sweep", {})
        swept = [dict(zip(sweep, values, strict=True)) for values in product(*sweep.values())]
        for model, name, seed, changes in product(entry["models"], entry["methods"], entry["seeds"], swept):
            method = config["methods"][name]
            own = {key: method[key] for key in ("lr", "tau_max", "cooling") if key in method} | method["parameters"]
            decided = tuple(sorted((own | changes).items()))
            for target in entry.get("targets", [config["models"][model]["lmbda"]]):
                found.add((entry["dataset"], model, name, seed, target, decided))
    return Counter(key[:2] for key in found)


def refinement_jobs(config: dict) -> int:
    """A job for every so many images of a data set and every so many refinements of it under a model."""
    size = config["refinement"]
    total = 0
    for (dataset, _), number in refinements(config).items():
        source = config["datasets"][dataset]
        count = source["count"] if "count" in source else len(make(source).files())
        total += math.ceil(number / size["refinements_per_job"]) * math.ceil(count / size["images_per_job"])
    return total


def brought(config: dict) -> set[str]:
    """The models that are not trained here."""
    return {name for name, model in config["models"].items() if "path" in model}


def test_a_fresh_clone_plans_the_paper_without_network_or_data(paper):
    config = configuration()
    assert not brought(config)
    assert paper["train_model"] == len(config["models"])
    assert paper["refine"] == refinement_jobs(config)


def test_a_job_per_refinement_can_be_had(clone, paper, snakemake):
    fan_out = {"refinement": {"refinements_per_job": 1, "images_per_job": 24}}
    (clone / "fan_out.yaml").write_text(yaml.safe_dump(fan_out))
    jobs = counts(snakemake(clone, "-n", "--quiet", "rules", "--configfile", "fan_out.yaml").stdout)
    config = configuration(fan_out)
    assert jobs["refine"] == refinement_jobs(config) > paper["refine"]
    chunks = {name: math.ceil(entry.get("count", 0) / 24) for name, entry in config["datasets"].items()}
    assert chunks["kodak"] == 1
    assert jobs["refine"] == sum(chunks[dataset] * number for (dataset, _), number in refinements(config).items())


def test_a_fresh_clone_plans_the_demo_without_network(clone, snakemake):
    jobs = counts(snakemake(clone, "-n", "--quiet", "rules", "--configfile", "config/demo.yaml").stdout)
    config = configuration(load_configfile(REPOSITORY / "config/demo.yaml"))
    used = {model for _, model in refinements(config)}
    assert jobs["train_model"] == len(used - brought(config))
    assert jobs["check_model"] == len(used & brought(config))
    assert jobs["refine"] == refinement_jobs(config)


def test_the_plan_tells_the_hours_on_a_gpu_that_was_measured(clone, snakemake):
    speeds = {part: [{"n": 192, "pixels": 65536, "pixels_per_second": 1e9}] for part in ("training", "refinement")}
    file = clone / "results/bench/gpu.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"device": "A GPU", "speeds": speeds}))
    try:
        printed = snakemake(clone, "-n", "--quiet").stdout
    finally:
        shutil.rmtree(file.parent)
    (line,) = (line for line in printed.splitlines() if "A GPU" in line)
    assert re.fullmatch(r"On one A GPU, .* \d+\.\d hours of refinement for the whole configuration\.", line)


def test_every_artifact_can_be_asked_for_by_name(clone, snakemake):
    numbered = [*(f"fig{number}" for number in range(1, 10)), *(f"table{number}" for number in (1, 2, 3))]
    groups = ["datasets", "models", "tables", "figures", "claims", "report"]
    targets = [*numbered, "bd_kodak", "bd_tecnick", "cost", *groups]
    jobs = counts(snakemake(clone, *targets, "-n", "--quiet", "rules", "--configfile", "config/demo.yaml").stdout)
    assert set(targets) <= jobs.keys()


def test_a_figure_asked_for_by_name_needs_only_its_own_refinements(clone, snakemake):
    jobs = counts(snakemake(clone, "fig2", "-n", "--quiet", "rules", "--configfile", "config/demo.yaml").stdout)
    assert jobs["refine"] == 1
    assert jobs["draw_figure"] == 1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("fig22", "fig22: nothing makes that. Did you mean fig2?"),
        ("results/paper/tables/bd_kodak.md", "results/paper/tables/bd_kodak.md: belongs to run 'paper'"),
    ],
)
def test_a_target_that_nothing_makes_is_told_from_one_that_is_meant(clone, snakemake, asked, message):
    printed = snakemake(clone, asked, "-n", "--configfile", "config/demo.yaml", ok=False).stdout
    assert len([line for line in printed.splitlines() if line.startswith(message)]) == 1
    assert "Building DAG" not in printed


def test_a_missing_folder_stops_what_needs_it_and_nothing_else(clone, snakemake):
    missing = {"datasets": {"gone": {"path": "/no/where"}}, "experiments": {"fig6_shape": {"dataset": "gone"}}}
    (clone / "missing.yaml").write_text(yaml.safe_dump(missing))
    demo = ("-n", "--quiet", "rules", "--configfile", "config/demo.yaml", "missing.yaml")
    assert "draw_figure" in snakemake(clone, "fig2_true_loss", *demo).stdout
    printed = snakemake(clone, "fig6", *demo, ok=False).stdout
    assert "datasets.gone: /no/where: no such folder" in printed


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"refinement": {"record_evry": 3}}, "refinement: unknown key 'record_evry'. Did you mean 'record_every'?"),
        ({"refinment": {}}, "unknown key 'refinment'. Did you mean 'refinement'?"),
        ({"training": {"lr": -1}}, "training.lr: -1"),
        ({"device": "gpu"}, "device: 'gpu' is not one of"),
        ({"experiments": {"fig2_true_loss": {"methods": ["sll"]}}}, "no entry 'sll'. Did you mean 'ssl'?"),
        ({"methods": {"ssl": {"rounding": "sls"}}}, "methods.ssl.rounding"),
        ({"methods": {"ssl": {"parameters": {"b": 2}}}}, "methods.ssl"),
        ({"datasets": {"kodak": {"count": None}}}, "datasets.kodak.count"),
    ],
)
def test_a_wrong_configuration_stops_before_the_dag_with_one_clear_line(clone, snakemake, overlay, message):
    (clone / "wrong.yaml").write_text(yaml.safe_dump(overlay))
    printed = snakemake(clone, "-n", "--configfile", "wrong.yaml", ok=False).stdout
    assert len([line for line in printed.splitlines() if message in line]) == 1
    assert "Building DAG" not in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("run: a\nmethods:\n  ssl:\n    color: nocolour\n", "line 4: methods.ssl.color: Matplotlib has no colour"),
        ("run: a\ndevice: cpu\nrun: b\n", "line 3: 'run' is in line 1 too. Keep one."),
        (f"run: {'a' * 300}\n", "line 1: run: 'aaa"),
        ("training: {crops_per_image: 5}\n", "line 1: training.crops_per_image: 5 does not divide the batch_size 32"),
        ("\ndata_folder: Makefile\n", "line 2: data_folder: Makefile is a file. Name a folder."),
        ("experiments: {fig5_qualitative: {image: odd}}\n", "line 1: experiments.fig5_qualitative.image: no 'odd' in"),
        ("datasets: {imagenet: {archive: no.tar}}\n", "line 1: datasets.imagenet.archive: no.tar is no file."),
    ],
)
def test_a_mistake_is_named_with_the_users_file_and_line(clone, snakemake, content, message):
    (clone / "mine.yaml").write_text(content)
    printed = snakemake(clone, "-n", "--configfile", "mine.yaml", ok=False).stdout
    assert len([line for line in printed.splitlines() if line.startswith(f"mine.yaml, {message}")]) == 1
    assert "Building DAG" not in printed
    assert "Traceback" not in printed


def test_the_default_profile_counts_one_gpu_and_one_download(clone):
    profile = yaml.safe_load((clone / "profiles/default/config.yaml").read_text())
    assert profile["resources"] == {"gpu": 1, "downloads": 1}


def test_the_cluster_profile_plans_the_same_jobs_and_has_one_name_for_a_gpu(clone, paper, snakemake):
    plan = ("-n", "--quiet", "rules", "--workflow-profile", "profiles/slurm")
    assert counts(snakemake(clone, *plan).stdout) == paper
    profile = yaml.safe_load((clone / "profiles/slurm/config.yaml").read_text())
    assert "gpu" not in profile["resources"]  # a limit would count over the whole cluster
    assert profile["set-resource-scopes"] == {"gpu": "local"}
    assert profile["slurm-status-command"] == "squeue"
    # what SLURM remembers for less than three times these is asked of sacct; the plugin's longest pause is 180 s
    assert 3 * profile["slurm-init-seconds-before-status-checks"] >= 180
    assert "slurm-array-jobs" not in profile
    here = yaml.safe_load((clone / "profiles/default/config.yaml").read_text())
    shared = [key for key in here if key != "resources"]
    assert {key: profile[key] for key in shared} == {key: here[key] for key in shared}


def profile_of(folder: Path) -> dict[str, list[str]]:
    """The options that Snakemake takes from the cluster's profile."""
    with open(folder / "profiles/slurm/config.yaml") as file:
        return {key: value for key, value in ProfileConfigFileParser().parse(file).items() if isinstance(value, list)}


def test_a_users_account_and_partitions_lie_in_a_file_of_their_own(clone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = profile_of(clone)
    assert shipped["default-resources"] == ["runtime=60 * attempt", "nodes=1"]
    shutil.copy(clone / "profiles/slurm/example.yaml", "slurm.yaml")
    mine = profile_of(clone)
    assert mine["default-resources"] == [
        *shipped["default-resources"],
        "slurm_account=my_project",
        "slurm_partition=cpu",
    ]
    partitions = [f"{rule}:slurm_partition=gpu" for rule in ("train_model", "refine", "selftest")]
    assert sorted(mine["set-resources"]) == sorted([*shipped["set-resources"], *partitions])
    Path("slurm.yaml").write_text("set-resources: {train_model: {runtime: 60}, index_dataset: {qos: long}}")
    assert {"train_model:runtime=60", "index_dataset:qos=long"} <= set(profile_of(clone)["set-resources"])
    assert "train_model:runtime=2880" not in profile_of(clone)["set-resources"]


def test_a_mistake_in_the_users_file_is_told(clone, snakemake):
    (clone / "slurm.yaml").write_text("partition: gpu")
    try:
        printed = snakemake(clone, "-n", "--workflow-profile", "profiles/slurm", ok=False).stdout
    finally:
        (clone / "slurm.yaml").unlink()
    assert "slurm.yaml has {'partition'}; it may have default-resources and set-resources" in printed


def test_a_run_for_slurm_where_there_is_none_ends_with_a_sentence(clone, snakemake, tmp_path):
    for program in ("bash", "cat", "env", "git", "sh", "which"):
        (tmp_path / program).symlink_to(shutil.which(program))
    options = ("--workflow-profile", "profiles/slurm", "--configfile", "config/demo.yaml")
    printed = snakemake(clone, "fig1", *options, ok=False, PATH=str(tmp_path)).stdout
    assert printed.count("The jobs are for SLURM, and this machine has no sbatch.") == 1
    assert "Traceback" not in printed


def test_retries_are_the_clusters_profile_s_and_no_rule_s(clone, rules):
    """A rule's own retries would run again inside the same allocation."""
    assert yaml.safe_load((clone / "profiles/slurm/config.yaml").read_text())["retries"] > 0
    assert [name for name, rule in rules.items() if rule.ruleinfo.retries is not None] == []


def test_every_rule_that_a_cluster_runs_gets_more_memory_on_a_retry(workflow, rules):
    local = workflow._localrules
    assert {"download", "download_model", "make_table", "draw_figure"} <= local < rules.keys()
    for name, rule in rules.items():
        first, second = (rule.resources["mem_mb"].evaluate(None, attempt=attempt).value for attempt in (1, 2))
        assert (second > first) == (name not in local), name


CONDA = """#!/bin/sh
case "$*" in
"info --json") echo '{"platform": "linux-64", "conda_prefix": "/opt/conda", "root_prefix": "/opt/conda"}' ;;
--version) echo conda 24.9.1 ;;
*channel_priority*) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
"""


@pytest.mark.parametrize(
    ("program", "says", "options", "expected"),
    [
        ("conda", CONDA, ["conda"], "Conda environment envs/sgaplus.yaml will be created."),
        (
            *("apptainer", "#!/bin/sh\necho apptainer version 1.3.0\n"),
            *(["apptainer", "--config", "container=docker://example.org/sgaplus"],),
            "Singularity image docker://example.org/sgaplus will be pulled.",
        ),
    ],
)
def test_jobs_can_have_their_software_from_conda_or_a_container(
    clone, snakemake, offline, monkeypatch, tmp_path, program, says, options, expected
):
    """A stand-in answers what Snakemake asks of the program before it plans."""
    (tmp_path / program).write_text(says)
    (tmp_path / program).chmod(0o755)
    monkeypatch.setitem(offline, "PATH", f"{tmp_path}:{offline['PATH']}")
    demo = ("--workflow-profile", "profiles/slurm", "--configfile", "config/demo.yaml")
    assert expected in snakemake(clone, "fig1", "-n", *demo, "--sdm", *options).stdout


def test_every_rule_has_what_a_rule_must_have(rules):
    """Message, log, benchmark, software, threads, resources, and names for all its inputs, outputs and parameters."""
    for name, rule in rules.items():
        for directive in ("output", "log", "benchmark", "conda_env", "threads", "resources", "message"):
            assert getattr(rule.ruleinfo, directive) is not None, f"rule {name} has no {directive}"
        for files in (rule.ruleinfo.input, rule.ruleinfo.output):
            assert not (files and files.paths), f"rule {name}: unnamed {files.paths}"
        assert not (rule.ruleinfo.params and rule.ruleinfo.params[0]), f"rule {name}: unnamed parameters"


def test_what_can_be_asked_for_is_listed_with_what_it_makes(clone, snakemake):
    listed = snakemake(clone, "--list-rules", "--configfile", "config/demo.yaml").stdout
    rules = re.findall(r"^(\w+)( \(.+\))?$", listed, re.MULTILINE)
    assert {"all", "models", "report", "refine", "fig2", "trained_here"} <= {name for name, _ in rules}
    assert [name for name, text in rules if not text] == []
    assert ("fig2", " (Figure 2: refinement over steps)") in rules
