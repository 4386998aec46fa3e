"""Tables, from records alone.

A table is a frame of numbers: CSV for machines, Markdown and HTML for people. Losses are means over
images of per-image values, the seeds, models and targets of an image averaged first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sgaplus.analysis import cover as covering
from sgaplus.analysis import published
from sgaplus.analysis.bootstrap import LEVEL, Estimate, interval
from sgaplus.analysis.budget import excess, reference, seconds
from sgaplus.analysis.cost import costs, saves_bits, saving
from sgaplus.analysis.rd_curves import POINT, base_curve, bd_psnr, bd_rate, curve, estimate, points
from sgaplus.analysis.selection import at_step, base_model, bitrate_of, by_image, measured, with_rate, with_swept
from sgaplus.files import replacing

Labels = Mapping[str, str]

DECIMALS = 4
SPREAD = " s.d."
UNKNOWN = Estimate(np.nan, np.nan, np.nan)
LOSS = "True R-D loss"
BASE = "Base model"
PAGE = """<!doctype html>
<meta charset="utf-8">
<style>
  body {{ font: 14px sans-serif; margin: 2em; }}
  table {{ border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; }}
  th, td {{ padding: 0.3em 0.9em; text-align: right; }}
  thead th {{ border-bottom: 1px solid; }}
  th:first-child, td:first-child {{ text-align: left; }}
  p {{ max-width: 60em; }}
</style>
{}
"""


@dataclass(frozen=True)
class Table:
    """Numbers with what is known of them.

    Attributes:
        values: Numbers and texts; the names of the index head the first columns.
        low, high: Ends of the 95 % bootstrap intervals, for the columns that have one.
        images: Number of images behind the intervals.
        bold: True for the best values; same rows, some of the columns.
        published: Published counterparts, as a row and column of ``values`` with ``published`` and ``source``.
        decimals: Digits after the point by column, where they aren't 4.
        layout: For print, columns that show one number and in brackets another: (plain, in brackets) by name.
        notes: Sentences below the table.
    """

    values: pd.DataFrame
    low: pd.DataFrame | None = None
    high: pd.DataFrame | None = None
    images: int = 0
    bold: pd.DataFrame | None = None
    published: pd.DataFrame | None = None
    decimals: Mapping[str, int] = field(default_factory=dict)
    layout: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def text(self, values: pd.DataFrame) -> pd.DataFrame:
        """Values of this table's columns as text, without the bold."""
        columns = {name: [self._cell(str(name), value) for value in column] for name, column in values.items()}
        return pd.DataFrame(columns, values.index)

    def _cell(self, column: str, value: Any) -> str:
        if isinstance(value, str):
            return value
        return "" if pd.isna(value) else f"{value:.{self.decimals.get(column, DECIMALS)}f}"


def sweep(records: pd.DataFrame, experiment: Mapping[str, Any], labels: Labels) -> Table:
    """True loss after the last step by the values of one swept parameter (Tables 1 and 2).

    With several methods a row per method and a column per value, and below them a row per method of
    ``differences``: that method minus the best of each column, image by image. With one method a row
    per value.

    Args:
        records: Rows of the experiment's refinements.
        experiment: Its entry: ``sweep``, ``methods``, ``steps`` and perhaps ``differences``.
        labels: Name of each method in print.
    """
    ((parameter, values),) = experiment["sweep"].items()
    rows = at_step(with_swept(records, experiment["sweep"]), max(experiment["steps"]))
    methods, names = list(experiment["methods"]), [f"{value:g}" for value in values]
    value = rows[parameter].map("{:g}".format)
    if len(methods) == 1:
        table = _losses(rows.assign(row=value, column=LOSS), names, [LOSS])
        return _titled(table, labels, parameter)
    cells = rows.assign(row=rows["method"], column=value)
    table = _losses(cells, methods, names, experiment.get("differences") or [])
    return _titled(table, labels, parameter)


