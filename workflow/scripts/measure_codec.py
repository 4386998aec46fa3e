"""Code one chunk of images with a classical codec at every setting, and measure the files and what they decode to."""

import torch
from tqdm import tqdm

from sgaplus import devices, provenance, records
from sgaplus.codec.classical_sweep import sweep
from sgaplus.data.index import read_chunk
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    members = read_chunk(snakemake.input.index, int(snakemake.wildcards.chunk), snakemake.params.images_per_job)
    shared = {
        "dataset": snakemake.wildcards.dataset,
        "hardware": devices.describe()["processor"],
        "software": provenance.software(),
    }
    rows = [
        row | shared | {"image": image.name}
        for image in tqdm(members, desc=snakemake.wildcards.codec, unit="image", mininterval=1)
        for row in sweep(image.read(), snakemake.wildcards.codec, snakemake.params.distances)
    ]
    records.write(rows, snakemake.output.records, records.CODED_SCHEMA)
