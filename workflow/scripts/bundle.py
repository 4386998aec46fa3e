"""Write models to give away, with their card."""

from sgaplus.jobs import bundle_models
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    bundle_models(
        names=snakemake.params.names,
        models=snakemake.input.models,
        metrics=snakemake.input.metrics,
        cards=snakemake.input.cards,
        test=snakemake.params.test,
        test_index=snakemake.input.test,
        threads=snakemake.threads,
        output=snakemake.output.readme,
    )
