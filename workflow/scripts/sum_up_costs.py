"""Add up what the jobs of the run cost."""

from sgaplus.artifacts import run_cost, table
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    table.write(run_cost.summarise(snakemake.params.benchmarks), dict(snakemake.output.items()), "What the run cost")
