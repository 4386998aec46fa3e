"""What refinements gave, image by image, kept under all that decides it.

A job of the workflow is cut by how long it takes; what is kept is cut by what it is. So a job that was
killed, or was cut otherwise, or of which one method has changed, computes only what is not there yet,
and what is there is never taken for something else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sgaplus import records
from sgaplus.files import replacing
from sgaplus.refinement.measurements import Row
from sgaplus.refinement.method import Method


@dataclass(frozen=True)
class Identity:
    """All that decides what the refinement of an image gives, and nothing else.

    Names of models, data sets and methods decide nothing, nor does what else a job does; the image's
    name does, since it seeds the random stream.

    Attributes:
        engine: Version of the code that refines.
        rounding: Version of the rounding's code, which the engine's has not.
        weights: Hash of the model's weights.
        device: Kind of device, whose random numbers differ.
        precision: Of what is differentiated, ``float32`` or ``bfloat16``.
        method: Rounding parameters, temperature, learning rate, optimiser.
        target: Target lambda.
        seed: Seed of the random streams.
        steps: Optimiser steps.
        record_at: Steps that are measured, ascending.
        image: Name of the image.
        sha256: Hash of its file.
        box: Left, top, width and height of the part that is used, in pixels.
    """

    engine: str
    rounding: str
    weights: str
    device: str
    precision: str
    method: Method
    target: float
    seed: int
    steps: int
    record_at: tuple[int, ...]
    image: str
    sha256: str
    box: tuple[int, int, int, int]

    @property
    def digest(self) -> str:
        """A hash of it all, 32 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Result:
    """What the refinement of one image gave.

    Attributes:
        rows: A record per measured step, without names of the configuration.
        stream: The bitstream of the last latents; empty where none could be written.
    """

    rows: Sequence[Row]
    stream: bytes


@dataclass(frozen=True)
class Store:
    """Results in a folder, two files each: records and bitstream."""

    folder: Path

    def __contains__(self, identity: Identity) -> bool:
        return self._place(identity).exists()

    def get(self, identity: Identity) -> Result:
        """The result of an identity that is there."""
        place = self._place(identity)
        return Result(records.rows(place), place.with_suffix(".sga").read_bytes())

    def put(self, identity: Identity, result: Result) -> None:
        """Keep a result; killed meanwhile, it is as if it had not been computed."""
        place = self._place(identity)
        with replacing(place.with_suffix(".sga")) as temporary:
            temporary.write_bytes(result.stream)
        records.write(result.rows, place)  # last: its presence says that the result is there

    def _place(self, identity: Identity) -> Path:
        return self.folder / f"{identity.digest}.parquet"
