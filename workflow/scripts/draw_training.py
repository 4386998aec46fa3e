"""Draw the training curves."""

import pandas as pd

from sgaplus.artifacts.figures import style
from sgaplus.artifacts.figures.training import training_curves
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    tables = map(pd.read_csv, snakemake.input.metrics)
    metrics = dict(zip(snakemake.params.models, tables, strict=True))
    style.save(lambda: training_curves(metrics), list(snakemake.output))
