"""Index the images of a data set."""

from functools import partial
from pathlib import Path

from tqdm import tqdm

from sgaplus.data import datasets
from sgaplus.data.index import write_index
from sgaplus.logs import logged, logger

with logged(snakemake.log[0]):
    source = snakemake.params.source
    parts = dict(zip(source.get("parts", []), snakemake.input.get("parts", []), strict=True))
    progress = partial(tqdm, desc=snakemake.wildcards.dataset, unit="image", mininterval=1)
    found = datasets.index(source, Path(snakemake.params.data_folder), parts, progress)
    write_index(found, snakemake.output.index)
    logger.info("%d images, %.1f megapixels", len(found), sum(image.width * image.height for image in found) / 1e6)
