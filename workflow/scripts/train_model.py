"""Train one model."""

from sgaplus.jobs import logged, train_model

with logged(snakemake.log[0]):
    train_model(
        model=snakemake.params.model,
        training=snakemake.params.training,
        index=snakemake.input.index,
        test_index=snakemake.input.get("test") or None,
        device=snakemake.params.device,
        threads=snakemake.threads,
        start_from=snakemake.input.get("start") or None,
        name=snakemake.wildcards.model,
        code=snakemake.params.code,
        outputs=dict(snakemake.output.items()),
    )
