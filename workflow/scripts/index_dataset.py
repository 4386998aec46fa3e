"""Index the images of a data set."""

from sgaplus.jobs import index_dataset
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    index_dataset(
        source=snakemake.params.source,
        data_folder=snakemake.params.data_folder,
        parts=dict(zip(snakemake.params.source.get("parts", []), snakemake.input.get("parts", []), strict=True)),
        output=snakemake.output.index,
    )
