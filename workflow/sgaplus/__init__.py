"""Robustly overfitting latents (SGA+): refine the latents of a trained hyperprior, image by image.

Modules, ground floor first; an import goes only downward:

    errors, files          what a user is told; writing without leaving halves
    manifest, downloads    what others publish; getting it
    archives, images       what is in a zip or a tar; pictures in
    shards                 ImageNet's tar of tars
    datasets, inventory    from a configuration's data sets to indexes of images; what there is of them
    records                rows of results out
    rounding, metrics      relaxations of rounding and their temperature; PSNR
    hyperprior, codec      a trained mean-scale hyperprior, frozen; its latents, rate and distortion on images
    entropy, bitstream     probabilities that are the same everywhere; an image as a file
    optimizers             of latents
    refinement, training   the optimisation of latents; the optimisation of weights
    photographs            a photograph's bitstream, of a lambda, a rate or a quality
    tables, figures        artifacts, from records alone
    config                 the configuration: schema, checks, and what it asks the workflow to run
    cli                    the command line
"""

__version__ = "0.1.0"
