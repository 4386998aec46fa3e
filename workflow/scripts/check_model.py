"""Bring in a model that was trained elsewhere, after checking that it is one."""

from sgaplus.codec.hyperprior import centred_at_zero, load_state, save_state
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    state = load_state(snakemake.input.model)
    save_state(centred_at_zero(state) if snakemake.params.centre == "zero" else state, snakemake.output.model)
