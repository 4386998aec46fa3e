"""Save the effective configuration and the versions of what computes."""

from sgaplus.jobs import describe_run, logged

with logged(snakemake.log[0]):
    describe_run(snakemake.params.config, snakemake.output.config, snakemake.output.versions)
