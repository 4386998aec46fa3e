"""List the data sets, with their sizes or the reason why they are missing."""

from pathlib import Path

from sgaplus.data import datasets, inventory, manifest
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    sources = datasets.sources(snakemake.params.sources, manifest.read())
    folder = Path(snakemake.params.data_folder)
    indexes = {Path(index).stem: index for index in snakemake.input.indexes}
    states = [inventory.state(name, sources, indexes.get(name), folder) for name in sources]
    inventory.write_states(states, snakemake.output.table)
    print(inventory.table(states))
