"""Unpack the images of a downloaded archive."""

from sgaplus.jobs import logged, unpack

with logged(snakemake.log[0]):
    unpack(snakemake.wildcards.folder, snakemake.input.archive, snakemake.output.folder)
