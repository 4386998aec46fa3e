"""A job's share of the refinements: some images under one model, refined in several ways."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from sgaplus import code_version, devices, provenance, records
from sgaplus.codec import bitstream_archive
from sgaplus.codec.bitstream import Coder
from sgaplus.codec.frozen import Codec, as_tensor
from sgaplus.codec.latents import Latents
from sgaplus.data.index import IndexedImage
from sgaplus.errors import BitstreamError
from sgaplus.refinement import rounding_source
from sgaplus.refinement.engine import refine
from sgaplus.refinement.kept import Identity, Result, Store
from sgaplus.refinement.measurements import NonFiniteLossError, Row
from sgaplus.refinement.memory import StepMemory
from sgaplus.refinement.method import Method, Plan, record_steps
from sgaplus.refinement.task import Refinement

logger = logging.getLogger(__name__)

COMPUTING = ("Engine", "IndexedImage")
"""Names in this module whose code a kept result depends on; it depends on nothing else of the module."""


class Engine:
    """Refines images under one model, and writes their bitstreams.

    Args:
        model: Model file.
        device: The device that computes.
        precision: As for ``Codec``.
    """

    def __init__(self, model: str | Path, device: torch.device, precision: str) -> None:
        self.codec = Codec.load(model, device, precision)
        self.memory = StepMemory(self.codec)

    @cached_property
    def coder(self) -> Coder:
        """The coder of the model's bitstreams."""
        return Coder(self.codec)

    @staticmethod
    def picture(image: IndexedImage) -> Tensor:
        """An image as refinement takes it, (3, h, w) in [0, 1]."""
        return as_tensor(image.read())

    def unrefined(self, name: str, picture: Tensor) -> bytes:
        """The bitstream of an image without refinement; ``b""`` if there can be none."""
        return self._encode(name, picture, self.codec.latents_of(picture))

    def refine(
        self, pictures: Mapping[str, Tensor], unrefined: Mapping[str, bytes], method: Method, plan: Plan, label: str
    ) -> dict[str, Result]:
        """Refine images.

        Args:
            pictures: Images by name, (3, h, w) in [0, 1].
            unrefined: Their bitstreams without refinement.
            method, plan, label: As for ``engine.refine``.

        Raises:
            NonFiniteLossError: a loss stopped being finite.
        """
        results = {}
        for one in refine(self.codec, list(pictures.items()), method, plan, label, self.memory):
            stream = self._encode(one.name, pictures[one.name], one.latents)
            sizes = {0: len(unrefined[one.name]), plan.steps: len(stream)}
            rows = [row | {"bytes": sizes.get(int(row["step"])) or None} for row in one.rows]
            results[one.name] = Result(rows, stream)
        return results

    def _encode(self, name: str, picture: Tensor, latents: Latents) -> bytes:
        height, width = picture.shape[1:]
        try:
            return self.coder.encode(latents, width, height)
        except BitstreamError as error:
            logger.warning("%s: no bitstream, because %s", name, error)
            return b""


