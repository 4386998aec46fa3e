"""Tables of rates at equal quality."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from sgaplus.analysis import covering, published
from sgaplus.analysis.intervals import Estimate
from sgaplus.analysis.rd_curves import POINT, base_curve, bd_psnr, bd_rate, curve, curve_after, estimate, points
from sgaplus.analysis.selection import at_step, base_model, measured, with_rate
from sgaplus.artifacts.kinds import table
from sgaplus.artifacts.results import Results, anchors_of
from sgaplus.artifacts.table import BASE, Table, best, estimated, minus, titled


@table(needs=("against",), takes=("anchors", "bitrate", "quality"), fewest_models=2)
def bd(results: Results) -> Table:
    """BD-rate and BD-PSNR by method and step count.

    By PCHIP, in % and dB, against the base model and the method ``against``, and BD-rate against each of
    ``anchors``: without that key, for a data set on which it is published, against the base model of Yang
    et al. 2020. There is a row of their own SGA where both are known. The rate is ``bitrate``'s, the
    quality ``quality``'s, in the place of the PSNR. Below 0 %
    and above 0 dB is better.
    """
    experiment, against = results.experiment, str(results.experiment.against)
    known = anchors_of(results)
    theirs = known if experiment.anchors else {name: known[name] for name in [published.BASE] if name in known}
    records, (column, quality) = results.of_quality, results.quality
    base = base_curve(records, experiment.bitrate, column)
    rows: dict[tuple[str, str], dict[str, Estimate]] = {}
    if theirs:
        rows[BASE, ""] = _bd({}, theirs, base, quality)
    have = measured(records, experiment)
    for steps in sorted(experiment.steps):
        tests = {
            method: curve_after(records, method, steps, experiment.bitrate, column)
            for method, count in have
            if count == steps
        }
        for method, test in tests.items():
            ours = {BASE: base}
            if method != against:
                ours[results.labels[against]] = tests[against]
            rows[method, str(steps)] = _bd(ours, theirs, test, quality)
    table = estimated(rows, base.shape[1])
    if published.SGA in known and published.BASE in known:
        gains = _bd({BASE: known[published.BASE]}, {}, known[published.SGA], quality)
        table = _with_row(table, (published.SGA, ""), {name: value.value for name, value in gains.items()})
    cells = table.values.loc[[row for row in rows if row[0] != BASE]]
    each = [best(cells[[name]], "BD-rate" in name, table.decimals[name], within=1) for name in map(str, cells)]
    bold = pd.concat(each, axis=1)
    said = f"Bits are {experiment.bitrate}. By PCHIP, over the range that both curves have."
    if column != "psnr":
        said += f" Quality is {quality} in dB, the mean of the images', of what the bitstreams decode to."
    notes = (said, *_theirs(known))
    return titled(replace(table, bold=bold, notes=notes), results.labels, "Method", "Steps")


@table(
    needs=("targets",),
    takes=("cover", "bitrate"),
    fewest_models=2,
    most_methods=1,
    at_last_step=True,
    paper="Section 4.5",
)
def cover(results: Results) -> Table:
    """Which few models cover the base models' curve, and their gain at the rate of each base model.

    They are the choice of models, each refined toward all targets, whose smallest gain over that curve is the
    largest.
    """
    experiment, bitrate = results.experiment, results.experiment.bitrate
    base = base_curve(results.records, bitrate)
    models = list(points(base_model(results.records), POINT[:2]).index.get_level_values("model"))
    rows = with_rate(at_step(results.records, experiment.last_step), bitrate)
    refined = {model: curve(rows[rows["model"] == model]) for model in models}
    means = {model: values.mean(axis=1) for model, values in refined.items()}
    chosen = covering.choose(means, base.mean(axis=1), experiment.cover)
    values = _covered(rows, {model: means[model] for model in chosen.models}, base.mean(axis=1))
    label = results.labels[experiment.methods[0]]
    values.index = pd.MultiIndex.from_product([[label], models], names=["Method", BASE])
    ends = covering.gain_interval([refined[model] for model in chosen.models], base)
    low, high = (pd.DataFrame({"Gain (dB)": end}, values.index) for end in ends)
    decimals = {name: 2 for name in map(str, values) if "dB" in name}
    note = _choice(label, chosen)
    if chosen.smallest <= 0:
        note += _fewest(covering.fewest(means, base.mean(axis=1)))
    if values["Gain (dB)"].isna().any():
        note += " An empty gain: these models do not reach so low a rate."
    return Table(values, low, high, base.shape[1], decimals=decimals, names=results.models, notes=(note,))


def _bd(
    ours: Mapping[str, np.ndarray], anchors: Mapping[str, np.ndarray], test: np.ndarray, quality: str
) -> dict[str, Estimate]:
    """BD-rate of a curve against each of ours and of the anchors, and BD-PSNR against ours, by column."""
    found = {}
    for name, anchor in {**ours, **anchors}.items():
        found[f"BD-rate vs {name} (%)"] = estimate(bd_rate, anchor, test)
        if name in ours:
            found[f"BD-{quality} vs {name} (dB)"] = estimate(bd_psnr, anchor, test)
    return found


def _with_row(table: Table, key: tuple[str, str], values: Mapping[str, float]) -> Table:
    """The table with another row, which has no intervals."""
    frames = {name: getattr(table, name).copy() for name in ("values", "low", "high")}
    for column in table.values:
        for name, frame in frames.items():
            frame.loc[key, column] = values.get(str(column), np.nan) if name == "values" else np.nan
    return replace(table, **frames)


def _theirs(known: Collection[str]) -> tuple[str, ...]:
    if not {published.BASE, published.SGA} <= set(known):
        return ()
    return (f"{published.SGA}: published, against its own base model, {published.BASE}.",)


def _covered(rows: pd.DataFrame, curves: Mapping[str, np.ndarray], base: np.ndarray) -> pd.DataFrame:
    """PSNR of the chosen models at the rate of each base model, and the model and target nearest to it."""
    bpp = base[:, 0]
    psnr = {name: covering.reach(values, bpp) for name, values in curves.items()}
    nearest_models = [list(psnr)[place] for place in np.argmax(list(psnr.values()), axis=0)]
    operating = points(rows).reset_index()
    targets = []
    for name, rate in zip(nearest_models, bpp, strict=True):
        own = operating[operating["model"] == name]
        targets.append(own.loc[(np.log(own["bpp"]) - np.log(rate)).abs().idxmin(), "target_lmbda"])
    reached = np.max(list(psnr.values()), axis=0)
    reached = np.where(np.isinf(reached), np.nan, reached)
    return pd.DataFrame(
        {
            **{"Rate (bpp)": bpp, "Base PSNR (dB)": base[:, 1], "Refined PSNR (dB)": reached},
            **{
                "Gain (dB)": reached - base[:, 1],
                "From model": nearest_models,
                "Nearest target λ": map("{:g}".format, targets),
            },
        }
    )


def _choice(label: str, chosen: covering.Cover) -> str:
    names = ", ".join(chosen.models)
    if np.isinf(chosen.smallest):
        return f"{label}: {names} cover most; no choice of models reaches {chosen.at:.3f} bpp."
    best = "cover the curve best" if chosen.smallest > 0 else "come nearest to covering the curve, and do not"
    return (
        f"{label}: {names} {best}. From {chosen.ends[0]:.3f} to {chosen.ends[1]:.3f} bpp their smallest "
        f"gain is {minus(f'{chosen.smallest:+.2f}')} dB, at {chosen.at:.3f} bpp."
    )


def _fewest(cover: covering.Cover | None) -> str:
    if cover is None:
        return " All of them together do not cover it."
    return f" {len(cover.models)} models do: {', '.join(cover.models)}, by {cover.smallest:.2f} dB at least."
