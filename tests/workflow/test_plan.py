"""What Snakemake plans and refuses, without running anything."""

from __future__ import annotations

import re

import pytest
import yaml

from .conftest import checkout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("clone"))


def counts(printed: str) -> dict[str, int]:
    """Jobs by rule, from Snakemake's summary."""
    return {rule: int(number) for rule, number in re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE)}


def test_a_fresh_clone_plans_the_paper_without_network_or_data(clone, snakemake):
    jobs = counts(snakemake(clone, "-n", "--quiet", "rules").stdout)
    assert jobs["train_model"] == 7
    # twenty refinements a job: under the model of lambda 0.01 130 on Kodak, under each of the others 17 (eleven
    # methods, and SSL toward six other lambdas); on Tecnick four under each
    kodak = 7 + 6 * 1
    tecnick = 7 * 1
    assert jobs["refine"] == kodak + 4 * tecnick  # 24 and 100 images, 25 a job


def test_a_job_per_refinement_can_be_had(clone, snakemake):
    (clone / "fan_out.yaml").write_text("refinement: {refinements_per_job: 1, images_per_job: 24}")
    jobs = counts(snakemake(clone, "-n", "--quiet", "rules", "--configfile", "fan_out.yaml").stdout)
    assert jobs["refine"] == (130 + 6 * 17) + 5 * 7 * 4


def test_a_fresh_clone_plans_the_demo_without_network(clone, snakemake):
    jobs = counts(snakemake(clone, "-n", "--quiet", "rules", "--configfile", "config/demo.yaml").stdout)
    assert jobs["train_model"] == 1
    assert jobs["check_model"] == 7
    # sixteen a job: one job per model and data set, but for the model of lambda 0.01 on the small photographs
    assert jobs["refine"] == 7 + (6 + 5) + 7 + 1


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


def test_the_default_profile_counts_one_gpu_and_one_download(clone):
    profile = yaml.safe_load((clone / "profiles/default/config.yaml").read_text())
    assert profile["resources"] == {"gpu": 1, "downloads": 1}


def test_the_cluster_profile_plans_the_same_jobs_and_has_one_name_for_a_gpu(clone, snakemake):
    plan = ("-n", "--quiet", "rules")
    here = counts(snakemake(clone, *plan).stdout)
    assert counts(snakemake(clone, *plan, "--workflow-profile", "profiles/slurm").stdout) == here
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


def test_retries_are_the_clusters_profile_s_and_no_rule_s(clone):
    """A rule's own retries would run again inside the same allocation."""
    assert yaml.safe_load((clone / "profiles/slurm/config.yaml").read_text())["retries"] > 0
    for path in (clone / "workflow/rules").glob("*.smk"):
        assert not re.search(r"^    retries:", path.read_text(), re.MULTILINE), f"{path.name}: a rule has retries"


def test_every_rule_that_a_cluster_runs_gets_more_memory_on_a_retry(clone):
    text = "\n".join(path.read_text() for path in (clone / "workflow/rules").glob("*.smk"))
    local = {
        name
        for block in re.findall(r"^localrules:\n((?:    \w+,\n)+)", text, re.MULTILINE)
        for name in re.findall(r"\w+", block)
    }
    assert {"download", "download_model", "make_table", "draw_figure"} <= local
    for rule in re.split(r"^rule ", text, flags=re.MULTILINE)[1:]:
        name = rule.split(":")[0]
        assert (name in local) != ("mem_mb=growing(" in rule), f"rule {name}"


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


def test_every_rule_has_what_a_rule_must_have(clone):
    """Named inputs and outputs, message, log, benchmark, threads, resources, on every rule that runs something."""
    for path in (clone / "workflow/rules").glob("*.smk"):
        for text in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            name = text.split(":")[0]
            for directive in ("output", "log", "benchmark", "conda", "threads", "resources", "message"):
                assert re.search(rf"^    {directive}:", text, re.MULTILINE), f"rule {name} has no {directive}"
            for directive in ("input", "output"):
                block = re.search(rf"^    {directive}:\n((?:        .*\n)+)", text, re.MULTILINE)
                if block:
                    assert re.match(r" {8}\w+=", block[1]), f"rule {name}: unnamed {directive}"
