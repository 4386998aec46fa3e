"""Anchors: the codecs that ours are compared with, each a name and a rate-distortion curve.

A classical codec is measured by the run itself, image by image, (points, images, 2). A published curve is a mean over
images that are not known, (points, 2). Figures, tables and claims treat both alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sgaplus.analysis import rd_curves
from sgaplus.analysis.published import Published
from sgaplus.analysis.rd_curves import PSNR, RATE
from sgaplus.analysis.selection import with_decibels
from sgaplus.codec.classical_codecs import CODECS
from sgaplus.errors import RecordError
from sgaplus.qualities import QUALITIES, of_decibels


def label(name: str) -> str:
    """The name in print of a classical codec, or of a published one, whose name is that in print."""
    return CODECS[name].label if name in CODECS else name


def classical(names: Sequence[str]) -> list[str]:
    """The classical codecs among these anchors."""
    return [name for name in names if name in CODECS]


def curves(
    names: Sequence[str] | None,
    dataset: str | None,
    published: Published,
    coded: pd.DataFrame,
    quality: str = "psnr",
) -> dict[str, np.ndarray]:
    """The curves of anchors by their names in print.

    Args:
        names: Keys of ``CODECS`` and published codecs; None for all that is published for the data set.
        dataset: The data set.
        published: Published numbers.
        coded: Records of classical codecs, with the columns of ``records.CODED``.
        quality: A key of ``QUALITIES``; published curves are of PSNR alone.

    Raises:
        KeyError: there is no such curve for the data set.
        RecordError: a codec was not measured by that quality.
    """
    known = published.curves(dataset) if quality == "psnr" else {}
    if names is None:
        return known
    coded, column = coded if quality == "psnr" else with_decibels(coded), QUALITIES[quality].column
    measured = {name: rows_of(coded, dataset, name) for name in classical(names)}
    for name, rows in measured.items():
        if rows[column].isna().any():
            raise RecordError(f"{label(name)} on {dataset}: some pictures have no {QUALITIES[quality].label}.")
    return {label(name): classical_curve(measured[name], column) if name in measured else known[name] for name in names}


def rows_of(coded: pd.DataFrame, dataset: str | None, codec: str) -> pd.DataFrame:
    """The rows of a classical codec on a data set.

    Raises:
        KeyError: there are none.
    """
    found = coded[(coded["dataset"] == dataset) & (coded["codec"] == codec)]
    if found.empty:
        raise KeyError(f"no records of {codec} on {dataset}")
    return found


def classical_curve(rows: pd.DataFrame, quality: str = "psnr") -> np.ndarray:
    """The curve of a classical codec, (points, images, 2): its :func:`best_settings`, from the lowest rate up.

    Args:
        rows: The codec's records of one data set.
        quality: Column with the quality.
    """
    settings, curve = _settings_and_curve(rows, quality)
    return curve[[settings.index(one) for one in best_settings(rows, quality)]]


def best_settings(rows: pd.DataFrame, quality: str = "psnr") -> list[tuple[str, float]]:
    """The settings of a classical codec that count, as variant and setting, from the lowest rate up.

    A setting counts if, in the means over images, its quality is above that of all at lower rates. Where a codec has
    several ways of coding, a setting of one counts only where it is not below the curves of the others.
    """
    settings, curve = _settings_and_curve(rows, quality)
    means, variants = curve.mean(axis=1), np.array([variant for variant, _ in settings])
    by_variant = [np.flatnonzero(variants == variant) for variant in dict.fromkeys(variants)]
    ways = [places[_rising(means[places])] for places in by_variant]
    fine = []
    for way in ways:
        others = [means[other] for other in ways if other is not way and len(other) > 1]
        above = [rd_curves.kept(means[way], other, 0.0) for other in others]
        fine.append(way[np.all(above, axis=0)] if above else way)
    places = np.concatenate(fine)
    return [settings[place] for place in places[_rising(means[places])]]


def _settings_and_curve(rows: pd.DataFrame, quality: str) -> tuple[list[tuple[str, float]], np.ndarray]:
    """All settings of a codec, and the points that they make, (settings, images, 2)."""
    by = ["variant", "setting"]
    settings = sorted(set(zip(rows["variant"], rows["setting"], strict=True)))  # as groupby orders them
    return settings, rd_curves.curve(rows, by, quality)


def _rising(points: np.ndarray) -> np.ndarray:
    """The places of the points, (points, 2), by rate, without those of no higher quality than one before."""
    order = np.lexsort((-points[:, PSNR], points[:, RATE]))
    highest = np.maximum.accumulate(points[order, PSNR])
    return order[np.r_[True, np.diff(highest) > 0]]


def quality_at(rows: pd.DataFrame, bpp: np.ndarray, quality: str = "psnr") -> np.ndarray:
    """A classical codec's quality in dB at rates, of means over images; nan beyond its rates.

    Args:
        rows: The codec's records of one data set.
        bpp: Rates, any shape.
        quality: Column with the quality; where an image has none, all is nan.
    """
    if rows[quality].isna().any():
        return np.full(np.shape(bpp), np.nan)
    means = classical_curve(rows, quality).mean(axis=1)
    return rd_curves.psnr_within(means, bpp) if len(means) > 1 else np.full(np.shape(bpp), np.nan)


def measure_at(rows: pd.DataFrame, bpp: np.ndarray, name: str) -> np.ndarray:
    """As :func:`quality_at`, of a similarity or a distance that is no dB."""
    return of_decibels(name, quality_at(rows, bpp, QUALITIES[name].column))


def beside(models: pd.DataFrame, dataset: str, coded: pd.DataFrame) -> pd.DataFrame:
    """A table of models with two columns per classical codec: its PSNR in dB and its MS-SSIM at each model's rate.

    They are the codec's label, and that with ``MS-SSIM`` behind it; nan where the codec does not reach that rate or an
    image is too small, otherwise means over images.

    Args:
        models: A row per model, with ``bpp``.
        dataset: The data set that all were measured on.
        coded: Records of classical codecs.
    """
    bpp, psnr, ms_ssim = models["bpp"].to_numpy(), {}, {}
    for name, codec in CODECS.items():
        rows = with_decibels(rows_of(coded, dataset, name))
        psnr[codec.label] = quality_at(rows, bpp)
        ms_ssim[f"{codec.label} MS-SSIM"] = measure_at(rows, bpp, "ms_ssim")
    return models.assign(**psnr, **ms_ssim)
