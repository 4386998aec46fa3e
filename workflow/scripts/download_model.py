"""Download the weights of a model."""

from sgaplus.data import downloads
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    downloads.fetch_weights(snakemake.params.url, snakemake.output.file, snakemake.params.sha256)
