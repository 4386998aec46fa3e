"""``evaluate --codecs``: classical codecs on the same photographs, as a table, a plot and CompressAI's JSON."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sgaplus import __version__
from sgaplus.analysis import anchors, equal_rate
from sgaplus.analysis.equal_rate import OURS, Beside
from sgaplus.analysis.selection import with_decibels
from sgaplus.artifacts.figures import style
from sgaplus.cli.work import Work
from sgaplus.codec.classical_codecs import CODECS
from sgaplus.codec.classical_sweep import sweep
from sgaplus.files import replacing, write_json
from sgaplus.progress import tqdm
from sgaplus.qualities import DISTANCES, QUALITIES

SAID = "our bits: against that codec's at equal PSNR, below 0 % where ours are fewer; s/MP: seconds per megapixel"


def compare(
    options: argparse.Namespace, work: Work, names: Sequence[str], distances: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Code photographs with classical codecs, and show and write them beside their bitstreams.

    Args:
        options: ``bitstreams``, ``output``, ``per_image``.
        work: The work that has measured the bitstreams; photographs that lack one are left out.
        names: Keys of ``CODECS``.
        distances: Those of ``qualities.DISTANCES`` that the work has measured, too.

    Returns:
        The table for a program.
    """
    if not work.results:
        return []
    ours = pd.DataFrame(work.results)
    ours = ours[ours.groupby("path")["rate"].transform("size") == len(options.bitstreams)]
    photos = [photo for photo in work.inputs.files if str(photo) in set(ours["path"])]
    if not photos:
        return []
    work.note(f"coding {len(photos)} photograph{'s' * (len(photos) > 1)} with {', '.join(names)}")
    with_profile = dict(zip(ours["path"], ours["icc"], strict=True))
    originals = ((str(photo), photo.photograph(strip=not with_profile[str(photo)]).pixels) for photo in photos)
    records = coded(originals, names, distances, len(photos), work.quiet)
    ours = ours.assign(image=ours["path"])
    rates = equal_rate.compare(ours, records)
    work.show(f"\n{text(rates)}")
    if options.output:
        short = {str(photo): str(photo.folder / photo.name).replace("/", "_") for photo in photos}
        ours, records = (rows.assign(image=rows["image"].map(short)) for rows in (ours, records))
        write(options.output, ours, records, options.per_image)
    return values(rates)


def coded(
    photographs: Iterable[tuple[str, np.ndarray]],
    names: Sequence[str],
    distances: Sequence[str],
    count: int,
    quiet: bool,
) -> pd.DataFrame:
    """Records of these codecs on photographs, of which there are ``count``: a name each, and pixels."""
    rows = []
    files = count * sum(1 for name in names for _ in CODECS[name].settings())
    with tqdm(total=files, unit="file", leave=False, disable=True if quiet else None) as bar:
        for image, pixels in photographs:
            for name in names:
                bar.set_description_str(f"{image}: {name}")
                for row in sweep(pixels, name, distances):
                    rows.append(row | {"image": image})
                    bar.update()
    return pd.DataFrame(rows)


def text(rates: Sequence[Sequence[Beside]]) -> str:
    """The table that is printed: ours and the codecs at each of our rates."""
    measures = rates[0][0].measures
    lower = [QUALITIES[name].label for name in measures if name in DISTANCES]
    said = SAID + (f"; {' and '.join(lower)}: lower is better" if lower else "")
    return "\n".join([shown(measures), *(_line(one) for beside in rates for one in beside), said])


def shown(measures: Iterable[str]) -> str:
    """The heading of the table."""
    names = [f"{QUALITIES[name].label:>8}" for name in measures]
    seconds = f"{'enc s/MP':>8}  {'dec s/MP':>8}"
    return "  ".join([f"{'':<10}  {'bpp':>8}  {'PSNR':>6}", *names, seconds, "our bits"])


def _line(one: Beside) -> str:
    rate = [(one.bpp, 8, ".4f"), (one.psnr, 6, ".2f"), *((value, 8, ".5f") for value in one.measures.values())]
    cells = [_number(*number) for number in (*rate, (one.encode, 8, ".3f"), (one.decode, 8, ".3f"))]
    bits = "" if math.isnan(one.bits.value) else f"{one.bits.value:+.1f} %"
    if bits and not math.isnan(one.bits.low):
        bits += f" [{one.bits.low:+.1f}, {one.bits.high:+.1f}]"
    return "  ".join([f"{one.name:<10}", *cells, bits]).rstrip()


