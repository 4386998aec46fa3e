"""Write models to give away, with their card, and print their curve."""

import json
from pathlib import Path

import torch

from sgaplus.data import images
from sgaplus.logs import logged
from sgaplus.training import bundle

with logged(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    names = snakemake.params.names
    files = {
        name: {"model": model, "metrics": metrics}
        for name, model, metrics in zip(names, snakemake.input.models, snakemake.input.metrics, strict=True)
    }
    cards = {name: json.loads(Path(card).read_text()) for name, card in zip(names, snakemake.input.cards, strict=True)}
    tested = images.read_index(snakemake.input.test)
    table = bundle.write(files, cards, snakemake.params.test, tested, Path(snakemake.output.readme).parent)
    print(table.to_string(index=False))
