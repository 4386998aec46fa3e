"""Draw one figure from its records."""

from sgaplus.artifacts import figures
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    records = snakemake.input.get("records") or None
    figures.draw(records, snakemake.params.experiment, snakemake.params.methods, list(snakemake.output))
