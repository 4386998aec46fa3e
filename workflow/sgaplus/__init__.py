"""Robustly overfitting latents (SGA+): refine the latents of a trained hyperprior, image by image.

Packages by stage, the first on the ground floor; an import goes only to an earlier one:

    errors, files, ...     what everything stands on: words for the user, writing, devices, records, identities of code
    data                   what others publish, and one's own photographs, as indexes of images
    codec                  a trained hyperprior, frozen: latents, rate, distortion, bitstreams
    refinement             roundings, and the optimisation of latents by them
    training               the optimisation of weights
    analysis               numbers from records: intervals, rate-distortion curves, cost
    artifacts              what is shown: tables, figures, claims
    config                 the configuration: schema, checks, what it asks to run
    benchmarks             speed as ratios within one run
    cli                    the command line
"""

__version__ = "0.1.0"
