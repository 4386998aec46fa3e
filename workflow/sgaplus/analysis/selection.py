"""Rows of the records that a table or a figure is about.

Records are a frame with the columns of ``records.FIELDS``; every function takes one and returns one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from sgaplus.analysis.experiment import Experiment
from sgaplus.errors import RecordError
from sgaplus.qualities import DISTANCES, QUALITIES, decibels

BASE_KEY = ["dataset", "image", "model", "target_lmbda"]


def at_step(records: pd.DataFrame, step: int) -> pd.DataFrame:
    """The rows measured after exactly this many steps."""
    return records[records["step"] == step]


def measured(records: pd.DataFrame, experiment: Experiment) -> list[tuple[str, int]]:
    """Pairs (method, step count) of an experiment that the records hold, in the order of the methods and the counts.

    A method with a fixed number of steps has none beyond it.
    """
    have = records.groupby("method")["step"].agg(set)
    return [
        (method, count) for method in experiment.methods for count in sorted(experiment.steps) if count in have[method]
    ]


def base_model(records: pd.DataFrame) -> pd.DataFrame:
    """The base model's own result, once per image, model and target: refinement before its first step."""
    return at_step(records, 0).drop_duplicates(BASE_KEY)


def changes(rows: pd.DataFrame, records: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """These rows with each column minus the base model's value for the same image, model and target."""
    base = base_model(records)[[*BASE_KEY, *columns]]
    joined = rows.merge(base, on=BASE_KEY, suffixes=("", "_of_base"))
    return joined.assign(**{name: joined[name] - joined[f"{name}_of_base"] for name in columns})


def with_swept(records: pd.DataFrame, sweep: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """The records with a column for every swept parameter, also those of the rounding itself, and only swept values."""
    for name, values in sweep.items():
        if name not in records:
            records = with_parameter(records, name)
        records = records[records[name].isin([float(value) for value in values])]
    return records


def with_parameter(records: pd.DataFrame, name: str) -> pd.DataFrame:
    """The records with a column for a parameter of the rounding's own; nan where it has none of this name."""
    own = [json.loads(text).get(name) for text in records["parameters"]]
    return records.assign(**{name: pd.Series(own, index=records.index, dtype=float)})


def by_image(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """One column's values, (images, groups of ``by``): means over seeds, models and targets of each image."""
    return rows.groupby([*by, "image"])[column].mean().unstack(list(by))


def with_quality(rows: pd.DataFrame, decoded: pd.DataFrame, quality: str) -> pd.DataFrame:
    """The rows that have a quality, with its column.

    Args:
        rows: Rows of the records.
        decoded: Records of decoded bitstreams.
        quality: A key of ``QUALITIES``: ``psnr``, which all rows have, or another, which only steps with a bitstream
            have: the base model's and the last.

    Returns:
        The rows with the quality's column.

    Raises:
        RecordError: a picture is too small for it, was not measured by it, or has no bitstream.
    """
    if quality == "psnr":
        return rows
    label, column, smallest_side = QUALITIES[quality]
    small = decoded.loc[decoded[quality].isna(), "image"]
    if len(small):
        names, why = ", ".join(sorted(set(small))), ", or it was not measured" * (quality in DISTANCES)
        raise RecordError(f"{names}: a side has fewer than {smallest_side} pixels{why}, so there is no {label}.")
    of_base = ["dataset", "image", "model", "step"]
    of_refined = [*of_base, "target_lmbda", "variant", "seed"]
    ends = rows["step"] == rows.groupby([key for key in of_refined if key != "step"])["step"].transform("max")
    known, is_base = with_decibels(decoded), rows["step"] == 0
    found = [
        own.merge(known[[*keys, column]].drop_duplicates(keys), "left", keys)
        for own, keys in ((rows[is_base], of_base), (rows[ends & ~is_base], of_refined))
    ]
    joined = pd.concat(found, ignore_index=True)
    lacking = joined.loc[joined[column].isna(), "image"]
    if len(lacking):
        raise RecordError(f"{', '.join(sorted(set(lacking)))}: no bitstream was written, so there is no {label}.")
    return joined


def with_decibels(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with similarities and distances in dB, in which curves are drawn and compared; nan where not known."""
    known = {name: rows[name].astype(float) for name in measures_of(rows)}
    inside = {name: values.map(partial(decibels, name), na_action="ignore") for name, values in known.items()}
    return rows.assign(**{QUALITIES[name].column: values for name, values in inside.items()})


def measures_of(rows: pd.DataFrame) -> list[str]:
    """The similarities and distances that the rows have a column of."""
    return [name for name in QUALITIES if name != "psnr" and name in rows]


def with_rate(rows: pd.DataFrame, bitrate: str) -> pd.DataFrame:
    """The rows with ``bpp`` as it is asked for.

    Args:
        rows: Rows of the records.
        bitrate: ``estimated``, by the entropy model, or ``actual``, of the real bitstream.

    Raises:
        RecordError: a row lacks the size of its real bitstream.
    """
    if bitrate == "estimated":
        return rows
    if "bytes" not in rows or rows["bytes"].isna().any():
        steps = rows["step"] if "bytes" not in rows else rows.loc[rows["bytes"].isna(), "step"]
        raise RecordError(
            f"no bitstream was written after {sorted(set(map(int, steps)))} steps: a refinement writes one after its "
            "last step alone."
        )
    return rows.assign(bpp=8 * rows["bytes"].astype(float) / (rows["width"] * rows["height"]))
