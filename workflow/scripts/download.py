"""Download a file of the manifest of data sets."""

from sgaplus.jobs import download
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    download(snakemake.wildcards.file, snakemake.output.file)
