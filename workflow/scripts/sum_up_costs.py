"""Add up what the jobs of the run cost."""

from sgaplus.jobs import logged, sum_up_costs

with logged(snakemake.log[0]):
    sum_up_costs(snakemake.params.benchmarks, dict(snakemake.output.items()))
