"""Lay pictures of the base models and refined ones over one another, on a page."""

from pathlib import Path

from sgaplus import records
from sgaplus.analysis import comparison
from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.selection import base_model
from sgaplus.artifacts import comparison_page
from sgaplus.artifacts.comparison_page import Compared, Pair, Picture
from sgaplus.codec.bitstream import unrefined
from sgaplus.codec.frozen import Codec
from sgaplus.data.index import read_index
from sgaplus.files import replacing
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    asked, label = snakemake.params.comparison, snakemake.params.label
    experiment = Experiment.of(snakemake.params.experiment)
    rows = records.read([snakemake.input.records])
    codecs = {name: Codec.load(path) for name, path in zip(experiment.models, snakemake.input.models, strict=True)}
    members, images = read_index(snakemake.input.index), []
    for name in asked["images"]:
        original = comparison.named(members, name).read()
        base_rows = base_model(rows[rows["image"] == name]).drop_duplicates("model").set_index("model", drop=False)
        pairs = []
        for model in asked.get("models", experiment.models):
            base = base_rows.loc[model]
            refined = comparison.nearest_with_bitstream(rows, asked["method"], base)
            pixels = comparison_page.decoded(refined, snakemake.input.streams, codecs[refined["model"]])
            shown = comparison_page.base_picture(base, unrefined(codecs[model], original))
            pairs.append(Pair(shown.name, shown, comparison_page.refined_picture(refined, base, label, pixels)))
        size = f"{original.shape[1]} x {original.shape[0]} pixels, 24 bpp"
        images.append(Compared(name, Picture("Original", size, original), pairs))
    template, title = Path(snakemake.input.template).read_text(), f"sgaplus: pictures of run {snakemake.params.run}"
    with replacing(snakemake.output.html) as temporary:
        temporary.write_text(comparison_page.page(template, title, snakemake.params.notice, images))
