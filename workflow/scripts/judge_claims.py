"""Judge the paper's claims by the run's records."""

from sgaplus.jobs import judge_claims
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    judge_claims(
        claims=snakemake.params.claims,
        experiments=snakemake.params.experiments,
        labels=snakemake.params.labels,
        records=dict(zip(snakemake.params.experiments, snakemake.input.records, strict=True)),
        artifacts=dict(zip(snakemake.params.experiments, snakemake.input.artifacts, strict=True)),
        outputs=dict(snakemake.output.items()),
    )
