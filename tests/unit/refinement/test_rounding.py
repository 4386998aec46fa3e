from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import gumbel_softmax

from sgaplus.errors import ConfigError
from sgaplus.refinement import rounding
from sgaplus.refinement.rounding import EDGE, Categorical, Rounding, Temperature, ThreeClass, TwoClass

ALL = [rounding.make(name) for name in Rounding.registry]
TWO_CLASS = [method for method in ALL if isinstance(method, TwoClass)]
THREE_CLASS = [method for method in ALL if isinstance(method, ThreeClass)]
SAMPLING = [method for method in [*TWO_CLASS, *THREE_CLASS] if method.name != "deterministic"]
CATEGORICAL = [method for method in ALL if isinstance(method, Categorical)]

FRACTIONS = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)

# From the definitions in the paper, not from the log-odds of the library.
P_DOWN = {
    "linear": lambda d: 1 - d,
    "cosine": lambda d: torch.cos(math.pi * d / 2) ** 2,
    "sga": lambda d: torch.exp(-torch.atanh(d)) / (torch.exp(-torch.atanh(d)) + torch.exp(-torch.atanh(1 - d))),
    "ssl": lambda d: 1 / (1 + (d / (1 - d)) ** 2.3),
}

finite = st.floats(min_value=-(2.0**100), max_value=2.0**100, allow_nan=False, width=32)
temperatures = st.floats(min_value=1e-6, max_value=1.0)


def ids(method: Rounding) -> str:
    return method.name


