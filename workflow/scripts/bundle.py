"""Write models to give away, with their card, and print their curve."""

import json
from pathlib import Path

import torch

from sgaplus import records
from sgaplus.analysis import anchors
from sgaplus.artifacts import model_card
from sgaplus.codec.hyperprior import load_state
from sgaplus.data.index import read_index
from sgaplus.files import replacing, write_json
from sgaplus.logs import logged
from sgaplus.training import bundle

with logged(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    names, output, test = snakemake.params.names, snakemake.output, snakemake.params.test
    cards = {name: json.loads(Path(card).read_text()) for name, card in zip(names, snakemake.input.cards, strict=True)}
    for trained, half in zip(snakemake.input.models, output.models, strict=True):
        bundle.save_packed(bundle.half_precision(load_state(trained)), half)
    models = dict(zip(names, output.models, strict=True))
    lmbdas = {name: card["model"]["lmbda"] for name, card in cards.items()}
    tested = read_index(snakemake.input.test)
    coded = records.read(snakemake.input.coded, records.CODED_SCHEMA)
    curve = anchors.beside(bundle.measure(models, lmbdas, tested), test, coded)
    write_json(cards, output.recipes)
    with replacing(output.curve) as temporary:
        curve.to_csv(temporary, index=False, float_format="%.5f")
    with replacing(output.readme) as temporary:
        metrics = dict(zip(names, snakemake.input.metrics, strict=True))
        temporary.write_text(model_card.text(curve, cards, metrics, test, len(tested)))
    print(curve.to_string(index=False))