def steps(records: pd.DataFrame, experiment: Mapping[str, Any], labels: Labels) -> Table:
    """True loss at each step count, a row per method and one for the base model.

    Where there are several seeds, their standard deviation stands in columns of its own.
    """
    counts = sorted(experiment["steps"])
    rows = records[records["step"].isin(counts)]
    base = [base_model(records).assign(row=BASE, column=f"{count:g}", rounding="") for count in counts]
    cells = pd.concat([*base, rows.assign(row=rows["method"], column=rows["step"].map("{:g}".format))])
    table = _losses(cells, [BASE, *experiment["methods"]], [f"{count:g}" for count in counts])
    if len(experiment["seeds"]) > 1:
        by_seed = cells.groupby(["row", "column", "seed"])["true_loss"].mean()
        spread = by_seed.groupby(["row", "column"]).std().unstack("column").drop(index=BASE)
        table = replace(table, values=table.values.join(spread[table.values.columns].add_suffix(SPREAD)))
    return _titled(table, labels, "Steps")


def classes(records: pd.DataFrame, experiment: Mapping[str, Any], labels: Labels) -> Table:
    """Two- against three-class rounding: true loss at the smaller and, in brackets, at the larger step count (Table 3).

    The methods come in pairs, the two-class one first: linear, linear3, cosine, cosine3.
    """
    counts = sorted(experiment["steps"])
    pairs = list(zip(experiment["methods"][::2], experiment["methods"][1::2], strict=True))
    kinds = ("Two-class", "Three-class")
    place = {method: (pair[0], kind) for pair in pairs for method, kind in zip(pair, kinds, strict=True)}
    rows = records[records["step"].isin(counts) & records["method"].isin(place)]
    row, kind = ([place[method][part] for method in rows["method"]] for part in (0, 1))
    cells = rows.assign(row=row, column=pd.Series(kind, rows.index) + " " + rows["step"].astype(str))
    names = {count: [f"{kind} {count}" for kind in kinds] for count in counts}
    table = _losses(cells, [first for first, _ in pairs], [name for count in counts for name in names[count]])
    table = replace(table, bold=pd.concat([_lowest_of_all(table.values[names[count]]) for count in counts], axis=1))
    if len(counts) == 2:
        heads = [f"{kind}, {counts[0]} ({counts[1]}) steps" for kind in kinds]
        table = replace(table, layout=dict(zip(heads, zip(*names.values(), strict=True), strict=True)))
    return _titled(table, labels, "Function")


def grid(records: pd.DataFrame, experiment: Mapping[str, Any], labels: Labels) -> Table:
    """Best setting of each method on the grid of swept parameters, its true loss, and that of the configured setting.

    The configured setting is in the table where it is on the grid.
    """
    rows = at_step(with_swept(records, experiment["sweep"]), max(experiment["steps"]))
    parameters = list(experiment["sweep"])
    settings, images = {}, {}
    for method in experiment["methods"]:
        own = rows[rows["method"] == method]
        losses = by_image(own, ["variant"], "true_loss")
        best = losses.mean().idxmin()
        settings[method] = own.loc[own["variant"] == best, parameters].iloc[0]
        images[method, "Best"] = losses[best]
        images[method, "As configured"] = losses.get(method, losses[best] * np.nan)
        images[method, "Gain"] = images[method, "As configured"] - losses[best]
    table = _summary(pd.DataFrame(images), list(experiment["methods"]), ["Best", "As configured", "Gain"])
    chosen = pd.DataFrame(settings).T[parameters].map("{:g}".format)
    table = replace(table, values=chosen.join(table.values), bold=_lowest(table.values[["Best"]]))
    return _titled(table, labels, "Method")