def _number(value: float, width: int, form: str) -> str:
    return f"{'-' if math.isnan(value) else format(value, form):>{width}}"


def values(rates: Iterable[Sequence[Beside]]) -> list[dict[str, Any]]:
    """The same for a program: numbers that are not known are None."""

    def known(value: float) -> float | None:
        return None if math.isnan(value) else value

    return [
        {"name": one.name}
        | {name: known(value) for name, value in {"bpp": one.bpp, "psnr": one.psnr, **one.measures}.items()}
        | {f"{name}_seconds_per_megapixel": known(getattr(one, name)) for name in ("encode", "decode")}
        | {f"our_bits_{name}": known(value) for name, value in zip(("percent", "low", "high"), one.bits, strict=True)}
        for beside in rates
        for one in beside
    ]


def write(folder: Path, ours: pd.DataFrame, records: pd.DataFrame, per_image: bool) -> None:
    """Write all points as ``codecs.csv``, a plot of them as ``codecs.png``, and a JSON file of CompressAI's per codec.

    Args:
        folder: Where; existing files are replaced.
        ours: Our rows, as for ``equal_rate.compare``.
        records: Records of classical codecs.
        per_image: Whether there is a JSON file of each photograph, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rising = ours.assign(codec=OURS, variant="", setting=ours["rate"], at=ours.groupby("rate")["bpp"].transform("mean"))
    rising = rising.sort_values("at", kind="stable")
    every = [equal_rate.points(rows, ["codec", "variant", "setting"]) for rows in (rising, records)]
    with replacing(folder / "codecs.csv") as temporary:
        pd.concat(every).to_csv(temporary, index=False, float_format="%.6g")
    curves = {OURS: rising} | {name: _best(records[records["codec"] == name]) for name in records["codec"].unique()}
    style.save(lambda: _plot(curves), [folder / "codecs.png"])
    for name, rows in curves.items():
        label, said = anchors.label(name), f"sgaplus {__version__}" if name == OURS else rows["library"].iloc[0]
        write_json(as_compressai(label, said, rows), folder / f"{name}.json")
        for image, own in rows.groupby("image") if per_image else ():
            write_json({"source": image, **as_compressai(label, said, own)}, folder / f"{image}-{name}.json")


def _best(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a codec's settings that count, in the order of the rate."""
    places = {one: place for place, one in enumerate(anchors.best_settings(rows))}
    order = pd.Series(list(zip(rows["variant"], rows["setting"], strict=True)), index=rows.index).map(places)
    return rows.assign(place=order).dropna(subset="place").sort_values("place", kind="stable").drop(columns="place")


def as_compressai(name: str, description: str, rows: pd.DataFrame) -> dict[str, Any]:
    """Points as CompressAI's ``eval_model`` and ``bench`` print them, for its ``plot``; means over the images.

    Seconds are per image there. MS-SSIM is left out where an image is too small for it.
    """
    columns = {"bpp": "bpp", "psnr-rgb": "psnr", "ms-ssim-rgb": "ms_ssim"}
    columns |= {"encoding_time": "encode_seconds", "decoding_time": "decode_seconds"}
    groups = rows.groupby(["variant", "setting"], sort=False)
    results = {
        theirs: groups[ours].mean().tolist()
        for theirs, ours in columns.items()
        if ours in rows and rows[ours].notna().all()
    }
    return {"name": name, "description": description, "results": results}


def _plot(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """PSNR and, where they are known, similarities and distances against rate, a line per codec."""
    panels = {
        quality.column: f"{quality.label} (dB)"
        for name, quality in QUALITIES.items()
        if all(name in rows and rows[name].notna().all() for rows in curves.values())
    }
    figure, axes = style.panels_of(len(panels), columns=len(panels), height=3.0)
    for axis, (quality, label) in zip(axes, panels.items(), strict=True):
        for name, rows in curves.items():
            means = with_decibels(rows).groupby(["variant", "setting"], sort=False)[["bpp", quality]].mean()
            ours: style.Style = (
                {"color": "black", "marker": "*", "linestyle": "--", "zorder": 3} if name == OURS else {"marker": "."}
            )
            axis.plot(means["bpp"], means[quality], label=anchors.label(name), **ours)
        axis.set(xlabel="Rate (bpp)", ylabel=label)
        style.log_ticks(axis)
    style.legend_below(figure, axes[0])
    return figure
