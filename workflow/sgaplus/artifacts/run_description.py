"""The provenance of a run: version and commit, packages, machines, date, models, configuration."""

from __future__ import annotations

import html
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sgaplus import __version__, devices, provenance

MADE_BY = ("software", "hardware", "device")
PAGE = """<p class="heading">{heading}</p>
<details><summary>What made this run</summary>
<table class="provenance">
{rows}
</table>
</details>
"""


def describe(config: Mapping[str, Any], records: Iterable[str | Path]) -> dict[str, Any]:
    """The provenance of a run, for JSON.

    Args:
        config: The effective configuration.
        records: Files of all its records. They may have been computed by several versions on several machines.
    """
    commit, clean = provenance.commit()
    columns = ["model", "model_lmbda", "weights", *MADE_BY]
    tables = [pq.read_table(path, columns=columns) for path in records]
    rows = pa.concat_tables(tables) if tables else pa.table({name: [] for name in columns})
    computed = rows.group_by(list(MADE_BY)).aggregate([([], "count_all")]).to_pylist()
    models = rows.group_by(["model", "model_lmbda", "weights"]).aggregate([]).to_pylist()
    return {
        "run": config["run"],
        "date": provenance.now(),
        "sgaplus": {"version": __version__, "commit": commit, "clean": clean},
        "packages": provenance.versions(),
        "hardware": {"system": platform.platform(), **devices.describe()},
        "records": [{**{key: row[key] for key in MADE_BY}, "rows": row["count_all"]} for row in computed],
        "models": {row["model"]: {"lmbda": row["model_lmbda"], "weights": row["weights"]} for row in models},
        "configuration": config,
    }


def page(description: Mapping[str, Any]) -> str:
    """The description for the report: a line, and below it a table, without the configuration and most packages."""
    rows = "\n".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(text)}</td></tr>" for key, text in _lines(description)
    )
    return PAGE.format(heading=html.escape(_heading(description)), rows=rows)


def _heading(description: Mapping[str, Any]) -> str:
    """Date, version and machine in a line."""
    hardware = description["hardware"]
    date = description["date"][: len("2000-01-01T00:00")].replace("T", " ")
    version = _version(description["sgaplus"], digits=9)
    return f"{date} UTC, by sgaplus {version}, on {hardware['processor']}, GPUs: {hardware['gpus']}"


def _version(project: Mapping[str, Any], digits: int | None = None) -> str:
    state = "as committed" if project["clean"] else "with changes that are not committed"
    commit = f"commit {project['commit'][:digits]}, {state}" if project["commit"] else "commit not known"
    return f"{project['version']}, {commit}"


def _lines(description: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    packages, hardware = description["packages"], description["hardware"]
    yield "sgaplus", _version(description["sgaplus"])
    yield "Packages", ", ".join(f"{name} {packages[name]}" for name in ("python", "torch", "compressai", "snakemake"))
    yield "Date", description["date"]
    yield (
        "Machine",
        f"{hardware['system']}, {hardware['processor']}, {hardware['cores']} cores, GPUs: {hardware['gpus']}",
    )
    for row in description["records"]:
        yield "Records", f"{row['rows']} computed by {row['software']} on {row['hardware']} ({row['device']})"
    for name, model in description["models"].items():
        yield f"Model {name}", f"weights with SHA-256 {model['weights']}"
