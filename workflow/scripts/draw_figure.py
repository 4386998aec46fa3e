"""Draw one figure from its records, or Figure 1 from the methods' own functions."""

import pandas as pd

from sgaplus import records
from sgaplus.analysis.experiment import Experiment
from sgaplus.artifacts import kinds
from sgaplus.artifacts.figures import style
from sgaplus.artifacts.results import Results, beside
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    experiment = Experiment.of(snakemake.params.experiment)
    rows = records.read([snakemake.input.records]) if snakemake.input.get("records") else pd.DataFrame()
    theirs = beside(snakemake.input.published, snakemake.input.get("coded", []), snakemake.input.get("decoded", []))
    results = Results(experiment, snakemake.params.methods, rows, **theirs)
    draw = kinds.find("figure", experiment.figure).function()
    style.save(lambda: draw(results), list(snakemake.output))
