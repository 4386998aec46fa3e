"""Draw Figure 5."""

from sgaplus.jobs import draw_qualitative
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    draw_qualitative(
        records=snakemake.input.records,
        index=snakemake.input.index,
        models=dict(zip(snakemake.params.experiment["models"], snakemake.input.models, strict=True)),
        archives=list(snakemake.input.streams),
        experiment=snakemake.params.experiment,
        outputs=list(snakemake.output),
    )