def bd(records: pd.DataFrame, experiment: Mapping[str, Any], labels: Labels) -> Table:
    """BD-rate in % and BD-PSNR in dB of every method, by PCHIP, after each step count.

    Against the base model, against the method ``against``, and, for a data set on which it is
    published, BD-rate against the base model of Yang et al. 2020, with a row of their own SGA. The
    rate is ``bitrate``'s. Below 0 % and above 0 dB is better.
    """
    bitrate, against = bitrate_of(experiment), experiment.get("against")
    known = published.curves(experiment["dataset"])
    base = base_curve(records, bitrate)
    rows: dict[tuple[str, str], dict[str, Estimate]] = {}
    if published.BASE in known:
        rows[BASE, ""] = _bd({published.BASE: known[published.BASE]}, base)
    have = measured(records, experiment)
    for steps in sorted(experiment["steps"]):
        methods = [method for method, count in have if count == steps]
        tests = {method: _tested(records, method, steps, bitrate) for method in methods}
        for method, test in tests.items():
            anchors = {BASE: base} | ({labels[against]: tests[against]} if against and against != method else {})
            anchors |= {name: known[name] for name in [published.BASE] if name in known}
            rows[method, str(steps)] = _bd(anchors, test)
    table = _estimated(rows, base.shape[1])
    if published.SGA in known:
        theirs = _bd({BASE: known[published.BASE]}, known[published.SGA])
        table = _with_row(table, (published.SGA, ""), {name: value.value for name, value in theirs.items()})
    ours = table.values.loc[[row for row in rows if row[0] != BASE]]
    best = [_best(ours[[name]], lowest="BD-rate" in name) for name in map(str, ours)]
    notes = (f"Bits are {bitrate}. By PCHIP, over the range that both curves have.", *_theirs(known))
    return _titled(replace(table, bold=pd.concat(best, axis=1), notes=notes), labels, "Method", "Steps")


def cover(records: pd.DataFrame, experiment: Mapping[str, Any], labels: Labels) -> Table:
    """Which ``cover`` of the models, refined toward all targets, cover the base curve, and their gain at every rate.

    The criterion is that of :func:`sgaplus.analysis.cover.choose`: the largest smallest gain.
    """
    bitrate = bitrate_of(experiment)
    base = base_curve(records, bitrate)
    models = list(points(base_model(records), POINT[:2]).index.get_level_values("model"))
    parts, notes = [], []
    for method in experiment["methods"]:
        rows = with_rate(at_step(records[records["method"] == method], max(experiment["steps"])), bitrate)
        refined = {model: curve(rows[rows["model"] == model]) for model in models}
        means = {model: values.mean(axis=1) for model, values in refined.items()}
        chosen = covering.choose(means, base.mean(axis=1), experiment.get("cover", 3))
        part = _covered(rows, {model: means[model] for model in chosen.models}, base.mean(axis=1))
        part["low"], part["high"] = covering.gain_interval([refined[model] for model in chosen.models], base)
        parts.append(part.set_axis(pd.MultiIndex.from_product([[labels[method]], models], names=["Method", BASE])))
        notes.append(_choice(labels[method], chosen))
    values = pd.concat(parts)
    low, high = (values[[end]].set_axis(["Gain (dB)"], axis=1) for end in ("low", "high"))
    values = values.drop(columns=["low", "high"])
    decimals = {name: 2 for name in map(str, values) if "dB" in name}
    return Table(values, low, high, base.shape[1], decimals=decimals, notes=tuple(notes))


