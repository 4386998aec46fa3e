"""A table of numbers, and its one rendering: CSV for machines; Markdown, HTML and LaTeX for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape as escaped
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sgaplus.analysis.intervals import Estimate, described
from sgaplus.files import replacing

DECIMALS = 4
UNKNOWN = Estimate(np.nan, np.nan, np.nan)
BASE = "Base model"
NAMED = ("method", "row")
"""Columns of published losses that may name a method."""

PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ font: 14px sans-serif; margin: 2em; }}
  h1 {{ font-size: 1.2em; }}
  table {{ border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; }}
  th, td {{ padding: 0.3em 0.9em; white-space: nowrap; }}
  td {{ font-variant-numeric: tabular-nums; }}
  th {{ vertical-align: bottom; white-space: normal; min-width: 4em; }}
  thead th {{ border-bottom: 1px solid; }}
  p {{ max-width: 60em; }}
</style>
{heading}{content}
"""
LONG = 60
"""Characters of a cell from which LaTeX breaks its column's lines."""

PARAGRAPH = r"p{0.3\linewidth}"

LATEX = {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"−": "$-$", "λ": r"$\lambda$", "±": r"$\pm$", "|": "$|$", "<": "$<$", ">": "$>$"},
}
"""Characters that LaTeX has other ways to write."""


@dataclass(frozen=True)
class Table:
    """Numbers with their intervals, published counterparts and layout.

    Attributes:
        values: Numbers and texts; the names of the index head the first columns.
        low, high: Ends of the intervals over images, for the columns that have one.
        images: Number of images behind the intervals.
        bold: True for the best values; same rows, some of the columns.
        published: Published counterparts, as a row and column of ``values`` with ``published`` and ``source``.
        decimals: Digits after the point by column, where they aren't 4.
        heads: For print, heads of columns, also the first, where they are not their names.
        names: For print, what stands in the place of keys that are a cell, a head or a part of a note.
        hidden: Columns for machines alone.
        layout: For print, columns that show one number and in brackets another: (plain, in brackets) by name.
        notice: A sentence above the table.
        notes: Sentences below the table.
    """

    values: pd.DataFrame
    low: pd.DataFrame | None = None
    high: pd.DataFrame | None = None
    images: int = 0
    bold: pd.DataFrame | None = None
    published: pd.DataFrame | None = None
    decimals: Mapping[str, int] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    layout: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    notice: str = ""
    notes: tuple[str, ...] = ()

    def text(self, values: pd.DataFrame) -> pd.DataFrame:
        """Values of this table's columns as text, without the bold."""
        columns = {name: [self.cell(str(name), value) for value in column] for name, column in values.items()}
        return pd.DataFrame(columns, values.index)

    def cell(self, column: str, value: Any) -> str:
        """A value of a column as text; empty if there is none."""
        if isinstance(value, str):
            return self.names.get(value, value)
        return "" if pd.isna(value) else minus(f"{value:z.{self.decimals.get(column, DECIMALS)}f}")


@dataclass(frozen=True)
class Format:
    """How a table is written for people.

    Attributes:
        escape: Writes a text so that the format takes no character of it for its own sign.
        bold: Template of a best value.
        table: A frame of texts as a table, each column to its ``left`` or ``right``.
        sentence: Template of a sentence below it.
        separator: Between the table, sentences and the next table.
        page: Template of the whole file, with its ``content``, and where it has them a ``title`` and a ``heading``.
    """

    escape: Callable[[str], str]
    bold: str
    table: Callable[[pd.DataFrame, list[str]], str]
    sentence: str = "{}"
    separator: str = "\n\n"
    page: str = "{content}\n"


def estimated(rows: Mapping[tuple[str, str], Mapping[str, Estimate]], images: int) -> Table:
    """A table of estimates by row and column, two decimals, with their intervals over so many images."""
    columns = max((list(row) for row in rows.values()), key=len)
    index = pd.MultiIndex.from_tuples(rows)
    values, low, high = (
        pd.DataFrame([[row.get(name, UNKNOWN)[part] for name in columns] for row in rows.values()], index, columns)
        for part in range(3)
    )
    return Table(values, low, high, images, decimals=dict.fromkeys(columns, 2))


def minus(text: str) -> str:
    """A number in print, with a sign of minus."""
    return text.replace("-", "−")


def as_printed(values: pd.DataFrame, decimals: int = DECIMALS) -> pd.DataFrame:
    """Values as they are read in print, with so many decimals."""
    return values.map(lambda value: float(f"{value:.{decimals}f}"))


