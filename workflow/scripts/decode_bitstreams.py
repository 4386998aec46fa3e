"""Decode the bitstreams of a refinement job's images, and measure the pictures that they give."""

import torch

from sgaplus import devices, provenance, records
from sgaplus.codec.frozen import Codec
from sgaplus.data.index import read_chunk
from sgaplus.logs import logged
from sgaplus.refinement import decoded
from sgaplus.refinement.task import Refinement

with logged(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    members = read_chunk(snakemake.input.index, int(snakemake.wildcards.chunk), snakemake.params.images_per_job)
    codec = Codec.load(snakemake.input.model)
    refinements = [Refinement(**refinement) for refinement in snakemake.params.refinements]
    shared = {
        "dataset": snakemake.wildcards.dataset,
        "model": snakemake.wildcards.model,
        "weights": codec.model.weights_sha256,
        "hardware": devices.describe()["processor"],
        "software": provenance.software(),
    }
    streams, distances = [snakemake.input.streams], snakemake.params.distances
    rows = decoded.measure(codec, members, refinements, streams, distances)
    records.write([row | shared for row in rows], snakemake.output.records, records.DECODED_SCHEMA)