def cost(records: pd.DataFrame, experiment: Mapping[str, Any], labels: Labels) -> Table:
    """Time, memory and energy of each method after each step count, against what it saves.

    Saved bits are minus the BD-rate against the base models, or against the method ``against``; of
    one model, which has no curve, the reduction of the true loss stands instead.
    """
    found = costs(records, experiment)
    what = "Bits saved" if saves_bits(experiment) else "True loss saved"
    names = {
        **{"seconds": "Seconds per image", "rate": "Image steps per second", "memory": "Peak memory (MB)"},
        **{"joules": "Joules per image", "saved": f"{what} (%)", "price": "Seconds per saved %"},
    }
    values = found[list(names)].rename(columns=names)
    low, high = (found[[end]].set_axis([names["saved"]], axis=1) for end in ("low", "high"))
    if against := experiment.get("against"):
        pairs = [
            saving(records, experiment, method, steps, against) if method != against else UNKNOWN
            for method, steps in found.index
        ]
        head = f"{what} against {labels[against]} (%)"
        for frame, part in zip((values, low, high), zip(*pairs, strict=True), strict=True):
            frame[head] = part
    values = values.dropna(axis=1, how="all")
    decimals = {name: 0 if "memory" in name else 2 for name in map(str, values)}
    best = [_best(values[[names[key]]], key == "price") for key in ("saved", "price") if names[key] in values]
    bold = pd.concat(best, axis=1) if best else None
    table = Table(values, low, high, records["image"].nunique(), bold, decimals=decimals)
    return _titled(table, labels, "Method", "Steps")


def budget(records: pd.DataFrame, experiment: Mapping[str, Any], labels: Labels) -> Table:
    """True loss above that of the method ``against`` after the most steps, in %: by method, step count and model."""
    end = reference(records, experiment)
    rows = {
        (method, str(count)): at_step(records[records["method"] == method], count)
        for method, count in measured(records, experiment)
    }
    found = {key: _over_models(excess(own, end)) for key, own in rows.items()}
    table = _estimated(found, records["image"].nunique())
    values = table.values.assign(**{"Seconds per image": [seconds(own) for own in rows.values()]})
    note = f"True R-D loss above that of {labels[experiment['against']]} after {max(experiment['steps'])} steps, in %."
    table = replace(table, values=values, decimals={**table.decimals, "Seconds per image": 2}, notes=(note,))
    return _titled(table, labels, "Method", "Steps")


