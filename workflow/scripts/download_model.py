"""Download the weights of a model."""

from sgaplus.jobs import download_model
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    model = snakemake.wildcards.weights.split("/")[1]
    download_model(snakemake.config["models"][model], snakemake.output.file)
