"""Bring in a model that was trained elsewhere."""

from sgaplus.jobs import check_model
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    check_model(snakemake.input.model, snakemake.output.model)
