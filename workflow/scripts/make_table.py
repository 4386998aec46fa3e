"""Make one table from its records."""

from sgaplus import records
from sgaplus.artifacts import tables
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    experiment = snakemake.params.experiment
    labels = {name: method["label"] for name, method in snakemake.params.methods.items()}
    table = tables.TABLES[experiment["table"]](records.read([snakemake.input.records]), experiment, labels)
    tables.write(table, **dict(snakemake.output.items()))
