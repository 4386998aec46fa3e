"""Draw Figure 5: an image, its base model, and the best that other models reach at that rate."""

from sgaplus import records
from sgaplus.analysis import comparison
from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.published import UNREFINED, Published
from sgaplus.artifacts import comparison_page, kinds
from sgaplus.artifacts.figures import style
from sgaplus.artifacts.results import Results
from sgaplus.codec.bitstream import unrefined
from sgaplus.codec.frozen import Codec
from sgaplus.data.index import read_index
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    experiment = Experiment.of(snakemake.params.experiment)
    published = Published.read(*snakemake.input.published)
    results = Results(experiment, snakemake.params.methods, records.read([snakemake.input.records]), published)
    models = dict(zip(experiment.models, snakemake.input.models, strict=True))
    original = comparison.named(read_index(snakemake.input.index), experiment.image).read()
    theirs = published.pictures_of(experiment.dataset, experiment.image)
    base = comparison.lowest_base(results.records, experiment)
    pictures = {
        "Original": original,
        comparison.caption("Base model", base, published=theirs.get(UNREFINED)): unrefined(
            Codec.load(models[base["model"]]), original
        ),
    }
    for method, label in results.labels.items():
        refined = comparison.refined_at_its_rate(results.records, experiment, method, base)
        caption = comparison.caption(label, refined, base, theirs.get(refined["rounding"]))
        pictures[caption] = None
        if comparison.same_rate(base, refined):
            codec = Codec.load(models[refined["model"]])
            pictures[caption] = comparison_page.decoded(refined, snakemake.input.streams, codec)
    draw = kinds.find("figure", experiment.figure).function()
    style.save(lambda: draw(results, pictures), list(snakemake.output), theme="white")