def uniform(v: torch.Tensor, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    dtype = v.dtype if v.dtype == torch.float64 else torch.float32
    return lambda: torch.rand(v.shape, generator=generator, dtype=dtype)


def test_every_method_of_the_paper_is_registered():
    assert set(Rounding.registry) == {
        *("ste", "uniform", "sga", "deterministic", "linear", "cosine", "ssl"),
        *("linear3", "cosine3", "ssl3"),
    }


@pytest.mark.parametrize("name", P_DOWN)
def test_two_class_probability_is_the_closed_form(name):
    down, up = rounding.make(name).probabilities(FRACTIONS + 3)
    torch.testing.assert_close(down, P_DOWN[name](FRACTIONS))
    torch.testing.assert_close(up, 1 - P_DOWN[name](FRACTIONS))


@pytest.mark.parametrize("method", CATEGORICAL, ids=ids)
def test_probabilities_sum_to_one(method):
    v = torch.linspace(-3, 3, 1001, dtype=torch.float64)
    torch.testing.assert_close(method.probabilities(v).sum(0), torch.ones_like(v))


@pytest.mark.parametrize("method", TWO_CLASS, ids=ids)
def test_two_class_probability_is_symmetric_and_falls(method):
    down, up = method.probabilities(FRACTIONS)
    torch.testing.assert_close(down, up.flip(0))
    assert (down.diff() < 0).all()
    middle, _ = method.probabilities(torch.tensor([0.5], dtype=torch.float64))
    torch.testing.assert_close(middle, torch.full_like(middle, 0.5))


@pytest.mark.parametrize("method", THREE_CLASS, ids=ids)
def test_three_class_probability_is_symmetric_and_falls_with_distance(method):
    w = torch.linspace(-0.49, 0.49, 99, dtype=torch.float64)
    down, nearest, up = method.probabilities(w)
    torch.testing.assert_close(down, up.flip(0))
    assert (up.diff() >= 0).all()
    assert (nearest >= torch.maximum(down, up) - 1e-12).all()


def test_ssl_at_one_is_linear():
    torch.testing.assert_close(
        rounding.make("ssl", a=1.0).probabilities(FRACTIONS), rounding.make("linear").probabilities(FRACTIONS)
    )


def test_ssl_comes_near_the_cosine_and_sga_where_the_paper_says():
    cosine, sga = rounding.make("cosine"), rounding.make("sga")
    assert (rounding.make("ssl", a=4 / 3).probabilities(FRACTIONS) - cosine.probabilities(FRACTIONS)).abs().max() < 0.05
    assert (rounding.make("ssl", a=0.65).probabilities(FRACTIONS) - sga.probabilities(FRACTIONS)).abs().max() < 0.02


@pytest.mark.parametrize(
    ("three", "two"),
    [
        (rounding.make("linear3", r=1.0, n=1.0), rounding.make("linear")),
        (rounding.make("cosine3", r=1.0, n=2.0), rounding.make("cosine")),
        (rounding.make("ssl3", r=1.0, n=1.0, a=2.3), rounding.make("ssl", a=2.3)),
    ],
    ids=["linear", "cosine", "ssl"],
)
def test_three_classes_contain_two_as_the_special_case(three, two):
    v = torch.linspace(-1.99, 1.99, 400, dtype=torch.float64)
    chance_three, chance_two = three.probabilities(v), two.probabilities(v)
    candidates_three, candidates_two = three.candidates(v), two.candidates(v)
    for k in range(-3, 4):
        torch.testing.assert_close(
            torch.where(candidates_three == k, chance_three, 0).sum(0),
            torch.where(candidates_two == k, chance_two, 0).sum(0),
        )


@pytest.mark.parametrize("method", THREE_CLASS, ids=ids)
def test_a_factor_below_one_lets_the_third_class_in(method):
    v = torch.tensor([0.01], dtype=torch.float64)  # 1.01 from -1, within 1 / r
    assert method.probabilities(v)[0] > 0
    assert rounding.make(method.name, r=1.0).probabilities(v)[0] == 0


@pytest.mark.parametrize("method", SAMPLING, ids=ids)
@pytest.mark.parametrize("tau", [1.0, 0.5, 0.2])
def test_the_sample_is_distributed_as_a_gumbel_softmax_of_the_same_logits(method, tau):
    """Two-sample Kolmogorov-Smirnov against torch's own Gumbel-softmax of logits / tau at tau."""
    from scipy.stats import ks_2samp

    for fraction in (0.15, 0.5, 0.8):
        v = torch.full((20_000,), 4 + fraction, dtype=torch.float64)
        ours = method.relax(v, tau, uniform(v, seed=1))
        torch.manual_seed(2)
        weights = gumbel_softmax(method.log_probabilities(v) / tau, tau=tau, dim=0)
        direct = (weights * method.candidates(v)).sum(0)
        assert ks_2samp(ours.numpy(), direct.numpy()).pvalue > 1e-3


def test_deterministic_annealing_is_the_mean_of_sgas_two_candidates():
    for tau in (1.0, 0.3):
        weights = torch.softmax(rounding.make("sga").log_probabilities(FRACTIONS) / tau, dim=0)
        expected = (weights * rounding.make("sga").candidates(FRACTIONS)).sum(0)
        ours = rounding.make("deterministic").relax(FRACTIONS, tau, uniform(FRACTIONS))
        torch.testing.assert_close(ours, expected)


def test_deterministic_methods_draw_no_random_numbers():
    def forbidden():
        raise AssertionError("drew a random number")

    for name in ("ste", "deterministic"):
        rounding.make(name).relax(FRACTIONS, 0.5, forbidden)


@pytest.mark.parametrize("method", TWO_CLASS, ids=ids)
def test_two_classes_cost_at_most_one_random_number_an_element(method):
    drawn = []

    def draw():
        drawn.append(1)
        return torch.full_like(FRACTIONS, 0.3)

    method.relax(FRACTIONS, 0.5, draw)
    assert len(drawn) <= 1


@pytest.mark.parametrize("method", CATEGORICAL, ids=ids)
def test_a_vanishing_temperature_gives_integers(method):
    v = torch.linspace(-2.9, 2.9, 59, dtype=torch.float64) + 0.03
    relaxed = method.relax(v, 1e-6, uniform(v))
    torch.testing.assert_close(relaxed, relaxed.round(), atol=1e-9, rtol=0)
    assert ((relaxed - v).abs() < 1.5).all()


@pytest.mark.parametrize("method", CATEGORICAL, ids=ids)
def test_at_a_vanishing_temperature_the_likeliest_candidate_wins(method):
    v = torch.tensor([-1.8, -0.3, 0.2, 0.9, 2.4], dtype=torch.float64)
    torch.testing.assert_close(method.relax(v, 1e-4, uniform(v)), v.round(), atol=1e-9, rtol=0)


def test_ste_rounds_forward_and_is_the_identity_backward():
    v = torch.tensor([-1.5, -0.2, 0.49, 0.51, 7.0], requires_grad=True)
    rounded = rounding.make("ste").relax(v, 1.0, uniform(v))
    torch.testing.assert_close(rounded, v.round(), atol=0, rtol=0)
    rounded.sum().backward()
    torch.testing.assert_close(v.grad, torch.ones_like(v))


def test_uniform_noise_is_uniform_around_the_value():
    v = torch.full((50_000,), 0.3)
    noise = rounding.make("uniform").relax(v, 1.0, uniform(v)) - v
    assert noise.min() >= -0.5
    assert noise.max() <= 0.5
    assert abs(noise.mean()) < 0.01
    assert abs(noise.var() - 1 / 12) < 0.002


@pytest.mark.parametrize("method", [method for method in ALL if method.name != "ste"], ids=ids)
@pytest.mark.parametrize("tau", [1.0, 0.5, 0.2])
def test_gradients_equal_numerical_ones(method, tau):
    v = (torch.linspace(-1.9, 1.9, 39, dtype=torch.float64) + 0.013).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: method.relax(v, tau, uniform(v)), (v,), atol=1e-4)


