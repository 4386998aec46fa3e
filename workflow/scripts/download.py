"""Download a file of the manifest of data sets."""

from sgaplus.data import downloads, manifest
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    row = manifest.filling(manifest.read(), snakemake.wildcards.file)
    downloads.fetch(row.remote, snakemake.output.file)
