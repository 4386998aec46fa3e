"""Draw one figure from its records."""

from sgaplus.jobs import draw_figure
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    draw_figure(
        records=snakemake.input.get("records") or None,
        experiment=snakemake.params.experiment,
        methods=snakemake.params.methods,
        outputs=list(snakemake.output),
    )
