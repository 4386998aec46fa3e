from __future__ import annotations

import copy
import re

import pytest
import torch

from sgaplus.benchmarks import selftest
from sgaplus.benchmarks.selftest import Comparison, compare
from sgaplus.codec.frozen import Codec
from sgaplus.errors import DeviceError
from sgaplus.paths import shipped

MODEL = shipped("workflow/models/small_lmbda0.01.pth")


@pytest.fixture(scope="module")
def reference():
    return Codec.load(MODEL)


def changed(reference: Codec, layer: str, factor: float) -> Codec:
    """A codec whose device computes one layer wrong."""
    model = copy.deepcopy(reference.model)
    with torch.no_grad():
        model.get_submodule(layer).weight.mul_(factor)
    return Codec(model)


def disagreeing(compared: list[Comparison]) -> set[str]:
    return {re.split(" after| before| in", one.name)[0] for one in compared if not one.agrees}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(selftest, "SIDE", 64)


@pytest.mark.parametrize("layer", ["g_a.0", "g_s.6", "h_s.0"])
def test_a_device_that_rounds_otherwise_agrees(reference, layer):
    assert not disagreeing(compare(reference, changed(reference, layer, 1 + 2**-22), 0.01))


@pytest.mark.parametrize("layer", ["g_a.0", "g_s.6", "h_s.0"])
def test_a_device_that_computes_otherwise_does_not_agree(reference, layer):
    assert "true loss" in disagreeing(compare(reference, changed(reference, layer, 1.01), 0.01))


def test_a_run_stops_on_a_device_that_does_not_agree(reference, monkeypatch):
    codecs = iter([reference, changed(reference, "g_s.6", 1.01)])
    monkeypatch.setattr(Codec, "load", lambda *arguments: next(codecs))
    with pytest.raises(DeviceError, match=r"does not compute what the CPU does: true loss before .* believed"):
        selftest.check(MODEL, torch.device("cpu"), 0.01)


def test_numbers_that_are_not_finite_do_not_agree():
    assert not Comparison("loss", float("nan"), 1).agrees
