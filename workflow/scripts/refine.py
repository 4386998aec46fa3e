"""Refine the latents of one chunk of images, in several ways."""

from sgaplus.jobs import refine_chunk
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    refine_chunk(
        index=snakemake.input.index,
        model=snakemake.input.model,
        chunk=int(snakemake.wildcards.chunk),
        refinements=snakemake.params.refinements,
        model_lmbda=snakemake.params.model_lmbda,
        options=snakemake.params.options | snakemake.params.running,
        device=snakemake.params.device,
        threads=snakemake.threads,
        kept=snakemake.params.kept,
        outputs=dict(snakemake.output.items()),
        failed=snakemake.params.failed,
    )
