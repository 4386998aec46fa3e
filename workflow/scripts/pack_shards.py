"""Pack the images of one's own copy of an archive into shards."""

from sgaplus.jobs import logged, pack_shards

with logged(snakemake.log[0]):
    pack_shards(
        folder=snakemake.wildcards.folder,
        sources=snakemake.params.sources,
        default=snakemake.params.default,
        outputs=dict(snakemake.output.items()),
        threads=snakemake.threads,
    )
