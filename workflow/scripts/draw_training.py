"""Draw the training curves."""

from sgaplus.jobs import draw_training
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    draw_training(
        metrics=dict(zip(snakemake.params.models, snakemake.input.metrics, strict=True)),
        outputs=list(snakemake.output),
    )
