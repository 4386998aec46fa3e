"""Put the records of an experiment into one file."""

from sgaplus import records
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    records.concatenate(snakemake.input.records, snakemake.output.records, snakemake.params.selected)
