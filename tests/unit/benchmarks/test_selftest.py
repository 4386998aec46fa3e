from __future__ import annotations

import copy
import re

import pytest
import torch

from sgaplus.benchmarks import selftest
from sgaplus.benchmarks.selftest import Comparison, compare, compare_graphs
from sgaplus.codec.frozen import Codec
from sgaplus.errors import DeviceError
from sgaplus.paths import shipped
from sgaplus.refinement.step_graph import CAPTURE

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


def calling_again(warm_up, step):
    warm_up()
    return step


def replaying_nothing(warm_up, step):
    loss = warm_up()
    return lambda: loss


def test_a_device_without_graphs_has_none_to_compare(reference):
    assert compare_graphs(reference, 0.01) == []


def test_graphs_that_replay_a_step_agree_with_ordinary_steps(reference, monkeypatch):
    monkeypatch.setitem(CAPTURE, "cpu", calling_again)
    compared = compare_graphs(reference, 0.01)
    assert len(compared) == 2
    assert not disagreeing(compared)


def test_a_run_that_asks_for_graphs_stops_where_they_compute_something_else(monkeypatch):
    monkeypatch.setitem(CAPTURE, "cpu", replaying_nothing)
    assert len(selftest.check(MODEL, torch.device("cpu"), 0.01)) == 4
    with pytest.raises(DeviceError, match=r"something else with CUDA graphs: true loss .* `refinement: {cuda_graphs: "):
        selftest.check(MODEL, torch.device("cpu"), 0.01, cuda_graphs=True)
