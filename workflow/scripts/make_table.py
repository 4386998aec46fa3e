"""Make one table from its records."""

from sgaplus import records
from sgaplus.analysis.experiment import Experiment
from sgaplus.artifacts import kinds, table
from sgaplus.artifacts.results import Results, beside
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    experiment = Experiment.of(snakemake.params.experiment)
    theirs = beside(snakemake.input.published, snakemake.input.get("coded", []), snakemake.input.get("decoded", []))
    results = Results(experiment, snakemake.params.methods, records.read([snakemake.input.records]), **theirs)
    make = kinds.find("table", experiment.table).function()
    table.write(make(results), dict(snakemake.output.items()), experiment.title)