@pytest.mark.parametrize("method", ALL, ids=ids)
@settings(deadline=None, max_examples=60)
@given(value=finite, tau=temperatures, seed=st.integers(0, 2**31))
def test_values_and_gradients_are_finite_for_any_finite_input(method, value, tau, seed):
    for dtype in (torch.float32, torch.bfloat16):
        v = torch.tensor([value], dtype=dtype, requires_grad=True)
        relaxed = method.relax(v, tau, uniform(v, seed))
        relaxed.sum().backward()
        assert relaxed.dtype == dtype
        assert relaxed.isfinite().all()
        assert v.grad.isfinite().all()


@pytest.mark.parametrize("method", ALL, ids=ids)
@pytest.mark.parametrize("tau", [1.0, 1e-2, 1e-6])
@pytest.mark.parametrize("extreme", [0.0, 1 - 2**-24])
def test_integers_half_integers_and_extreme_random_numbers_are_finite(method, tau, extreme):
    near = torch.tensor([0.0, 1e-30, 1e-7, EDGE, 0.5, 1 - EDGE, 1 - 1e-7])
    v = torch.cat([near + k for k in (-2, -1, 0, 1)] + [-near]).requires_grad_()
    relaxed = method.relax(v, tau, lambda: torch.full_like(v, extreme))
    relaxed.sum().backward()
    assert relaxed.isfinite().all()
    assert v.grad.isfinite().all()
    assert ((relaxed - v).abs() <= 1.5 + 1e-5).all()


@given(
    step=st.integers(0, 10_000),
    tau_max=st.floats(0.01, 1.0),
    cooling=st.floats(0, 200),
    steps=st.integers(1, 4000),
)
def test_the_temperature_is_capped_and_never_rises(step, tau_max, cooling, steps):
    tau = Temperature(tau_max, cooling, steps)
    assert tau(step) == min(math.exp(-(cooling / steps) * step), tau_max)
    assert tau(step + 1) <= tau(step) <= tau_max


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("sll", {}, "Did you mean 'ssl'"),
        ("ssl", {"b": 1.0}, "no parameter 'b'"),
        ("linear", {"a": 1.0}, "no parameter 'a'"),
        ("ssl", {"a": 0.0}, "a is 0.0; it must be above 0"),
        ("linear3", {"r": 1.2}, "r is 1.2; it must be in (0, 1]"),
        ("cosine3", {"n": -1}, "n is -1; it must be above 0"),
        ("ssl3", {"a": -1}, "a is -1; it must be above 0"),
    ],
)
def test_a_wrong_name_or_parameter_is_refused_with_the_right_one(name, parameters, message):
    with pytest.raises(ConfigError) as error:
        rounding.make(name, **parameters)
    assert message in str(error.value)


def test_a_new_method_is_one_class():
    class Cubic(TwoClass):
        name = "cubic"

        def log_odds(self, d):
            return torch.logit(d) ** 3

    try:
        down, up = rounding.make("cubic").probabilities(FRACTIONS)
        torch.testing.assert_close(down + up, torch.ones_like(down))
    finally:
        del Rounding.registry["cubic"]
