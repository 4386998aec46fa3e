"""Tables of mean true losses.

They are means over images of per-image values, the seeds, models and targets of an image averaged first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from sgaplus.analysis.intervals import interval
from sgaplus.analysis.published import Published
from sgaplus.analysis.selection import at_step, base_model, by_image, with_swept
from sgaplus.artifacts.kinds import table
from sgaplus.artifacts.results import Results
from sgaplus.artifacts.table import BASE, Table, as_printed, best, titled
from sgaplus.artifacts.values import HEADS, special_case, texts

SPREAD = " s.d."
LOSS = "True R-D loss"
SPECIAL_CASE = "Special case"
EDGE = "On the edge"
BEYOND = "A parameter on the edge of the grid may have better values beyond it."
ORIGIN = {"paper": "the paper's", "searched": "found by the search"}
"""Where the parameters of a method come from, by its ``settings``."""

MINUS_BEST = " − best"


@table(needs=("sweep",), takes=("differences",), swept=1, at_last_step=True, paper="Tables 1, 2")
def sweep(results: Results) -> Table:
    """True loss after the largest step count by method and value of the swept parameter.

    With several methods a row per method and a column per value, and below them a row per method of
    ``differences``: that method minus the best of each column, image by image. With one method a row
    per value, and a column of those at which it is another rounding.
    """
    records, experiment = results.records, results.experiment
    ((parameter, values),) = experiment.sweep.items()
    rows = at_step(with_swept(records, experiment.sweep), experiment.last_step)
    methods, names = list(experiment.methods), texts(values)
    heads = {parameter: HEADS.get(parameter, parameter)}
    value = rows[parameter].map(names)
    if len(methods) == 1:
        table = _losses(results, rows.assign(row=value, column=LOSS), list(names.values()), [LOSS])
        rounding = results.methods[methods[0]]["rounding"]
        cases = [special_case(rounding, parameter, value) for value in names]
        if any(cases):
            table.values.insert(0, SPECIAL_CASE, cases)
        return titled(replace(table, heads=heads), results.labels, parameter)
    cells = rows.assign(row=rows["method"], column=value)
    table = _losses(results, cells, methods, list(names.values()), experiment.differences)
    return titled(replace(table, heads=heads), results.labels, parameter, suffix=MINUS_BEST)


@table()
def steps(results: Results) -> Table:
    """True loss by method and step count, with the spread over `seeds`.

    The base model has a row. The spread is the standard deviation, in columns of its own.
    """
    records, experiment = results.records, results.experiment
    counts = sorted(experiment.steps)
    rows = records[records["step"].isin(counts)]
    base = [base_model(records).assign(row=BASE, column=f"{count:g}", rounding="") for count in counts]
    cells = pd.concat([*base, rows.assign(row=rows["method"], column=rows["step"].map("{:g}".format))])
    table = _losses(results, cells, [BASE, *experiment.methods], [f"{count:g}" for count in counts])
    if len(experiment.seeds) > 1:
        by_seed = cells.groupby(["row", "column", "seed"])["true_loss"].mean()
        spread = by_seed.groupby(["row", "column"]).std().unstack("column").drop(index=BASE)
        table = replace(table, values=table.values.join(spread[table.values.columns].add_suffix(SPREAD)))
    return titled(table, results.labels, "Steps")


@table(at_last_step=True, in_pairs=True, fewest_steps=2, most_steps=2, paper="Table 3")
def classes(results: Results) -> Table:
    """True loss of two- and three-class rounding, at the smaller step count and, in brackets, at the larger.

    The methods come in pairs, the two-class one first: linear, linear3, cosine, cosine3.
    """
    records, experiment = results.records, results.experiment
    counts = sorted(experiment.steps)
    pairs = list(zip(experiment.methods[::2], experiment.methods[1::2], strict=True))
    kinds = ("Two-class", "Three-class")
    place = {method: (pair[0], kind) for pair in pairs for method, kind in zip(pair, kinds, strict=True)}
    rows = records[records["step"].isin(counts) & records["method"].isin(place)]
    row, kind = ([place[method][part] for method in rows["method"]] for part in (0, 1))
    cells = rows.assign(row=row, column=pd.Series(kind, rows.index) + " " + rows["step"].astype(str))
    names = {count: [f"{kind} {count}" for kind in kinds] for count in counts}
    table = _losses(results, cells, [first for first, _ in pairs], [name for count in counts for name in names[count]])
    table = replace(table, bold=pd.concat([_lowest_of_all(table.values[names[count]]) for count in counts], axis=1))
    heads = [f"{kind}, {counts[0]} ({counts[1]}) steps" for kind in kinds]
    table = replace(table, layout=dict(zip(heads, zip(*names.values(), strict=True), strict=True)))
    return titled(replace(table, notes=_settings(results)), results.labels, "Function")


@table(needs=("sweep",), swept=2, at_last_step=True, paper="Section 4.3")
def grid(results: Results) -> Table:
    """The best setting of each method on the grid, its true loss, and that of the configured setting.

    A column says which of its parameters lie on the grid's edge. The configured setting is in the table where
    it is on the grid.
    """
    records, experiment = results.records, results.experiment
    rows = at_step(with_swept(records, experiment.sweep), experiment.last_step)
    parameters = list(experiment.sweep)
    settings, images = {}, {}
    for method in experiment.methods:
        own = rows[rows["method"] == method]
        losses = by_image(own, ["variant"], "true_loss")
        winner = losses.mean().idxmin()
        settings[method] = own.loc[own["variant"] == winner, parameters].iloc[0]
        images[method, "Best"] = losses[winner]
        images[method, "As configured"] = losses.get(method, losses[winner] * np.nan)
        images[method, "Gain"] = images[method, "As configured"] - losses[winner]
    table = _summary(pd.DataFrame(images), list(experiment.methods), ["Best", "As configured", "Gain"])
    chosen = pd.DataFrame(settings).T[parameters]
    edges = [_edge(setting, experiment.sweep) for _, setting in chosen.iterrows()]
    names = {parameter: texts(values) for parameter, values in experiment.sweep.items()}
    written = pd.DataFrame({parameter: chosen[parameter].map(names[parameter]) for parameter in parameters})
    table = replace(
        table,
        values=written.assign(**{EDGE: edges}).join(table.values),
        bold=best(table.values[["Best"]], lowest=True),
        notes=(BEYOND,) if any(edge != "-" for edge in edges) else (),
    )
    return titled(table, results.labels, "Method")


def _edge(setting: pd.Series, sweep: Mapping[str, Sequence[float]]) -> str:
    """The parameters of a setting that are the smallest or the largest of the grid, or a dash."""
    return ", ".join(name for name, values in sweep.items() if setting[name] in (min(values), max(values))) or "-"


def _settings(results: Results) -> tuple[str, ...]:
    """A sentence that says which parameters methods have, where they might have the paper's or those of a search."""
    said = [
        f"{method['label']}: {', '.join(f'{name} = {value:.3g}' for name, value in method['parameters'].items())} "
        f"({ORIGIN[method['settings']]})"
        for method in results.methods.values()
        if "settings" in method
    ]
    return (f"Settings: {'; '.join(said)}.",) if said else ()


