"""Results of refinements, kept image by image under the identity of all inputs that decide them.

The workflow cuts its jobs by time; results are kept for single images and methods. So a job that was killed or
cut otherwise, or in which one method has changed, computes only the missing results, and a kept result is never
taken for another.
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
    """All inputs that decide the result of refining one image, and nothing else.

    Names of models, data sets and methods decide nothing, nor do the other refinements of a job. The image's
    name does, because it seeds the random stream.

    Attributes:
        engine: Version of the code that refines.
        rounding: Version of the rounding's code, which is not part of ``engine``.
        weights: Hash of the model's weights.
        device: Kind of device, whose random numbers differ.
        precision: Precision of the differentiated computations, ``float32`` or ``bfloat16``.
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
        """A hash of all attributes, 32 hex digits."""
        values = asdict(self)
        if self.method.draws == "independent":
            del values["method"]["draws"]  # the setting is younger than the identities of these methods
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Result:
    """The result of refining one image.

    Attributes:
        rows: A record per measured step, without names of the configuration.
        stream: The bitstream of the last latents; empty if they could not be coded.
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
        """The kept result of an identity, which must be in the store."""
        place = self._place(identity)
        return Result(records.rows(place), place.with_suffix(".sga").read_bytes())

    def put(self, identity: Identity, result: Result) -> None:
        """Keep a result. If the process is killed meanwhile, the store counts the result as missing."""
        place = self._place(identity)
        with replacing(place.with_suffix(".sga")) as temporary:
            temporary.write_bytes(result.stream)
        records.write(result.rows, place)  # last: its presence says that the result is there

    def _place(self, identity: Identity) -> Path:
        return self.folder / f"{identity.digest}.parquet"
