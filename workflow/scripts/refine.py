"""Refine the latents of one chunk of images, in several ways, one after another."""

from pathlib import Path

import torch

from sgaplus import devices, records
from sgaplus.codec import bitstream_archive
from sgaplus.data.index import read_chunk
from sgaplus.logs import logged
from sgaplus.refinement.chunk import Chunk, Engine
from sgaplus.refinement.kept import Store
from sgaplus.refinement.task import Refinement

with logged(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    options = snakemake.params.options
    (device,) = devices.granted(snakemake.params.device, gpus=1)
    engine = Engine(snakemake.input.model, device, options["precision"])
    chunk = Chunk(
        engine,
        model_lmbda=snakemake.params.model_lmbda,
        members=read_chunk(snakemake.input.index, int(snakemake.wildcards.chunk), options["images_per_job"]),
        store=Store(Path(snakemake.params.kept)),
        record_every=options["record_every"],
        memory_bytes=snakemake.params.running["memory_mb"] * 10**6,
        failed=snakemake.params.failed,
        cuda_graphs=snakemake.params.running["cuda_graphs"],
    )
    done = [chunk.refine(Refinement(**refinement)) for refinement in snakemake.params.refinements]
    streams = {name: stream for _, refined in done for name, stream in refined.items()}
    bitstream_archive.write(streams, snakemake.output.streams)
    records.write([row for rows, _ in done for row in rows], snakemake.output.records)
