"""Tables, from records alone.

A table is a frame of numbers as text: CSV for machines, Markdown for people. Losses are means over
images (and over seeds) of per-image values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sgaplus.files import replacing

DECIMALS = 4
SPREAD = " s.d."
PAGE = """<!doctype html>
<meta charset="utf-8">
<style>
  body {{ font: 14px sans-serif; margin: 2em; }}
  table {{ border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; }}
  th, td {{ padding: 0.3em 0.9em; text-align: right; }}
  thead th {{ border-bottom: 1px solid; }}
  th:first-child, td:first-child {{ text-align: left; }}
</style>
{}
"""


def sweep(records: pd.DataFrame, experiment: Mapping[str, Any], labels: Mapping[str, str]) -> pd.DataFrame:
    """Mean true loss after the last step: a row per method, a column per value of the sweep (Table 1).

    Args:
        records: Rows of the experiment's refinements.
        experiment: Its entry: ``sweep``, ``methods`` and ``steps``.
        labels: Name of each method in print.
    """
    ((parameter, values),) = experiment["sweep"].items()
    rows = at_step(records, max(experiment["steps"]))
    if parameter not in rows:  # one of the rounding's own
        rows = rows.assign(**{parameter: [json.loads(text)[parameter] for text in rows["parameters"]]})
    means = rows.groupby(["method", parameter])["true_loss"].mean().unstack(parameter)
    return _labelled(means.loc[list(experiment["methods"]), values], labels).rename_axis(parameter)


def steps(records: pd.DataFrame, experiment: Mapping[str, Any], labels: Mapping[str, str]) -> pd.DataFrame:
    """Mean true loss at each step count, a row per method and one for the base model.

    Where there are several seeds, their standard deviation stands in columns of its own.
    """
    rows = records[records["step"].isin(experiment["steps"])]
    by_seed = rows.groupby(["method", "step", "seed"])["true_loss"].mean()
    means = by_seed.groupby(["method", "step"]).mean().unstack("step").loc[list(experiment["methods"])]
    table = _labelled(means, labels)
    base = base_model(records)["true_loss"].mean()
    table = pd.concat([pd.DataFrame(base, index=["Base model"], columns=table.columns), table])
    if len(experiment["seeds"]) > 1:
        spread = by_seed.groupby(["method", "step"]).std().unstack("step").loc[list(experiment["methods"])]
        spread = _labelled(spread, labels).add_suffix(SPREAD)
        table = table.join(spread)
    return table.rename_axis("Steps")


def at_step(records: pd.DataFrame, step: int) -> pd.DataFrame:
    """The rows measured after exactly this many steps."""
    return records[records["step"] == step]


def base_model(records: pd.DataFrame) -> pd.DataFrame:
    """The base model's own result, once per image, model and target: refinement before its first step."""
    return at_step(records, 0).drop_duplicates(["dataset", "image", "model", "target_lmbda"])


def _labelled(table: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    table = table.rename(index=dict(labels))
    return table.rename(columns=lambda value: f"{value:g}")


def printed(table: pd.DataFrame, bold: str) -> pd.DataFrame:
    """Numbers as text, the lowest loss of each column set in ``bold`` (spreads are not losses).

    Args:
        table: Numbers.
        bold: A template such as ``**{}**``.
    """
    columns = {}
    for name, values in table.items():
        texts = ["" if pd.isna(value) else f"{value:.{DECIMALS}f}" for value in values]
        best = None if str(name).endswith(SPREAD) else f"{values.min():.{DECIMALS}f}"
        columns[name] = [bold.format(text) if text == best else text for text in texts]
    return pd.DataFrame(columns, index=table.index)


def write(table: pd.DataFrame, csv: str | Path, md: str | Path, html: str | Path) -> None:
    """Write a table as CSV, Markdown and a small page for the report, all or nothing each."""
    with replacing(csv) as temporary:
        table.to_csv(temporary, float_format="%.6f")
    with replacing(md) as temporary:
        alignment = ("left", *["right"] * table.shape[1])
        temporary.write_text(printed(table, "**{}**").to_markdown(colalign=alignment) + "\n")
    with replacing(html) as temporary:
        body = printed(table, "<b>{}</b>").rename_axis(None, axis=1).reset_index()
        temporary.write_text(PAGE.format(body.to_html(escape=False, border=0, index=False)))


TABLES = {"sweep": sweep, "steps": steps}