class Chunk:
    """Images under a model, to be refined in several ways. Pictures and unrefined bitstreams are shared by all of them.

    Args:
        engine: The model, ready to refine.
        model_lmbda: Lambda that the model was trained with.
        members: The images.
        store: The store of kept results.
        record_every: Steps between measurements.
        memory_bytes: Budget of a refinement's working memory.
        failed: File for the records so far if a loss stops being finite.
        cuda_graphs: As for ``Plan``.
    """

    def __init__(
        self,
        engine: Engine,
        model_lmbda: float,
        members: Sequence[IndexedImage],
        store: Store,
        record_every: int,
        memory_bytes: int,
        failed: str | Path,
        cuda_graphs: bool = False,
    ) -> None:
        self.engine, self.model_lmbda, self.store = engine, model_lmbda, store
        self.members = {image.name: image for image in members}
        self.record_every, self.memory_bytes, self.failed = record_every, memory_bytes, failed
        self.cuda_graphs = cuda_graphs
        self.code = code_version.of(__file__, *COMPUTING)

    @cached_property
    def pictures(self) -> dict[str, Tensor]:
        """Each image by name."""
        return {name: self.engine.picture(image) for name, image in self.members.items()}

    @cached_property
    def unrefined(self) -> dict[str, bytes]:
        """Each image's bitstream without refinement, by name."""
        return {name: self.engine.unrefined(name, picture) for name, picture in self.pictures.items()}

    def refine(self, refinement: Refinement) -> tuple[list[Row], dict[str, bytes]]:
        """The records of a refinement of every image, and the bitstreams by their place in an archive.

        Raises:
            NonFiniteLossError: a loss stopped being finite; the records so far are written to ``failed``.
        """
        method, plan = Method.from_settings(refinement.settings), self._plan(refinement)
        identities = {name: self._identity(refinement, method, plan, image) for name, image in self.members.items()}
        lacking = [name for name, identity in identities.items() if identity not in self.store]
        if len(lacking) < len(identities):
            logger.info("%s: done before, %d image(s)", label_of(refinement), len(identities) - len(lacking))
        for name, result in self._compute(lacking, refinement, method, plan).items():
            self.store.put(identities[name], result)
        results = {name: self.store.get(identity) for name, identity in identities.items()}
        rows = [row for result in results.values() for row in self._named(result.rows, refinement, method)]
        target, variant, seed = refinement.target, refinement.variant, refinement.seed
        archive = {
            bitstream_archive.name_of(target, variant, seed, name): result.stream
            for name, result in results.items()
            if result.stream
        }
        return rows, archive

    def _plan(self, refinement: Refinement) -> Plan:
        record_at = record_steps(refinement.steps, self.record_every, sorted(refinement.record))
        return Plan(
            refinement.target,
            refinement.steps,
            record_at,
            refinement.seed,
            self.memory_bytes,
            cuda_graphs=self.cuda_graphs,
        )

    def _identity(self, refinement: Refinement, method: Method, plan: Plan, image: IndexedImage) -> Identity:
        codec = self.engine.codec
        return Identity(
            engine=self.code,
            rounding=rounding_source.code(refinement.settings["rounding"]),
            weights=codec.model.weights_sha256,
            device=codec.device.type,
            precision=codec.precision,
            method=method,
            target=plan.lmbda,
            seed=plan.seed,
            steps=plan.steps,
            record_at=tuple(sorted(plan.record_at)),
            image=image.name,
            sha256=image.sha256,
            box=(image.left, image.top, image.width, image.height),
        )

    def _compute(self, names: Sequence[str], refinement: Refinement, method: Method, plan: Plan) -> dict[str, Result]:
        if not names:
            return {}
        pictures = {name: self.pictures[name] for name in names}
        codec = self.engine.codec
        made_by = {
            "weights": codec.model.weights_sha256,
            "hardware": devices.name_of(codec.device),
            "software": provenance.software(),
        }
        try:
            results = self.engine.refine(pictures, self.unrefined, method, plan, label_of(refinement))
        except NonFiniteLossError as error:
            records.write(self._named(error.rows, refinement, method), self.failed)
            logger.error("the records so far are in %s", self.failed)
            raise
        return {name: Result([row | made_by for row in one.rows], one.stream) for name, one in results.items()}

    def _named(self, rows: Iterable[Row], refinement: Refinement, method: Method) -> list[Row]:
        """Rows with the names of the configuration, the settings of the refinement, and the sizes of the images."""
        shared = {
            "dataset": refinement.dataset,
            "model": refinement.model,
            "model_lmbda": self.model_lmbda,
            "target_lmbda": refinement.target,
            "method": refinement.method,
            "variant": refinement.variant,
            "seed": refinement.seed,
            "rounding": refinement.settings["rounding"],
            # all parameters, also the ones that the configuration leaves at their default
            "parameters": json.dumps(asdict(method.rounding)),
            "tau_max": method.tau_max,
            "tau_rate": method.temperature.rate,
            "lr": method.lr,
            "schedule_steps": method.steps,
        }
        sizes = {name: {"width": image.width, "height": image.height} for name, image in self.members.items()}
        return [row | shared | sizes[row["image"]] for row in rows]


def label_of(refinement: Refinement) -> str:
    """The name of a refinement in logs and progress bars."""
    return f"{refinement.model} {refinement.variant}, target {refinement.target:g}, seed {refinement.seed}"
