"""Robustly overfitting latents (SGA+): refine the latents of a trained hyperprior, image by image.

Modules, ground floor first; an import goes only downward:

    errors, files, logs    what a user is told; writing without leaving halves; a script's log
    code_version           which code a result depends on
    provenance, meter      what made a result; what it cost
    manifest, downloads    what others publish; getting it
    archives, images       what is in a zip or a tar; pictures in
    shards                 ImageNet's tar of tars
    datasets, inventory    from a configuration's data sets to indexes of images; what there is of them
    records, streams       rows of results out; bitstreams of many images in one file
    rounding, metrics      relaxations of rounding and their temperature; PSNR
    rounding_source        what the source of a rounding tells without torch
    hyperprior, codec      a trained mean-scale hyperprior, frozen; its latents, rate and distortion on images
    entropy, bitstream     probabilities that are the same everywhere; an image as a file
    optimizers             of latents
    refinement             the optimisation of latents
    recipe, training       what decides a trained model; the optimisation of weights
    photographs            a photograph's bitstream, of a lambda, a rate or a quality
    selection, statistics  which rows of the records; bootstrap intervals over images
    published, curves      what others published; BD-rate, pruning
    cover, cost            which models cover the curve; what saved bits cost
    qualitative            the images of Figure 5
    tables, figures        artifacts, from records alone
    claims, benchmarked    what the paper claims, judged; what a run cost
    config                 the configuration: schema, checks, what it asks to run
    kept, chunk            results of refinements under all that decides them; a job's share of them
    run_description, jobs  what made a run; what the workflow's scripts call
    cli, stale_lock        the command line; what a run that was killed leaves, and `make demo` removes
"""

__version__ = "0.1.0"
