"""Tables of the cost of refinement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from sgaplus.analysis.cost import costs, saves_bits, saving
from sgaplus.analysis.excess_loss import excess, reference, seconds
from sgaplus.analysis.intervals import Estimate
from sgaplus.analysis.selection import at_step, measured
from sgaplus.artifacts.kinds import table
from sgaplus.artifacts.results import Results
from sgaplus.artifacts.table import UNKNOWN, Table, best, estimated, titled


@table(needs=("against",), takes=("bitrate",))
def cost(results: Results) -> Table:
    """Time, memory and energy per image, and the price of a saved per cent of bits.

    Saved bits are minus the BD-rate against the base models, or against the method ``against``; of
    one model, which has no curve, the reduction of the true loss stands instead.
    """
    records, experiment, against = results.records, results.experiment, str(results.experiment.against)
    found = costs(records, experiment)
    saved = "Bits saved" if saves_bits(experiment) else "True loss saved"
    names = {
        "seconds": "Seconds per image",
        "rate": "Image steps per second",
        "memory": "Peak memory (MB)",
        "joules": "Joules per image",
        "saved": f"{saved} (%)",
        "price": "Seconds per saved %",
    }
    values = found[list(names)].rename(columns=names)
    low, high = (found[[end]].set_axis([names["saved"]], axis=1) for end in ("low", "high"))
    pairs = [
        saving(records, experiment, method, steps, against) if method != against else UNKNOWN
        for method, steps in found.index
    ]
    for frame, part in zip((values, low, high), zip(*pairs, strict=True), strict=True):
        frame[f"{saved} against {results.labels[against]} (%)"] = part
    values = values.dropna(axis=1, how="all")
    decimals = {name: 0 if "memory" in name else 2 for name in map(str, values)}
    compared = [key for key in ("saved", "price") if names[key] in values]
    bold = [best(values[[names[key]]], key == "price", decimals[names[key]], within="steps") for key in compared]
    table = Table(values, low, high, records["image"].nunique(), pd.concat(bold, axis=1) if bold else None)
    return titled(replace(table, decimals=decimals), results.labels, "Method", "Steps")


@table(needs=("against",))
def budget(results: Results) -> Table:
    """True loss above that of `against` after the most steps, by method, step count and model, and seconds per image.

    The true loss is given as an excess in %; under several models their mean has a column.
    """
    records, experiment = results.records, results.experiment
    end = reference(records, experiment)
    rows = {
        (method, str(count)): at_step(records[records["method"] == method], count)
        for method, count in measured(records, experiment)
    }
    found = {key: _over_models(excess(own, end)) for key, own in rows.items()}
    table = estimated(found, records["image"].nunique())
    values = table.values.assign(**{"Seconds per image": [seconds(own) for own in rows.values()]})
    against = results.labels[str(experiment.against)]
    note = f"True R-D loss above that of {against} after {experiment.last_step} steps, in %."
    decimals = {**table.decimals, "Seconds per image": 2}
    table = replace(table, values=values, decimals=decimals, names=results.models, notes=(note,))
    return titled(table, results.labels, "Method", "Steps")


def _over_models(found: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Estimates by model under the columns' names; of one model there is no mean."""
    return {name or "Mean": value for name, value in found.items() if name or len(found) > 2}
