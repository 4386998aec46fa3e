"""Index the images of a data set."""

from functools import partial
from pathlib import Path

from tqdm import tqdm

from sgaplus.data import manifest, sources
from sgaplus.data.index import write_index
from sgaplus.logs import logged, logger

with logged(snakemake.log[0]):
    source = sources.make(snakemake.params.source, manifest.read())
    indexes = dict(zip(source.needs, snakemake.input.get("parts", []), strict=True))
    progress = partial(tqdm, desc=snakemake.wildcards.dataset, unit="image", mininterval=1)
    found = source.index(Path(snakemake.params.data_folder), indexes, progress)
    write_index(found, snakemake.output.index)
    logger.info("%d images, %.1f megapixels", len(found), sum(image.width * image.height for image in found) / 1e6)
