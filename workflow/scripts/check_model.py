"""Bring in a model that was trained elsewhere, after checking that it is one."""

from sgaplus.codec.hyperprior import load_state, save_state
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    save_state(load_state(snakemake.input.model), snakemake.output.model)
