"""Judge the paper's claims by the run's records."""

from pathlib import Path

from sgaplus import records
from sgaplus.analysis.experiment import Claim, Experiment
from sgaplus.artifacts import claims, claims_page, table
from sgaplus.artifacts.results import Results, beside
from sgaplus.files import replacing
from sgaplus.logs import logged, logger

with logged(snakemake.log[0]):
    methods = {name: {"label": label} for name, label in snakemake.params.labels.items()}
    experiments = snakemake.params.experiments
    theirs = beside(snakemake.input.published, snakemake.input.get("coded", []), snakemake.input.get("decoded", []))
    notice = snakemake.params.notice
    results = {
        name: Results(Experiment.of(entry), methods, records.read([path]), **theirs)
        for (name, entry), path in zip(experiments.items(), snakemake.input.records, strict=True)
    }
    artifacts = {Path(path).stem: path for path in snakemake.input.artifacts}
    entries = [Claim.of(entry) for entry in snakemake.params.claims.values()]
    judged = [claims.judge(results[claim.experiment], claim) for claim in entries]
    files = dict(snakemake.output.items())
    with replacing(files.pop("html")) as temporary:
        temporary.write_text(claims_page.page(judged, artifacts))
    titles = {name: entry["title"] for name, entry in experiments.items()}
    with replacing(files.pop("md")) as temporary:
        temporary.write_text(claims_page.markdown(judged, titles, notice))
    table.write(claims_page.table(judged, notice), files)
    if notice:
        logger.info(notice)
    for one in judged:
        logger.info("%-14s %s", one.printed, one.text)
    logger.info(claims_page.summary(judged))
