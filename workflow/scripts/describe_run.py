"""Save the effective configuration and the versions of what computes."""

from sgaplus.jobs import describe_run
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    describe_run(snakemake.params.config, snakemake.input.records, dict(snakemake.output.items()))
