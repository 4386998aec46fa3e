"""Records in Parquet: tidy rows, one per image and measured step, setting of a classical codec, or decoded bitstream.

Tables and figures read records and nothing else. Every field is documented once, in :data:`FIELDS`,
:data:`CODED` and :data:`DECODED`, and its description travels in the file's own schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sgaplus.files import replacing

if TYPE_CHECKING:  # a refinement writes records without pandas, whose import takes a second
    import pandas as pd

FIELDS: dict[str, tuple[pa.DataType, str]] = {
    "dataset": (pa.string(), "data set of the image"),
    "image": (pa.string(), "name of the image in its data set"),
    "width": (pa.int32(), "pixels of the original, not of the padded image"),
    "height": (pa.int32(), "pixels of the original, not of the padded image"),
    "model": (pa.string(), "entry of the model in the configuration"),
    "model_lmbda": (pa.float64(), "lambda that the model was trained with"),
    "weights": (pa.string(), "SHA-256 of the model's weights, as in the run's provenance.json"),
    "target_lmbda": (pa.float64(), "lambda of the loss that the refinement minimises"),
    "method": (pa.string(), "entry of the method in the configuration"),
    "variant": (pa.string(), "the method with its swept parameters, as in file names"),
    "rounding": (pa.string(), "class of the rounding method"),
    "parameters": (pa.string(), "the rounding's own parameters, such as a, r and n, as a JSON object"),
    "tau_max": (pa.float64(), "highest temperature"),
    "tau_rate": (pa.float64(), "decay of the temperature per step"),
    "schedule_steps": (pa.int32(), "steps in which the method passes through its temperatures and learning rates"),
    "lr": (pa.float64(), "learning rate of the latents, at its highest"),
    "seed": (pa.int64(), "seed of the run; the image's own stream is seeded by it and the name"),
    "step": (pa.int32(), "optimiser steps taken before this measurement"),
    "method_loss": (
        pa.float64(),
        "bpp + lambda * MSE of the relaxed latents, not clamped, in refinement's precision",
    ),
    "true_loss": (pa.float64(), "the paper's: bpp + lambda * mse_unclamped, of the rounded latents"),
    "best_true_loss": (pa.float64(), "lowest true loss measured up to this step"),
    "bpp_y": (pa.float64(), "estimated bits per original pixel of the rounded latents"),
    "bpp_z": (pa.float64(), "estimated bits per original pixel of the rounded hyper-latents"),
    "bpp": (pa.float64(), "bpp_y + bpp_z"),
    "mse": (pa.float64(), "mean squared error on the 8-bit scale, reconstruction clamped to [0, 1]"),
    "mse_unclamped": (pa.float64(), "the same of the reconstruction as the synthesis gives it, not clamped"),
    "psnr": (pa.float64(), "dB, of this image's mse"),
    "batch": (pa.int32(), "images refined at once, this one among them"),
    "seconds": (pa.float64(), "wall time since the first step of the image's batch, records included"),
    "peak_memory_mb": (pa.float64(), "most memory in use since the first step: of the GPU, or of the process"),
    "joules": (pa.float64(), "energy of the GPU since the first step of the image's batch; null on a CPU"),
    "bytes": (pa.int64(), "size of the image's bitstream; null where none was written"),
    "device": (pa.string(), "cpu or cuda"),
    "hardware": (pa.string(), "name of the GPU or of the processor"),
    "software": (pa.string(), "what computed it: version and commit of sgaplus, and torch"),
}

CODED: dict[str, tuple[pa.DataType, str]] = {
    **{name: FIELDS[name] for name in ("dataset", "image", "width", "height")},
    "codec": (pa.string(), "name of the classical codec, as in configurations"),
    "variant": (pa.string(), "its way of coding, such as 4:2:0; empty where it has but one"),
    "setting": (pa.float64(), "value of the option that trades rate for quality"),
    "options": (pa.string(), "all options of the encoder, as a JSON object"),
    "library": (pa.string(), "name and version of the library that coded"),
    "bytes": (pa.int64(), "size of the file"),
    "bpp": (pa.float64(), "bits of the file per pixel"),
    "mse": (pa.float64(), "mean squared error of the decoded picture on the 8-bit scale"),
    "psnr": (pa.float64(), "dB, of this image's mse"),
    "ms_ssim": (pa.float64(), "MS-SSIM of the decoded picture; null where a side has fewer than 161 pixels"),
    "haarpsi": (pa.float64(), "HaarPSI of the decoded picture; null where a side has fewer than 16 pixels"),
    "lpips": (pa.float64(), "LPIPS of the decoded picture, lower is better; null where nothing asks for it"),
    "dists": (pa.float64(), "DISTS of the decoded picture, lower is better; null where nothing asks for it"),
    "encode_seconds": (pa.float64(), "wall time of encoding, in one thread"),
    "decode_seconds": (pa.float64(), "wall time of decoding, in one thread"),
    "hardware": (pa.string(), "name of the processor"),
    "software": FIELDS["software"],
}
"""Fields of the records of classical codecs."""


DECODED: dict[str, tuple[pa.DataType, str]] = {
    **{name: FIELDS[name] for name in ("dataset", "image", "width", "height", "model", "weights")},
    "target_lmbda": (pa.float64(), "lambda that was refined toward; null where nothing was refined"),
    "variant": (pa.string(), "the method with its swept parameters; null where nothing was refined"),
    "seed": (pa.int64(), "seed of the refinement; null where nothing was refined"),
    "step": (pa.int32(), "steps of the refinement; 0 for the base model"),
    "bytes": (pa.int64(), "size of the bitstream"),
    "bpp": (pa.float64(), "bits of the bitstream per pixel"),
    "psnr": (pa.float64(), "dB, of the decoded 8-bit picture"),
    "ms_ssim": CODED["ms_ssim"],
    "haarpsi": CODED["haarpsi"],
    "lpips": CODED["lpips"],
    "dists": CODED["dists"],
    "encode_seconds": (pa.float64(), "wall time of encoding, on the processor; null where it was refinement"),
    "decode_seconds": (pa.float64(), "wall time of decoding, on the processor"),
    "threads": (pa.int32(), "threads that encoded and decoded"),
    "hardware": CODED["hardware"],
    "software": FIELDS["software"],
}
"""Fields of the records of decoded bitstreams."""


def _schema(fields: Mapping[str, tuple[pa.DataType, str]]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, metadata={"description": text}) for name, (kind, text) in fields.items()])


# a definition each: a field of one changes no version of the code that writes another
SCHEMA = _schema(FIELDS)
CODED_SCHEMA = _schema(CODED)
DECODED_SCHEMA = _schema(DECODED)


def write(rows: Iterable[Mapping[str, object]], path: str | Path, schema: pa.Schema = SCHEMA) -> None:
    """Write rows as Parquet, all or nothing. Fields that a row lacks are null.

    Raises:
        ValueError: a row has a field that the schema, and so :data:`FIELDS` or :data:`CODED`, does not document.
    """
    rows = list(rows)
    unknown = {field for row in rows for field in row} - set(schema.names)
    if unknown:
        raise ValueError(f"record fields without documentation: {sorted(unknown)}")
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)


def rows(path: str | Path) -> list[dict[str, object]]:
    """The rows of one file."""
    return pq.read_table(path, schema=SCHEMA).to_pylist()


def read(paths: Iterable[str | Path], schema: pa.Schema = SCHEMA) -> pd.DataFrame:
    """All rows of these files in one table, with the columns of the schema; none of no files."""
    tables = [pq.read_table(path, schema=schema) for path in paths]
    return pa.concat_tables([schema.empty_table(), *tables]).to_pandas()


def concatenate(paths: Iterable[str | Path], output: str | Path, keys: Iterable[Sequence[str]] | None = None) -> None:
    """Write the rows of several record files into one, all or nothing, in less than half the space.

    Args:
        paths: Record files.
        output: The file to write.
        keys: Refinements to keep, as ``task.Refinement.key``; None for all.
    """
    rows = pa.concat_tables([pq.read_table(path, schema=SCHEMA) for path in paths])
    if keys is not None:
        wanted = pa.array(["/".join(key) for key in keys], pa.string())
        rows = rows.filter(pc.is_in(_keys(rows), wanted))
    measured = [field.name for field in SCHEMA if pa.types.is_floating(field.type)]
    named = [field.name for field in SCHEMA if field.name not in measured]
    with replacing(output) as temporary:
        pq.write_table(rows, temporary, compression="zstd", use_byte_stream_split=measured, use_dictionary=named)


def _keys(rows: pa.Table) -> pa.Array:
    """The key of each row's refinement, written with slashes."""
    columns = (rows[name].to_pylist() for name in ("dataset", "model", "target_lmbda", "variant", "seed"))
    keys = [
        f"{dataset}/{model}/{target:g}/{variant}/{seed}"
        for dataset, model, target, variant, seed in zip(*columns, strict=True)
    ]
    return pa.array(keys, pa.string())
