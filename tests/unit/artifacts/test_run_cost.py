from __future__ import annotations

from sgaplus.artifacts import run_cost

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def benchmark(path, seconds: float, memory: str, cpu: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEADER}{seconds}\t0:00:01\t{memory}\t1\t1\t1\t0\t0\t90\t{cpu}\n")


def test_jobs_are_added_up_by_rule_with_the_dearest_first_and_all_last(tmp_path):
    benchmark(tmp_path / "refine/kodak/m/part0_chunk0.tsv", 3600, "100", "7200")
    benchmark(tmp_path / "refine/kodak/m/part1_chunk0.tsv", 1800, "300", "3600")
    benchmark(tmp_path / "describe_run.tsv", 36, "-", "-")  # too short to be measured
    table = run_cost.summarise(tmp_path).values
    assert list(table.index) == ["refine", "describe_run", "all"]
    assert table.loc["refine"].to_dict() == {"jobs": 2, "hours": 1.5, "longest": 1.0, "cpu_hours": 3.0, "memory": 300.0}
    assert table.loc["all", "jobs"] == 3
    assert table.loc["all", "hours"] == 1.51


def test_a_run_without_benchmarks_has_an_empty_sum(tmp_path):
    assert list(run_cost.summarise(tmp_path).values.index) == ["all"]


def test_the_table_is_written_for_machines_and_for_people(tmp_path, written):
    benchmark(tmp_path / "benchmarks/refine.tsv", 3600, "100", "7200")
    csv, md, html, _ = written(run_cost.summarise(tmp_path / "benchmarks"))
    head, refine, *_ = csv.splitlines()
    assert head == "rule,jobs,hours,longest,cpu_hours,memory"
    assert [float(cell) for cell in refine.split(",")[1:]] == [1, 1, 1, 2, 100]
    assert "| refine |" in md
    assert "Processor hours" in html
