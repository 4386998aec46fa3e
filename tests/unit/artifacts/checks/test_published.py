"""Verdicts on curves of which it is known how far they are from the published ones."""

from __future__ import annotations

import pandas as pd
import pytest

from sgaplus.analysis import published
from sgaplus.artifacts.claims import HOLDS, NOT, UNDECIDED
from tests.synthetic import LMBDAS, PUBLISHED

from .judging import NOISE, judged, row, verdict

KODAK = {"dataset": "kodak", "models": [f"m{lmbda}" for lmbda in LMBDAS]}
CURVES = PUBLISHED.curves("kodak")
OTHERS = "mbt2018-mean (CompressAI)"
AS_YANG = {"method": "sga", "published": [published.SGA]}


def records(base: float = 1.0, sga: float = 1.0, psnr: float = 0.0, noise: float = 0.0) -> pd.DataFrame:
    """Yang et al.'s curves: rates of the base models and of SGA times a number each, SGA's PSNR plus some dB."""
    rows = []
    for step, name, factor, more in ((0, published.BASE, base, 0.0), (10, published.SGA, sga, psnr)):
        for lmbda, (bpp, quality) in zip(LMBDAS, CURVES[name], strict=True):
            same = {"model": f"m{lmbda}", "model_lmbda": lmbda, "target_lmbda": lmbda, "psnr": quality + more}
            rows += [
                row("sga", image, step, 1.0, **same, bpp=bpp * (factor + noise * deviation * (step > 0 or noise < 0)))
                for image, deviation in enumerate(NOISE)
            ]
    return pd.DataFrame(rows)


def test_base_models_are_compared_with_each_published_curve():
    claim = {"published": [OTHERS, published.BASE], "within": 0.05}
    one = judged(records(), "base_as_published", KODAK, **claim)
    assert one.verdict == HOLDS
    assert f"BD-rate of the base models against {OTHERS}: +1.3" in one.evidence
    assert "asked: within ±5 %" in one.evidence
    assert verdict(records(base=1.2), "base_as_published", KODAK, **claim) == NOT
    assert verdict(records(base=0.8), "base_as_published", KODAK, **claim) == NOT
    assert verdict(records(noise=-0.2), "base_as_published", KODAK, **claim) == UNDECIDED


def test_savings_are_those_that_were_published():
    one = judged(records(), "saves_as_published", KODAK, **AS_YANG, within=0.03)
    assert one.verdict == HOLDS
    assert one.evidence.startswith(f"BD-rate of SGA minus that of {published.SGA}, which is −15.2 %: +0.00 %")
    assert verdict(records(sga=1.1), "saves_as_published", KODAK, **AS_YANG, within=0.03) == NOT
    assert verdict(records(sga=0.9), "saves_as_published", KODAK, **AS_YANG, within=0.03) == NOT
    assert verdict(records(noise=0.2), "saves_as_published", KODAK, **AS_YANG, within=0.03) == UNDECIDED


@pytest.mark.parametrize(("more", "expected"), [(0.0, HOLDS), (0.1, HOLDS), (0.5, NOT), (-0.5, NOT)])
def test_gains_are_those_that_were_published_at_every_lambda(more, expected):
    one = judged(records(psnr=more), "gains_as_published", KODAK, **AS_YANG, decibels=0.2)
    assert one.verdict == expected
    assert one.evidence.count("gain at λ = ") == len(LMBDAS)
    assert f"gain at λ = 0.01 minus that of {published.SGA}, which is 0.80 dB: " in one.evidence


def test_gains_that_differ_among_images_are_undecided():
    assert verdict(records(noise=0.3), "gains_as_published", KODAK, **AS_YANG, decibels=0.2) == UNDECIDED
