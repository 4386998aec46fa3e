"""Tables of the cost of refinement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from sgaplus.analysis import anchors
from sgaplus.analysis.cost import costs, saves_bits, saving
from sgaplus.analysis.equal_rate import per_megapixel, points
from sgaplus.analysis.excess_loss import excess, reference, seconds
from sgaplus.analysis.intervals import Estimate
from sgaplus.analysis.rd_curves import base_curve, bd_rate, curve_after, estimate
from sgaplus.analysis.selection import at_step, measured
from sgaplus.artifacts.kinds import table
from sgaplus.artifacts.results import Results
from sgaplus.artifacts.table import BASE, UNKNOWN, Table, best, estimated, titled


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


@table(takes=("anchors",), fewest_models=2, times_base=True)
def speed(results: Results) -> Table:
    """Seconds per megapixel to encode and to decode, and bits beside the base models', of every codec.

    Bits are BD-rates: of classical codecs in real files against the base models' bitstreams, of refinement
    by estimated rates. Below 0 % is better.
    """
    records, experiment = results.records, results.experiment
    base = results.decoded[results.decoded["step"] == 0].drop_duplicates(["image", "model"])
    encode, decode = (per_megapixel(base, f"{what}_seconds") for what in ("encode", "decode"))
    rates: dict[tuple[str, str], Estimate] = {}
    times: dict[tuple[str, str], tuple[float, float]] = {}
    classical = anchors.classical(experiment.anchors or ())
    codecs = {name: anchors.rows_of(results.coded, experiment.dataset, name) for name in classical}
    for name, rows in codecs.items():
        key = anchors.label(name), ""
        rates[key] = estimate(bd_rate, base_curve(records, "actual"), anchors.classical_curve(rows))
        times[key] = per_megapixel(rows, "encode_seconds"), per_megapixel(rows, "decode_seconds")
    rates[BASE, ""], times[BASE, ""] = UNKNOWN, (encode, decode)
    for method, steps in measured(records, experiment):
        key = method, str(steps)
        rates[key] = estimate(bd_rate, base_curve(records), curve_after(records, method, steps))
        times[key] = encode + _refining(at_step(records[records["method"] == method], steps)), decode
    against = f"BD-rate vs {BASE} (%)"
    table = estimated({key: {against: rate} for key, rate in rates.items()}, records["image"].nunique())
    columns = ["Encode (s/MP)", "Decode (s/MP)"]
    values = pd.DataFrame(list(times.values()), table.values.index, columns).join(table.values)
    decimals = {**dict.fromkeys(columns, 3), against: 2}
    notes = (*_over_settings(codecs), *_measured_on(base, records, codecs))
    return titled(replace(table, values=values, decimals=decimals, notes=notes), results.labels, "Codec", "Steps")


def _refining(rows: pd.DataFrame) -> float:
    """Seconds per megapixel of refinement, an image's share of its batch."""
    return per_megapixel(rows.assign(seconds=rows["seconds"] / rows["batch"]), "seconds")


def _over_settings(codecs: Mapping[str, pd.DataFrame]) -> list[str]:
    """How long the fastest and the slowest setting of each classical codec take."""
    said = []
    for name, rows in codecs.items():
        each = points(rows, ["variant", "setting"])["encode_seconds_per_megapixel"]
        said.append(f"{anchors.label(name)} {each.min():.3f} to {each.max():.3f}")
    if not said:
        return []
    return [f"Classical codecs are timed over their whole sweep. Settings encode in (s/MP): {'; '.join(said)}."]


def _measured_on(base: pd.DataFrame, records: pd.DataFrame, codecs: Mapping[str, pd.DataFrame]) -> list[str]:
    """Which hardware took the seconds, and how many threads of it."""
    threads = " or ".join(f"{count:g}" for count in sorted(base["threads"].unique()))
    some = "one thread" if threads == "1" else f"{threads} threads"
    refined_by = "as many threads of " if set(records["device"]) == {"cpu"} else ""
    found = [f"Classical codecs: one thread of {_hardware(pd.concat(codecs.values()))}."] if codecs else []
    return [
        *found,
        f"The base model: {some} of {_hardware(base)}.",
        f"Refinement: the base model's encoding, and the steps with their measurements on {refined_by}"
        f"{_hardware(records)}, an image's share of its batch. It changes nothing about decoding.",
    ]


def _hardware(rows: pd.DataFrame) -> str:
    return " and ".join(sorted(set(rows["hardware"])))


def _over_models(found: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Estimates by model under the columns' names; of one model there is no mean."""
    return {name or "Mean": value for name, value in found.items() if name or len(found) > 2}
