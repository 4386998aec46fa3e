"""Index the images of a data set."""

from sgaplus.jobs import index_dataset, logged

with logged(snakemake.log[0]):
    index_dataset(snakemake.params.source, snakemake.output.index)
