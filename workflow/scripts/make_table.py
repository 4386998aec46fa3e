"""Make one table from its records."""

from sgaplus import records
from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.published import Published
from sgaplus.artifacts import kinds, table
from sgaplus.artifacts.results import Results
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    experiment = Experiment.of(snakemake.params.experiment)
    published = Published.read(*snakemake.input.published)
    coded = records.read(snakemake.input.get("coded", []), records.CODED_SCHEMA)
    decoded = records.read(snakemake.input.get("decoded", []), records.DECODED_SCHEMA)
    results = Results(
        experiment, snakemake.params.methods, records.read([snakemake.input.records]), published, coded, decoded
    )
    make = kinds.find("table", experiment.table).function()
    table.write(make(results), dict(snakemake.output.items()), experiment.title)
