from __future__ import annotations

import pytest
import torch

from sgaplus.refinement.draws import DRAWS, STRATA, IndependentDraws, StratifiedDraws

CPU = torch.device("cpu")


def stream():
    return torch.Generator().manual_seed(0)


def steps(draws, count, *shapes):
    """Each step's numbers, one tensor per shape."""
    found = []
    for step in range(count):
        draws.start(step)
        found.append([draws.uniform(shape) for shape in shapes])
    return found


def test_independent_numbers_are_the_streams_own():
    drawn = steps(IndependentDraws(stream(), CPU), 2, (3,), (2, 4))
    own = stream()
    for one in drawn:
        for numbers in one:
            assert torch.equal(numbers, torch.rand(numbers.shape, generator=own))


def test_eight_stratified_steps_fill_every_eighth_once_for_each_latent():
    for first in range(0, 3 * STRATA, STRATA):
        drawn = steps(StratifiedDraws(stream(), CPU), 3 * STRATA, (5, 7), (11,))[first : first + STRATA]
        for numbers in zip(*drawn, strict=True):
            strata = (torch.stack(numbers) * STRATA).long()
            expected = torch.arange(STRATA).reshape(-1, *[1] * (strata.dim() - 1)).expand_as(strata)
            assert torch.equal(strata.sort(dim=0).values, expected)


@pytest.mark.parametrize("name", DRAWS)
def test_numbers_of_every_step_are_uniform_and_float32(name):
    for (numbers,) in steps(DRAWS[name](stream(), CPU), STRATA + 1, (20_000,)):
        assert numbers.dtype == torch.float32
        assert numbers.min() >= 0
        assert numbers.max() < 1
        assert numbers.mean().item() == pytest.approx(0.5, abs=0.01)
        assert numbers.var().item() == pytest.approx(1 / 12, abs=0.003)


def test_stratified_numbers_of_two_latents_are_uncorrelated_within_eight_steps():
    """Numbers in one fixed phase to each other would bias the expected loss, which couples latents."""
    (pairs,) = zip(*steps(StratifiedDraws(stream(), CPU), STRATA, (2, 20_000)), strict=True)
    first, second = (torch.stack(pairs) - 0.5).unbind(dim=1)
    assert (first * second).mean(dim=0).mean().item() == pytest.approx(0, abs=1e-3)


def test_the_mean_of_eight_stratified_numbers_varies_less():
    def variance(name):
        (numbers,) = zip(*steps(DRAWS[name](stream(), CPU), STRATA, (20_000,)), strict=True)
        return torch.stack(numbers).mean(dim=0).var().item()

    assert variance("stratified") < variance("independent") / 30


def test_the_largest_number_is_below_one(monkeypatch):
    """In float32 seven eighths and the largest uniform number's eighth are 1, of which logits are infinite."""
    draws = StratifiedDraws(stream(), CPU)
    draws.start(0)
    draws.uniform((100,))
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, 1 - 2.0**-24))
    draws.start(1)
    assert draws.uniform((100,)).max() < 1
