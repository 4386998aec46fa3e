"""Our bitstreams beside classical codecs on the same photographs, at equal rate, at equal quality, and in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from sgaplus.analysis import anchors, rd_curves
from sgaplus.analysis.intervals import Estimate
from sgaplus.analysis.rd_curves import RATE
from sgaplus.analysis.selection import measures_of, with_decibels


class Beside(NamedTuple):
    """A codec at one rate of ours; means over photographs.

    Attributes:
        name: Its name in print.
        bpp: The rate, bits per pixel of whole files.
        psnr: dB at that rate; nan where the codec does not reach it.
        measures: Similarities and distances likewise, by name; nan too where a photograph is too small for one.
        encode, decode: Seconds per megapixel, of a classical codec over its whole sweep; nan where they are not known.
        bits: Difference of our rate to the codec's at equal PSNR in %, below 0 where ours is lower.
    """

    name: str
    bpp: float
    psnr: float
    measures: Mapping[str, float]
    encode: float
    decode: float
    bits: Estimate


OURS = "ours"
UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"))


def compare(ours: pd.DataFrame, coded: pd.DataFrame) -> list[list[Beside]]:
    """Each of our rates, and the codecs at it.

    The difference in bits is the BD-rate where we have several rates, else that at the PSNR of the one.

    Args:
        ours: A row per photograph and rate: ``rate`` tells them, ``image``, ``width``, ``height``, ``bpp``, ``psnr``,
            ``decode_seconds``, and similarities and distances.
        coded: Records of classical codecs on the same photographs, measured likewise.

    Returns:
        For each rate ours, and then the codecs in the order of the records.
    """
    ours, coded = with_decibels(ours), with_decibels(coded)
    curve = rd_curves.curve(ours, ["rate"])
    curve = curve[curve.mean(axis=1)[:, RATE].argsort()]
    codecs = {name: coded[coded["codec"] == name] for name in coded["codec"].unique()}
    bits = {name: _bits(anchors.classical_curve(rows), curve) for name, rows in codecs.items()}
    return [
        [_ours(own), *(_at(name, rows, own["bpp"].mean(), bits[name]) for name, rows in codecs.items())]
        for _, own in sorted(ours.groupby("rate"), key=lambda pair: pair[1]["bpp"].mean())
    ]


def _bits(anchor: np.ndarray, curve: np.ndarray) -> Estimate:
    return rd_curves.estimate(rd_curves.bd_rate if len(curve) > 1 else rd_curves.bits_at, anchor, curve)


def _ours(rows: pd.DataFrame) -> Beside:
    names = measures_of(rows)
    means = rows[["bpp", "psnr", *names]].astype(float).mean(skipna=False)
    measures = {name: means[name] for name in names}
    decode = per_megapixel(rows, "decode_seconds")
    return Beside(OURS, means["bpp"], means["psnr"], measures, float("nan"), decode, UNKNOWN)


def _at(name: str, rows: pd.DataFrame, bpp: float, bits: Estimate) -> Beside:
    """A classical codec at a rate."""
    psnr = float(anchors.quality_at(rows, np.array(bpp)))
    measures = {measure: float(anchors.measure_at(rows, np.array(bpp), measure)) for measure in measures_of(rows)}
    encode, decode = (per_megapixel(rows, f"{what}_seconds") for what in ("encode", "decode"))
    return Beside(anchors.label(name), bpp, psnr, measures, encode, decode, bits)


def per_megapixel(rows: pd.DataFrame, seconds: str) -> float:
    """Seconds per megapixel of all rows together; nan where a row's are not known."""
    return float(rows[seconds].sum(skipna=False) / (rows["width"] * rows["height"]).sum() * 1e6)


def points(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Means over photographs at each setting, with seconds per megapixel.

    Args:
        rows: Our rows or records of classical codecs.
        by: Columns that tell the settings.

    Returns:
        The columns of ``by``, ``bpp``, ``psnr``, and of similarities, distances and seconds those that the rows have.
    """
    sizes = (rows["width"] * rows["height"]).astype(float) / 1e6
    known = {name: rows[name].astype(float) for name in measures_of(rows)}
    groups = rows.assign(**known, megapixels=sizes).groupby(list(by), sort=False)
    found = groups[["bpp", "psnr", *known]].mean()
    for seconds in ("encode_seconds", "decode_seconds"):
        if seconds in rows:
            found[f"{seconds}_per_megapixel"] = groups[seconds].sum() / groups["megapixels"].sum()
    return found.reset_index()
