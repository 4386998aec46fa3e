"""The cost of a run, from the benchmark files that Snakemake writes of its jobs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sgaplus.artifacts.table import Table

HEADS = {
    "rule": "Rule",
    "jobs": "Jobs",
    "hours": "Hours",
    "longest": "Longest job (h)",
    "cpu_hours": "Processor hours",
    "memory": "Peak memory (MB)",
}
DECIMALS = {"jobs": 0, "hours": 3, "longest": 3, "cpu_hours": 3, "memory": 0}


def summarise(folder: str | Path) -> Table:
    """The cost of the jobs of each rule, the most expensive rule first, and all together last.

    Args:
        folder: Where benchmark files lie: ``<rule>.tsv`` or ``<rule>/**/*.tsv``.

    Returns:
        A row per rule (the index) with the other columns of :data:`HEADS`: number of jobs, wall time added
        up, that of the longest job, processor time (all in hours), and the largest resident memory.
    """
    folder = Path(folder)
    files = sorted(folder.rglob("*.tsv"))
    jobs = pd.concat(
        [pd.read_csv(file, sep="\t", na_values="-").assign(rule=_rule(file, folder)) for file in files]
        or [pd.DataFrame(columns=["rule", "s", "cpu_time", "max_rss"])]
    )
    rules = jobs.groupby("rule").agg(
        jobs=("s", "size"),
        hours=("s", lambda seconds: seconds.sum() / 3600),
        longest=("s", lambda seconds: seconds.max() / 3600),
        cpu_hours=("cpu_time", lambda seconds: seconds.sum() / 3600),
        memory=("max_rss", "max"),
    )
    rules = rules.sort_values("hours", ascending=False)
    total = {**rules[["jobs", "hours", "cpu_hours"]].sum(), **rules[["longest", "memory"]].max()}
    rules.loc["all"] = pd.Series(total)[rules.columns]
    return Table(rules.astype({"jobs": int}), decimals=DECIMALS, heads=HEADS, names={"all": "Total"})


def _rule(file: Path, folder: Path) -> str:
    return file.relative_to(folder).parts[0].removesuffix(".tsv")
