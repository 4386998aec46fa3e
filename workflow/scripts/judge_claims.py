"""Judge the paper's claims by the run's records."""

from sgaplus import records
from sgaplus.artifacts import claims
from sgaplus.logs import logged, logger

with logged(snakemake.log[0]):
    experiments = snakemake.params.experiments
    rows = {name: records.read([path]) for name, path in zip(experiments, snakemake.input.records, strict=True)}
    artifacts = dict(zip(experiments, snakemake.input.artifacts, strict=True))
    judged = [
        claims.judge(claim, rows[claim["experiment"]], experiments[claim["experiment"]], snakemake.params.labels)
        for claim in snakemake.params.claims.values()
    ]
    claims.write(judged, artifacts, snakemake.output.csv, snakemake.output.md, snakemake.output.html)
    for one in judged:
        logger.info("%-14s %s", one.verdict, one.text)
    logger.info(claims.summary(judged))
