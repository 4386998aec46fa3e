"""Train one model."""

from sgaplus.jobs import train_model
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    train_model(
        model=snakemake.params.model,
        training=snakemake.params.training | snakemake.params.running,
        index=snakemake.input.index,
        test_index=snakemake.input.get("test") or None,
        device=snakemake.params.running["device"],
        threads=snakemake.threads,
        start_from=snakemake.input.get("start") or None,
        name=snakemake.wildcards.model,
        outputs=dict(snakemake.output.items()),
    )
