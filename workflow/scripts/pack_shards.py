"""Pack the images of one's own copy of an archive into shards."""

from sgaplus.jobs import pack_shards
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    pack_shards(
        folder=snakemake.wildcards.folder,
        sources=snakemake.params.sources,
        default=snakemake.params.default,
        outputs=dict(snakemake.output.items()),
        threads=snakemake.threads,
    )
