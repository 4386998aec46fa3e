"""Draw Figure 5: an image, its base model, and the best that another model reaches at that rate."""

from pathlib import Path

from sgaplus import records
from sgaplus.analysis import comparison
from sgaplus.analysis.experiment import Experiment
from sgaplus.artifacts import kinds
from sgaplus.artifacts.figures import style
from sgaplus.artifacts.results import Results
from sgaplus.codec import bitstream_archive
from sgaplus.codec.bitstream import Coder, unrefined
from sgaplus.codec.frozen import Codec
from sgaplus.data.index import read_index
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    experiment = Experiment.of(snakemake.params.experiment)
    results = Results(experiment, snakemake.params.methods, records.read([snakemake.input.records]))
    models = dict(zip(experiment.models, snakemake.input.models, strict=True))
    original = comparison.named(read_index(snakemake.input.index), experiment.image).read()
    base, refined = comparison.pair(results.records, experiment)
    name = bitstream_archive.name_of(refined["target_lmbda"], refined["variant"], refined["seed"], experiment.image)
    archives = [path for path in snakemake.input.streams if Path(path).parent.name == refined["model"]]
    decoded, _ = Coder(Codec.load(models[refined["model"]])).decode(bitstream_archive.find(name, archives), name)
    pictures = {
        "Original": original,
        comparison.caption("Base model", base): unrefined(Codec.load(models[base["model"]]), original),
        comparison.caption("Refined", refined): decoded,
    }
    draw = kinds.find("figure", experiment.figure).function()
    style.save(lambda: draw(results, pictures), list(snakemake.output), theme="white")
