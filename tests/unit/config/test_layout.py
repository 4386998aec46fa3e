from __future__ import annotations

import re

import pytest

from sgaplus.config.layout import NAME, REFINEMENT_JOB, Layout, one_of

LAYOUT = Layout("demo")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (LAYOUT.datasets, "results/demo/datasets.csv"),
        (LAYOUT.index("kodak"), "results/demo/datasets/kodak.csv"),
        (LAYOUT.models, "results/demo/models"),
        (LAYOUT.model("low"), "results/demo/models/low/model.pth"),
        (LAYOUT.metrics("low"), "results/demo/models/low/training.csv"),
        (LAYOUT.card("low"), "results/demo/models/low/model.json"),
        (LAYOUT.bundle("low.pth"), "results/demo/bundle/low.pth"),
        (LAYOUT.refined("kodak/low/part0_chunk1", "zip"), "results/demo/refinements/kodak/low/part0_chunk1.zip"),
        (LAYOUT.kept, "results/demo/refinements/kept"),
        (LAYOUT.records("fig2"), "results/demo/records/fig2.parquet"),
        (LAYOUT.figure("fig2", "pdf"), "results/demo/figures/fig2.pdf"),
        (LAYOUT.table("table1", "md"), "results/demo/tables/table1.md"),
        (LAYOUT.claims("html"), "results/demo/claims.html"),
        (LAYOUT.config, "results/demo/config.yaml"),
        (LAYOUT.provenance("json"), "results/demo/provenance.json"),
        (LAYOUT.report, "results/demo/report.html"),
        (LAYOUT.log("refine/low"), "results/demo/logs/refine/low.log"),
        (LAYOUT.log("refine/low", "failed.parquet"), "results/demo/logs/refine/low.failed.parquet"),
        (LAYOUT.benchmarks, "results/demo/benchmarks"),
        (LAYOUT.benchmark("refine/low"), "results/demo/benchmarks/refine/low.tsv"),
    ],
)
def test_every_file_has_its_place(path, expected):
    assert path == expected


def test_a_pattern_with_its_wildcards_filled_in_is_the_path_of_a_file():
    assert LAYOUT.model("{model}").format(model="low") == LAYOUT.model("low")
    job = REFINEMENT_JOB.format(dataset="kodak", model="low", part=0, chunk=1)
    assert LAYOUT.refined(REFINEMENT_JOB, "zip").format(dataset="kodak", model="low", part=0, chunk=1) == (
        LAYOUT.refined(job, "zip")
    )


def test_one_of_finds_exactly_its_names():
    pattern = re.compile(one_of(["low.1", "low"]))
    assert all(pattern.fullmatch(name) for name in ("low.1", "low"))
    assert not any(pattern.fullmatch(name) for name in ("low_1", "lo", "lower", ""))


@pytest.mark.parametrize("text", ["", "none", "none^", "low"])
def test_one_of_no_names_finds_nothing(text):
    assert not re.search(one_of([]), text)


@pytest.mark.parametrize(
    ("text", "right"),
    [("mshp_lmbda0.001", True), ("9-b", True), ("", False), (".hidden", False), ("a/b", False), ("-a", False)],
)
def test_a_name_is_one_part_of_a_path(text, right):
    assert bool(re.fullmatch(NAME, text)) == right
