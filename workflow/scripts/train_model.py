"""Train one model: its state dict, its metrics, and a card of what it was made with.

States to go on from, and TensorBoard's events, lie beside the outputs, undeclared: Snakemake removes
what a rule declares before it runs the rule again.
"""

from pathlib import Path

import torch

from sgaplus import code_version, devices, provenance
from sgaplus.codec.hyperprior import save_state, weights_sha256
from sgaplus.data.index import digest_of, read_index
from sgaplus.files import sha256, write_json
from sgaplus.logs import logged
from sgaplus.training.job import TrainingOptions
from sgaplus.training.loop import train
from sgaplus.training.monitor import write_metrics
from sgaplus.training.recipe import Recipe

with logged(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    model, training = snakemake.params.model, snakemake.params.training | snakemake.params.running
    photographs = read_index(snakemake.input.index)
    tested = read_index(snakemake.input.test) if snakemake.input.get("test") else []
    folder = Path(snakemake.output.model).parent
    options = TrainingOptions.of(
        training,
        label=snakemake.wildcards.model,
        data=digest_of(photographs),
        former_data=sha256(snakemake.input.index),
        code=code_version.of_script("train_model"),
        folder=folder,
        events=folder / "events",
    )
    recipe = Recipe.of(model, training)
    granted = devices.granted_to_training(training["device"], training["gpus"], recipe.steps)
    start = snakemake.input.get("start") or None
    trained, rows = train(recipe, photographs, granted, options, start, tested)
    write_metrics(rows, snakemake.output.metrics)
    card = {
        "model": model,
        "training": training,
        "data": options.data,
        "weights": weights_sha256(trained.state_dict()),
        "code": options.code,
        "software": provenance.software(),
        "hardware": devices.describe(),
        "versions": provenance.versions(),
        "last": rows[-1],
    }
    write_json(card, snakemake.output.card)
    save_state(trained.state_dict(), snakemake.output.model)