def _over_models(found: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Estimates by model under the columns' names; of one model there is no mean."""
    return {name or "Mean": value for name, value in found.items() if name or len(found) > 2}


def _tested(records: pd.DataFrame, method: str, steps: int, bitrate: str) -> np.ndarray:
    return curve(with_rate(at_step(records[records["method"] == method], steps), bitrate))


def _bd(anchors: Mapping[str, np.ndarray], test: np.ndarray) -> dict[str, Estimate]:
    """BD-rate of a curve against each of the anchors, and BD-PSNR against ours, by column."""
    found = {}
    for name, anchor in anchors.items():
        found[f"BD-rate vs {name} (%)"] = estimate(bd_rate, anchor, test)
        if name != published.BASE:
            found[f"BD-PSNR vs {name} (dB)"] = estimate(bd_psnr, anchor, test)
    return found


def _estimated(rows: Mapping[tuple[str, str], Mapping[str, Estimate]], images: int) -> Table:
    """A table of estimates, two decimals, with their intervals."""
    columns = max((list(row) for row in rows.values()), key=len)
    index = pd.MultiIndex.from_tuples(rows)
    values, low, high = (
        pd.DataFrame([[row.get(name, UNKNOWN)[part] for name in columns] for row in rows.values()], index, columns)
        for part in range(3)
    )
    return Table(values, low, high, images, decimals=dict.fromkeys(columns, 2))


def _with_row(table: Table, key: tuple[str, str], values: Mapping[str, float]) -> Table:
    frame = table.values.copy()
    for name, value in values.items():
        frame.loc[key, name] = value
    return replace(table, values=frame)


def _theirs(known: Iterable[str]) -> tuple[str, ...]:
    if published.BASE not in known:
        return ()
    return (f"{published.SGA}: published, against its own base model, {published.BASE}.",)


def _covered(rows: pd.DataFrame, curves: Mapping[str, np.ndarray], base: np.ndarray) -> pd.DataFrame:
    """What the chosen models give at the rate of each base model, and which of them with which target is nearest."""
    bpp = base[:, 0]
    psnr = {name: covering.reach(values, bpp) for name, values in curves.items()}
    best = [list(psnr)[place] for place in np.argmax(list(psnr.values()), axis=0)]
    operating = points(rows).reset_index()
    nearest = []
    for name, rate in zip(best, bpp, strict=True):
        own = operating[operating["model"] == name]
        nearest.append(own.loc[(np.log(own["bpp"]) - np.log(rate)).abs().idxmin(), "target_lmbda"])
    reached = np.max(list(psnr.values()), axis=0)
    reached = np.where(np.isinf(reached), np.nan, reached)
    return pd.DataFrame(
        {
            **{"Rate (bpp)": bpp, "Base PSNR (dB)": base[:, 1], "Refined PSNR (dB)": reached},
            **{"Gain (dB)": reached - base[:, 1], "From model": best, "Nearest target λ": map("{:g}".format, nearest)},
        }
    )


def _choice(label: str, chosen: covering.Cover) -> str:
    names = ", ".join(chosen.models)
    if np.isinf(chosen.smallest):
        return f"{label}: {names} cover most; no choice of models reaches {chosen.at:.3f} bpp."
    return (
        f"{label}: {names} cover the curve best. From {chosen.ends[0]:.3f} to {chosen.ends[1]:.3f} bpp their smallest "
        f"gain is {chosen.smallest:+.2f} dB, at {chosen.at:.3f} bpp."
    )


def _losses(cells: pd.DataFrame, rows: Sequence[str], columns: Sequence[str], differences: Sequence[str] = ()) -> Table:
    """A table of mean true losses.

    Args:
        cells: Rows of the records with the ``row`` and ``column`` of the table that each belongs to.
        rows, columns: Their order.
        differences: Rows of which the difference from the best row of each column is appended.
    """
    images = by_image(cells, ["row", "column"], "true_loss")
    best = images.mean().unstack("column").loc[list(rows)].idxmin()
    names = {row: f"{row}{MINUS_BEST}" for row in differences}
    for (row, name), column in itertools.product(names.items(), columns):
        images[name, column] = images[row, column] - images[best[column], column]
    table = _summary(images, [*rows, *names.values()], columns)
    return replace(table, bold=_lowest(table.values.loc[list(rows)]), published=_published(cells))


MINUS_BEST = " − best"
NAMED = ("method", "row")
"""Columns of published losses that may name a method."""


def _summary(images: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Table:
    """Means over images and their intervals, from values (images, (row, column))."""
    ends = interval(images.to_numpy())
    means, low, high = (
        pd.Series(values, images.columns).unstack().reindex(index=list(rows), columns=list(columns))
        for values in (images.mean(), *ends)
    )
    return Table(means, low, high, len(images))


def _published(cells: pd.DataFrame) -> pd.DataFrame:
    """The published loss beside the best of the cells that it is comparable with, per method."""
    known = published.losses(cells)
    keys = ["method", "step", "row", "column", "published", "source"]
    means = known.groupby(keys)["true_loss"].mean().reset_index().sort_values("true_loss")
    return means.drop_duplicates(["method", "published", "source"])


def _lowest(values: pd.DataFrame) -> pd.DataFrame:
    """Whether a value is, as printed, the lowest of its column."""
    return _best(values, lowest=True)


def _best(values: pd.DataFrame, lowest: bool) -> pd.DataFrame:
    shown = values.round(DECIMALS)
    return shown == (shown.min() if lowest else shown.max())


def _lowest_of_all(values: pd.DataFrame) -> pd.DataFrame:
    shown = values.round(DECIMALS)
    return shown == shown.to_numpy().min()


def _titled(table: Table, labels: Labels, *names: str) -> Table:
    """The table with methods by their labels, and with names of its first columns."""

    def labelled(key: str) -> str:
        method = key.removesuffix(MINUS_BEST)
        return labels.get(method, method) + key[len(method) :]

    def titled(frame: pd.DataFrame) -> pd.DataFrame:
        level = {} if len(names) == 1 else {"level": 0}
        return frame.rename(index=labelled, **level).rename_axis(list(names)).rename_axis(None, axis=1)  # type: ignore[call-overload]

    frames = {name: getattr(table, name) for name in ("values", "low", "high", "bold")}
    if table.bold is not None:  # before labels, of which two may be the same
        frames["bold"] = table.bold.reindex(table.values.index, fill_value=False)
    frames = {name: frame if frame is None else titled(frame) for name, frame in frames.items()}
    if table.published is not None:
        frames["published"] = table.published.assign(**{key: table.published[key].map(labelled) for key in NAMED})
    return replace(table, **frames)


def printed(table: Table, bold: str) -> pd.DataFrame:
    """The table as text, best values set in the template ``bold``, such as ``**{}**``; the index as columns."""
    text = table.text(table.values)
    if table.bold is not None:
        for name in table.bold:
            best = table.bold[name].to_numpy() & (text[name] != "").to_numpy()
            text[name] = text[name].where(~best, text[name].map(bold.format))
    for name, (plain, bracketed) in table.layout.items():
        text[name] = text.pop(plain) + " (" + text.pop(bracketed) + ")"
    return text.reset_index()


def intervals(table: Table) -> pd.DataFrame | None:
    """The intervals as text, such as ``0.7321 to 0.7442``; None if the table has none."""
    if table.low is None or table.high is None or not table.low.notna().to_numpy().any():
        return None
    low, high = table.text(table.low), table.text(table.high)
    joined = (low + " to " + high).where(low != "", "")
    return joined[(joined != "").any(axis=1)].reset_index()


def notes(table: Table) -> list[str]:
    """Sentences below the table, the published numbers among them."""
    known = table.published if table.published is not None else pd.DataFrame()
    beside = [
        f"Published for {fact['method']} after {fact['step']} steps: {fact['published']:.4f} ({fact['source']}). "
        f"Ours ({fact['row']}, {fact['column']}) is {fact['true_loss']:.4f}, a difference of "
        f"{fact['true_loss'] - fact['published']:+.4f}."
        for fact in known.to_dict("records")
    ]
    return [*table.notes, *beside]


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


def write(table: Table, csv: str | Path, md: str | Path, html: str | Path) -> None:
    """Write a table as CSV, Markdown and a small page for the report, all or nothing each."""
    with replacing(csv) as temporary:
        numbers(table).to_csv(temporary, float_format="%.6f")
    with replacing(md) as temporary:
        parts = _parts(table, "**{}**", _markdown)
        temporary.write_text("\n\n".join(parts) + "\n")
    with replacing(html) as temporary:
        parts = _parts(table, "<b>{}</b>", lambda frame: frame.to_html(escape=False, border=0, index=False))
        temporary.write_text(PAGE.format("\n".join(part if "<table" in part else f"<p>{part}</p>" for part in parts)))


def _parts(table: Table, bold: str, show: Callable[[pd.DataFrame], str]) -> list[str]:
    """The table, its notes, and its intervals below them."""
    parts = [show(printed(table, bold)), *notes(table)]
    ends = intervals(table)
    if ends is not None:
        parts += [f"{LEVEL} % bootstrap intervals over {table.images} images:", show(ends)]
    return parts


def _markdown(frame: pd.DataFrame) -> str:
    alignment = ("left", *["right"] * (frame.shape[1] - 1))
    return frame.to_markdown(index=False, colalign=alignment, disable_numparse=True)


TABLES = {
    "sweep": sweep,
    "steps": steps,
    "classes": classes,
    "grid": grid,
    "bd": bd,
    "cover": cover,
    "cost": cost,
    "budget": budget,
}