def _losses(
    results: Results, cells: pd.DataFrame, rows: Sequence[str], columns: Sequence[str], differences: Sequence[str] = ()
) -> Table:
    """A table of mean true losses, beside which published ones stand.

    Args:
        results: The experiment's results.
        cells: Rows of the records with the ``row`` and ``column`` of the table that each belongs to.
        rows, columns: Their order.
        differences: Rows of which the difference from the best row of each column is appended.
    """
    images = by_image(cells, ["row", "column"], "true_loss")
    leading = images.mean().unstack("column").loc[list(rows)].idxmin()
    names = {row: f"{row}{MINUS_BEST}" for row in differences}
    for (row, name), column in itertools.product(names.items(), columns):
        images[name, column] = images[row, column] - images[leading[column], column]
    table = _summary(images, [*rows, *names.values()], columns)
    return replace(
        table, bold=best(table.values.loc[list(rows)], lowest=True), published=_beside(results.published, cells)
    )


def _summary(images: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Table:
    """Means over images and their intervals, from values (images, (row, column))."""
    ends = interval(images.to_numpy())
    means, low, high = (
        pd.Series(values, images.columns).unstack().reindex(index=list(rows), columns=list(columns))
        for values in (images.mean(), *ends)
    )
    return Table(means, low, high, len(images))


def _beside(published: Published, cells: pd.DataFrame) -> pd.DataFrame:
    """The published loss beside the cells of the setting that it belongs to."""
    keys = ["method", "step", "row", "column", "published", "source"]
    return published.beside(cells).groupby(keys)["true_loss"].mean().reset_index()


def _lowest_of_all(values: pd.DataFrame) -> pd.DataFrame:
    """Whether a value is, as printed, the lowest of all."""
    shown = as_printed(values)
    return shown == shown.to_numpy().min()
