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
    figure_7 = 7 * 4  # lambdas and methods; Figure 2's are among them
    table_1 = 4 * 5 - 1  # methods and temperatures; SSL at its own is Figure 7's
    by_steps = 10 * 3 - 6  # methods and seeds; six methods at seed 0 are in the others
    chunks = 3  # 24 images, eight a job
    assert jobs["refine"] == chunks * (figure_7 + table_1 + by_steps)


def test_a_fresh_clone_plans_the_demo_without_network(clone, snakemake):
    jobs = counts(snakemake(clone, "-n", "--quiet", "rules", "--configfile", "config/demo.yaml").stdout)
    assert jobs["train_model"] == 1
    assert jobs["check_model"] == 3
    assert jobs["refine"] == 3 * 4 + (2 * 5 - 1) + 2


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
