"""Say what every data set amounts to."""

from pathlib import Path

from sgaplus.jobs import list_datasets
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    list_datasets(
        sources=snakemake.params.sources,
        data_folder=snakemake.params.data_folder,
        indexes={Path(index).stem: index for index in snakemake.input.indexes},
        output=snakemake.output.table,
    )
