"""Put the records of an experiment into one file."""

from sgaplus.jobs import gather
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    gather(list(snakemake.input.records), snakemake.params.selected, snakemake.output.records)
