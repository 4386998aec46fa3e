"""Draw the training curves."""

from sgaplus.artifacts import figures
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    metrics = dict(zip(snakemake.params.models, snakemake.input.metrics, strict=True))
    figures.draw_training(metrics, list(snakemake.output))
