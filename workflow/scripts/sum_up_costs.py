"""Add up what the jobs of the run cost."""

from sgaplus.artifacts import run_cost
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    table = run_cost.summarise(snakemake.params.benchmarks)
    run_cost.write(table, snakemake.output.csv, snakemake.output.md, snakemake.output.html)
