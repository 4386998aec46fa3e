from __future__ import annotations

import pandas as pd
import pytest

from sgaplus.analysis import comparison
from sgaplus.analysis.experiment import Experiment
from sgaplus.data.index import IndexedImage
from sgaplus.errors import ImageError

EXPERIMENT = Experiment(
    title="", methods=("ssl",), image="fence", models=("middle", "low", "high"), steps=(5, 10), seeds=(0,)
)
LMBDAS = {"low": 0.001, "middle": 0.01, "high": 0.04}


def row(model: str, step: int, bpp: float, psnr: float, target: float = 0.001, image: str = "fence") -> dict:
    same = {"dataset": "photos", "image": image, "method": "ssl", "variant": "ssl", "seed": 0}
    lmbdas = {"model": model, "model_lmbda": LMBDAS[model], "target_lmbda": target}
    return same | lmbdas | {"step": step, "bpp": bpp, "psnr": psnr}


BASE = [row("low", 0, 0.100, 27.0), row("low", 10, 0.09, 29.0), row("low", 0, 0.05, 35.0, image="sky")]


def pair(rows: list[dict], method: str = "ssl") -> tuple[pd.Series, pd.Series]:
    records = pd.DataFrame(rows)
    base = comparison.lowest_base(records, EXPERIMENT)
    return base, comparison.refined_at_its_rate(records, EXPERIMENT, method, base)


def test_the_best_that_is_no_dearer_is_compared_with_the_lowest_base_model():
    affordable = [row("middle", 10, 0.095, 27.5), row("high", 10, 0.101, 27.7)]
    others = [
        row("middle", 10, 0.110, 28.5, 0.0025),  # too dear
        row("middle", 5, 0.100, 29.0),  # not the end
        row("high", 10, 0.080, 30.0, image="sky"),  # another image
        row("high", 10, 0.080, 30.0) | {"method": "sga"},
    ]
    base, refined = pair(BASE + affordable + others)
    assert (base["model"], base["step"], base["psnr"]) == ("low", 0, 27.0)
    assert (refined["model"], refined["psnr"]) == ("high", 27.7)
    assert comparison.same_rate(base, refined)
    assert pair(BASE + affordable + others, "sga")[1]["psnr"] == 30.0


def test_where_all_are_dearer_the_cheapest_is_found_and_is_not_at_the_same_rate():
    dear = [row("middle", 10, 0.2, 29.0), row("high", 10, 0.15, 28.0)]
    base, refined = pair(BASE + dear)
    assert refined["model"] == "high"
    assert not comparison.same_rate(base, refined)


def test_of_what_has_a_bitstream_the_nearest_in_rate_is_found_and_of_those_at_the_same_rate_the_best():
    rows = [row("low", 0, 0.1, 27) | {"bytes": 90.0}, row("low", 5, 0.09, 30) | {"bytes": None}]
    rows += [row("low", 10, 0.101, 28) | {"bytes": 80.0}, row("high", 10, 0.100, 27.5) | {"bytes": 80.0}]
    rows += [row("low", 10, 0.050, 31, image="sky") | {"bytes": 80.0}]
    records = pd.DataFrame(rows)
    assert comparison.nearest_with_bitstream(records, "ssl", records.loc[0])["psnr"] == 28
    others = records.assign(bpp=records["bpp"] * [1, 1, 0.3, 1.5, 1])
    assert comparison.nearest_with_bitstream(others, "ssl", records.loc[0])["model"] == "high"


def test_an_image_that_the_data_set_lacks_is_refused_and_the_right_one_suggested():
    members = [IndexedImage("fence", "fence.png", "", 0, 0, 1, 1)]
    assert comparison.named(members, "fence") is members[0]
    with pytest.raises(ImageError, match=r"no image 'fense'\. Did you mean 'fence'\?"):
        comparison.named(members, "fense")


def test_the_caption_says_what_it_costs_and_how_good_it_is_and_what_is_published():
    base, refined = (pd.Series(row(model, step, 0.0804, 27.081, 0.0025)) for model, step in (("low", 0), ("high", 10)))
    published = pd.Series({"bpp": 0.08, "psnr": 27.73})
    assert comparison.caption("Base model", base) == "Base model\nλ = 0.001\n0.080 bpp, 27.08 dB"
    assert comparison.caption("SSL", refined, base, published).splitlines() == [
        *("SSL", "λ = 0.04, target 0.0025", "0.080 bpp (+0.0 %), 27.08 dB", "published: 0.08 bpp, 27.73 dB")
    ]


def test_in_the_place_of_a_picture_at_another_rate_the_caption_says_so():
    base, refined = pd.Series(row("low", 0, 0.1, 27)), pd.Series(row("high", 10, 0.15, 28))
    assert comparison.caption("SSL", refined, base).splitlines() == [
        *("SSL", "no picture at this rate:", "the cheapest needs 50 % more bits"),
        *("λ = 0.04, target 0.001", "0.150 bpp, 28.00 dB"),
    ]
