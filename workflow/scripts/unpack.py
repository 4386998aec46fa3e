"""Verify a downloaded archive, and unpack its images."""

from sgaplus.data import archives, manifest
from sgaplus.data.formats import SUFFIXES
from sgaplus.data.remote import verify
from sgaplus.logs import logged, logger

with logged(snakemake.log[0]):
    row = manifest.filling(manifest.read(), snakemake.wildcards.folder)
    verify(row.remote, snakemake.input.archive)
    count = archives.unpack(snakemake.input.archive, snakemake.output.folder, SUFFIXES, row.members)
    logger.info("%d images", count)
