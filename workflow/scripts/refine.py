"""Refine the latents of one chunk of images by one method."""

from sgaplus.jobs import logged, refine_chunk

with logged(snakemake.log[0]):
    refine_chunk(
        index=snakemake.input.index,
        model=snakemake.input.model,
        chunk=int(snakemake.wildcards.chunk),
        refinement=snakemake.params.refinement,
        model_lmbda=snakemake.params.model_lmbda,
        options=snakemake.params.options,
        device=snakemake.params.device,
        threads=snakemake.threads,
        output=snakemake.output.records,
        failed=snakemake.params.failed,
    )
