"""Make one table from its records."""

from sgaplus.jobs import make_table
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    make_table(
        records=snakemake.input.records,
        experiment=snakemake.params.experiment,
        methods=snakemake.params.methods,
        outputs=dict(snakemake.output.items()),
    )