def best(values: pd.DataFrame, lowest: bool, decimals: int = DECIMALS, within: str | int | None = None) -> pd.DataFrame:
    """Whether a value is, as printed with so many decimals, the lowest of its column, or the highest; ties all are.

    Args:
        values: Numbers.
        lowest: Whether low is good.
        decimals: Digits after the point.
        within: Level of the index; with it, values are compared with those of the same one, such as a step count.
    """
    shown = as_printed(values, decimals)
    if within is None:
        return shown == (shown.min() if lowest else shown.max())
    return shown == shown.groupby(level=within).transform("min" if lowest else "max")


def titled(table: Table, labels: Mapping[str, str], *names: str, suffix: str = "") -> Table:
    """The table with methods by their labels, and with names of its first columns.

    Args:
        table: Its first column holds methods, which ``suffix`` may follow.
        labels: Name of each method in print.
        names: Heads of the columns that the index makes.
        suffix: Ends the names of rows that are derived from a method's.
    """

    def labelled(key: str) -> str:
        method = key.removesuffix(suffix)
        return labels.get(method, method) + key[len(method) :]

    def headed(frame: pd.DataFrame) -> pd.DataFrame:
        level = {} if len(names) == 1 else {"level": 0}
        return frame.rename(index=labelled, **level).rename_axis(list(names)).rename_axis(None, axis=1)  # type: ignore[call-overload]

    frames = {name: getattr(table, name) for name in ("values", "low", "high", "bold")}
    if table.bold is not None:  # before labels, of which two may be the same
        frames["bold"] = table.bold.reindex(table.values.index, fill_value=False)
    frames = {name: frame if frame is None else headed(frame) for name, frame in frames.items()}
    if table.published is not None:
        frames["published"] = table.published.assign(**{key: table.published[key].map(labelled) for key in NAMED})
    return replace(table, **frames)


def printed(table: Table, form: Format) -> pd.DataFrame:
    """The table as text, best values bold, each with its interval in brackets; the index as columns."""
    text = table.text(table.values.drop(columns=list(table.hidden))).map(form.escape)
    if table.bold is not None:
        for name in table.bold:
            bold = table.bold[name].to_numpy() & (text[name] != "").to_numpy()
            text[name] = text[name].where(~bold, text[name].map(form.bold.format))
    if table.layout:
        for name, (plain, bracketed) in table.layout.items():
            text[name] = text.pop(plain) + " (" + text.pop(bracketed) + ")"
    elif table.low is not None and table.high is not None and has_intervals(table):
        for name in table.low:
            ends = _intervals(table, str(name), table.low[name], table.high[name])
            text[name] += [form.escape(interval) for interval in ends]
    return _with_index(text, table, form)


def has_intervals(table: Table) -> bool:
    """Whether any of the table's values has an interval."""
    return table.low is not None and bool(table.low.notna().to_numpy().any())


def _intervals(table: Table, column: str, low: pd.Series, high: pd.Series) -> list[str]:
    """A column's intervals as they stand behind its values, such as `` [0.7321, 0.7442]``.

    A text is empty where a value has no interval or is the same for all images, as is a difference from itself.
    """
    found = []
    for value, *ends in zip(table.values[column], low, high, strict=True):
        shown = np.isfinite([value, *ends]).all() and ends[0] < ends[1]
        found.append(" [" + ", ".join(table.cell(column, end) for end in ends) + "]" if shown else "")
    return found


def _with_index(text: pd.DataFrame, table: Table, form: Format) -> pd.DataFrame:
    """A frame of texts with its index as columns, and with names that the format bears."""
    index = text.index.to_frame(index=False).astype(str).replace(dict(table.names)).map(form.escape)
    whole = pd.concat([index, text.reset_index(drop=True)], axis=1)
    heads = [table.heads.get(str(name), str(name)) for name in [*text.index.names, *text.columns]]
    return whole.set_axis([form.escape(table.names.get(head, head)) for head in heads], axis=1)


