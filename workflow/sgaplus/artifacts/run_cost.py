"""What a run cost, from the benchmark files that Snakemake writes of its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from sgaplus.files import replacing

COLUMNS: Mapping[str, str] = {
    "jobs": "Jobs",
    "hours": "Hours",
    "longest": "Longest job (h)",
    "cpu_hours": "Processor hours",
    "memory": "Peak memory (MB)",
}


def summarise(folder: str | Path) -> pd.DataFrame:
    """What the jobs of each rule cost, the dearest rule first, and all together last.

    Args:
        folder: Where benchmark files lie: ``<rule>.tsv`` or ``<rule>/**/*.tsv``.

    Returns:
        A row per rule (the index) with the columns of :data:`COLUMNS`: number of jobs, wall time added
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
    return rules.astype({"jobs": int})


def _rule(file: Path, folder: Path) -> str:
    return file.relative_to(folder).parts[0].removesuffix(".tsv")


def write(table: pd.DataFrame, csv: str | Path, md: str | Path, html: str | Path) -> None:
    """Write the table as CSV, Markdown and a page for the report, all or nothing each."""
    from sgaplus.artifacts.tables import PAGE

    with replacing(csv) as temporary:
        table.to_csv(temporary, float_format="%.6f")
    printed = (
        table.rename(columns=COLUMNS)
        .rename_axis("Rule")
        .round({"Hours": 3, "Longest job (h)": 3, "Processor hours": 3, "Peak memory (MB)": 0})
    )
    with replacing(md) as temporary:
        temporary.write_text(printed.to_markdown() + "\n")
    with replacing(html) as temporary:
        temporary.write_text(PAGE.format(printed.reset_index().to_html(border=0, index=False)))
