"""Say what every data set amounts to."""

from pathlib import Path

from sgaplus.data import inventory
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    sources, folder = snakemake.params.sources, Path(snakemake.params.data_folder)
    indexes = {Path(index).stem: index for index in snakemake.input.indexes}
    states = [inventory.state(name, sources, indexes.get(name), folder) for name in sources]
    inventory.write_states(states, snakemake.output.table)
    print(inventory.table(states))
