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
    # eight refinements a job: under the model of lambda 0.01 127 on Kodak, under each of the others 16 (ten
    # methods, and SSL toward six other lambdas); on Tecnick four under each
    kodak = 16 + 6 * 2
    tecnick = 7 * 1
    assert jobs["refine"] == 3 * kodak + 13 * tecnick  # 24 and 100 images, eight a job


def test_a_job_per_refinement_can_be_had(clone, snakemake):
    (clone / "fan_out.yaml").write_text("refinement: {refinements_per_job: 1, images_per_job: 24}")
    jobs = counts(snakemake(clone, "-n", "--quiet", "rules", "--configfile", "fan_out.yaml").stdout)
    assert jobs["refine"] == (127 + 6 * 16) + 5 * 7 * 4


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