def notes(table: Table) -> list[str]:
    """Sentences below the table, the published numbers among them."""
    known = table.published if table.published is not None else pd.DataFrame()
    beside = [
        f"Published for {fact['method']} after {fact['step']} steps: {fact['published']:.4f} ({fact['source']}). "
        f"Ours ({fact['row']}, {fact['column']}) is {fact['true_loss']:.4f}, a difference of "
        f"{fact['true_loss'] - fact['published']:+.4f}."
        for fact in known.to_dict("records")
    ]
    said = list(table.notes)
    if has_intervals(table):
        words = described(table.images)
        place = "Beside the numbers in the CSV file" if table.layout else "In brackets"
        said.append(f"{place}: {words}.")
    said += beside
    for key, name in table.names.items():
        said = [re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", name, sentence) for sentence in said]
    return said


def numbers(table: Table) -> pd.DataFrame:
    """The table for machines: beside each column its interval's ends and published counterpart, where it has them."""
    known = table.published if table.published is not None else pd.DataFrame(columns=["row", "column"])
    columns = {}
    for name in table.values:
        columns[name] = table.values[name]
        if table.low is not None and table.high is not None and name in table.low:
            columns[f"{name} low"], columns[f"{name} high"] = table.low[name], table.high[name]
        own = known[known["column"] == name]
        if len(own):
            theirs = dict(zip(own["row"], own["published"], strict=True))
            columns[f"{name} published"] = pd.Series(
                [theirs.get(row) for row in table.values.index], table.values.index
            )
    return pd.DataFrame(columns, index=table.values.index)


def write(table: Table, files: Mapping[str, str | Path], title: str = "") -> None:
    """Write a table, all or nothing each.

    Args:
        table: The table.
        files: Where to write, by format: ``csv``, ``md``, ``html`` (a page for the report), ``tex`` (booktabs).
        title: Stands above the table in HTML, which is read by itself.
    """
    heading = f"<h1>{escaped(title)}</h1>\n" if title else ""
    for name, path in files.items():
        with replacing(path) as temporary:
            if name == "csv":
                numbers(table).to_csv(temporary, float_format="%.6f")
            else:
                parts = {"title": escaped(title), "heading": heading, "content": rendered(table, FORMATS[name])}
                temporary.write_text(FORMATS[name].page.format(**parts))


def rendered(table: Table, form: Format) -> str:
    """The table below its notice, and its notes below it."""
    head = [form.sentence.format(form.escape(table.notice))] if table.notice else []
    sentences = [form.sentence.format(form.escape(note)) for note in notes(table)]
    shown = printed(table, form)
    return form.separator.join([*head, form.table(shown, _sides(table, shown)), *sentences])


def _sides(table: Table, shown: pd.DataFrame) -> list[str]:
    """The side that each printed column is set to: numbers to the right, texts and the first column to the left."""
    whole = pd.concat([table.values.index.to_frame(index=False), table.values.reset_index(drop=True)], axis=1)
    heads = {str(name): table.heads.get(str(name), str(name)) for name in whole}
    texts = {table.names.get(heads[str(name)], heads[str(name)]) for name, column in whole.items() if _is_text(column)}
    return ["left", *("left" if name in texts else "right" for name in list(shown)[1:])]


def _is_text(column: pd.Series) -> bool:
    """Whether a column holds other texts than numbers and dashes."""
    strings = [value for value in column if isinstance(value, str) and value not in ("", "-")]
    return bool(pd.to_numeric(pd.Series(strings, dtype=object), errors="coerce").isna().any())


def _markdown(frame: pd.DataFrame, sides: list[str]) -> str:
    return frame.to_markdown(index=False, colalign=sides, disable_numparse=True)


def _html(frame: pd.DataFrame, sides: list[str]) -> str:
    cells = [f'<td style="text-align: {side}">' for side in sides]
    rows = [
        "".join(f"{cell}{text}</td>" for cell, text in zip(cells, row, strict=True))
        for row in frame.itertuples(index=False)
    ]
    head = "".join(f"{cell.replace('td', 'th', 1)}{name}</th>" for cell, name in zip(cells, frame, strict=True))
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _latex(frame: pd.DataFrame, sides: list[str]) -> str:
    broken = [frame.iloc[:, place].str.len().max() > LONG for place in range(frame.shape[1])]
    columns = "".join(PARAGRAPH if long else side[0] for long, side in zip(broken, sides, strict=True))
    rows = [" & ".join(row) + r" \\" for row in [list(frame), *frame.itertuples(index=False)]]
    head, *body = rows
    return "\n".join(
        [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
    )


FORMATS = {
    "md": Format(lambda text: text.replace("|", "\\|"), "**{}**", _markdown),
    "html": Format(lambda text: escaped(text, quote=False), "<b>{}</b>", _html, "<p>{}</p>", "\n", PAGE),
    "tex": Format(lambda text: "".join(LATEX.get(sign, sign) for sign in text), r"\textbf{{{}}}", _latex),
}
