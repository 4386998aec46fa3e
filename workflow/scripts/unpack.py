"""Unpack the images of a downloaded archive."""

from sgaplus.jobs import unpack
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    unpack(snakemake.wildcards.folder, snakemake.input.archive, snakemake.output.folder)
