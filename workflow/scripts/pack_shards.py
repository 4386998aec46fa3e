"""Verify one's own copy of an archive, and pack its images into shards."""

from tqdm import tqdm

from sgaplus.data import datasets, manifest, shards
from sgaplus.logs import logged, logger

with logged(snakemake.log[0]):
    rows = manifest.read()
    row = manifest.filling(rows, snakemake.wildcards.folder)
    archive = datasets.archive_of(datasets.sources(snakemake.params.sources, rows), row, snakemake.params.default)
    with tqdm(desc=row.file, total=archive.stat().st_size, unit="B", unit_scale=True, mininterval=1) as bar:
        packed = shards.pack(
            archive,
            row.remote,
            snakemake.output.shards,
            snakemake.output.index,
            snakemake.threads,
            progress=bar.update,
        )
    logger.info("%d images", len(packed))
