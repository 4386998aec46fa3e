"""Download the weights of a model."""

from sgaplus.data import downloads
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    name = snakemake.wildcards.weights.split("/")[1]
    model = snakemake.config["models"][name]
    downloads.fetch_weights(model["url"], snakemake.output.file, model.get("sha256"))
