"""Add up what the jobs of the run cost."""

from sgaplus.jobs import sum_up_costs
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    sum_up_costs(snakemake.params.benchmarks, dict(snakemake.output.items()))
