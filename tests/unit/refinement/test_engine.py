from __future__ import annotations

import copy
import json

import pytest
import torch
from compressai.models import MeanScaleHyperprior

from sgaplus.codec.frozen import Batch, Codec, Latents
from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.errors import ConfigError, RefinementError
from sgaplus.meter import peak_memory
from sgaplus.refinement import engine, rounding
from sgaplus.refinement.engine import (
    Method,
    NonFiniteLossError,
    Plan,
    bytes_per_pixel,
    fit,
    method_loss,
    random_stream,
    record_steps,
    refine,
)
from sgaplus.refinement.rounding import Rounding, Temperature

METHODS = {name: Method(rounding.make(name)) for name in Rounding.registry}
SSL = METHODS["ssl"]
MEASURED = ("step", "method_loss", "true_loss", "best_true_loss", "bpp_y", "bpp_z", "bpp", "mse", "psnr")


def rows_of(outcome):
    return [[row[field] for field in MEASURED] for row in outcome.rows]


@pytest.fixture(scope="module")
def images(picture):
    """Two padded sizes; two images share one of them without sharing their own size."""
    return [("a", picture(64, 128, 1)), ("b", picture(60, 100, 2)), ("c", picture(128, 64, 3)), ("d", picture(1, 1, 4))]


@pytest.mark.parametrize("name", METHODS)
def test_step_zero_is_the_base_model(codec, images, name):
    outcome = refine(codec, images, METHODS[name], Plan(0.01, 1))
    for (_, image), refined in zip(images, outcome, strict=True):
        batch = Batch.of([image])
        base = codec.measure(batch, codec.analyse(batch.x))
        first = refined.rows[0]
        assert first["step"] == 0
        assert first["true_loss"] == pytest.approx((base.bpp + 0.01 * base.mse).item(), rel=1e-4)


@pytest.fixture
def batches(monkeypatch):
    """Batches on a CPU, as a GPU has them."""
    monkeypatch.delitem(engine.LARGEST_SUB_BATCH, "cpu")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_alone_with_others_and_in_another_order_an_image_ends_the_same(codec, images, precision):
    same = Codec(codec.model, precision=precision)
    plan = Plan(0.01, 25, frozenset({10}))
    together = {one.name: one for one in refine(same, images, SSL, plan)}
    reversed_ = {one.name: one for one in refine(same, images[::-1], SSL, plan)}
    for name, image in images:
        (alone,) = refine(same, [(name, image)], SSL, plan)
        for other in (together[name], reversed_[name]):
            assert rows_of(other) == rows_of(alone)
            assert other.latents.y.equal(alone.latents.y)


@pytest.mark.usefixtures("batches")
def test_in_a_batch_an_image_ends_as_it_does_alone_but_for_the_order_of_sums(codec, images):
    plan = Plan(0.01, 25)
    for one in refine(codec, images, SSL, plan):
        (alone,) = refine(codec, [(one.name, dict(images)[one.name])], SSL, plan)
        assert one.rows[-1]["true_loss"] == pytest.approx(alone.rows[-1]["true_loss"], rel=1e-3)
    assert {row["batch"] for one in refine(codec, images, SSL, Plan(0.01, 0)) for row in one.rows} == {1, 2}


def test_outcomes_come_in_the_order_given(codec, images):
    assert [one.name for one in refine(codec, images[::-1], SSL, Plan(0.01, 0))] == ["d", "c", "b", "a"]


def test_same_seed_same_path_other_seed_other_path(codec, images):
    def run(seed):
        return rows_of(refine(codec, images[:1], SSL, Plan(0.01, 5, seed=seed))[0])

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_images_of_one_job_draw_different_numbers():
    draws = {torch.rand(3, generator=random_stream(0, name, torch.device("cpu"))) for name in ("a", "b")}
    assert len({tuple(draw.tolist()) for draw in draws}) == 2


def test_a_longer_run_passes_through_the_shorter_one(codec, images):
    short = refine(codec, images[:1], SSL, Plan(0.01, 6, frozenset({3})))[0]
    long = refine(codec, images[:1], SSL, Plan(0.01, 9, frozenset({3, 6})))[0]
    assert rows_of(short) == rows_of(long)[:3]


def test_the_true_loss_is_measured_before_the_step_and_after_the_last(codec, images):
    (outcome,) = refine(codec, images[:1], SSL, Plan(0.01, 4, frozenset({1, 2, 3})))
    assert [row["step"] for row in outcome.rows] == [0, 1, 2, 3, 4]
    batch = Batch.of([images[0][1]])
    end = codec.measure(batch, Latents(outcome.latents.y[None], outcome.latents.z[None]))
    assert outcome.rows[-1]["true_loss"] == pytest.approx((end.bpp + 0.01 * end.mse).item(), rel=1e-5)


def test_a_row_adds_up(codec, images):
    for refined in refine(codec, images, SSL, Plan(0.02, 2, frozenset({1}))):
        best = float("inf")
        for row in refined.rows:
            best = min(best, row["true_loss"])
            assert row["bpp"] == pytest.approx(row["bpp_y"] + row["bpp_z"], rel=1e-6)
            assert row["true_loss"] == pytest.approx(row["bpp"] + 0.02 * row["mse"], rel=1e-6)
            assert row["best_true_loss"] == best


def test_method_loss_without_relaxation_is_the_codecs_own(codec, picture):
    """With noise fixed at 0, uniform noise leaves the latents as they are."""

    class Exact(Rounding):
        def relax(self, v, tau, draw):
            return v

    batch = Batch.of([picture(64, 64)])
    latents = codec.analyse(batch.x)
    streams = [random_stream(0, "x", torch.device("cpu"))]
    loss = method_loss(codec, batch, latents, Exact(), 1.0, 0.05, streams)
    scales, means = codec.entropy_parameters(latents.z)
    bits = codec.bits_y(latents.y, scales, means) + codec.bits_z(latents.z)
    mse = 255**2 * (codec.synthesise(latents.y) - batch.x).square().mean()
    torch.testing.assert_close(loss[0], bits[0] / 64**2 + 0.05 * mse)


def test_the_gradient_of_the_method_loss_is_numerically_right(codec, picture):
    """Along random directions in the latents, in float64."""
    model = copy.deepcopy(codec.model).double()
    with torch.no_grad():
        model.h_s[-1].bias[:12] += 1  # scales above their lower bound, where gradients are those of the value
    double = Codec(model)
    batch = Batch.of([picture(64, 64).double()])
    latents = double.analyse(batch.x)
    y, z = latents.y.requires_grad_(), latents.z.requires_grad_()

    def loss(y, z):
        streams = [random_stream(0, "x", torch.device("cpu"))]
        return method_loss(double, batch, Latents(y, z), SSL.rounding, 0.7, 0.01, streams).sum()

    gradients = torch.autograd.grad(loss(y, z), (y, z))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for gradient, (dy, dz) in zip(gradients, ((1, 0), (0, 1)), strict=True):
            direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
            h = 1e-6
            ahead = loss(y + dy * h * direction, z) if dy else loss(y, z + dz * h * direction)
            behind = loss(y - dy * h * direction, z) if dy else loss(y, z - dz * h * direction)
            assert ((ahead - behind) / (2 * h)).item() == pytest.approx((gradient * direction).sum().item(), rel=1e-3)


@pytest.mark.parametrize(
    "name", ["uniform", "sga", "deterministic", "linear", "cosine", "ssl", "linear3", "cosine3", "ssl3"]
)
def test_refinement_lowers_the_true_loss(codec, images, name):
    for refined in refine(codec, images[:3], METHODS[name], Plan(0.05, 60)):
        assert refined.rows[-1]["true_loss"] < refined.rows[0]["true_loss"]


def test_the_best_latents_are_kept_on_request(codec, images):
    wild = Method(rounding.make("ste"), lr=20.0)
    plan = Plan(0.01, 12, record_steps(12, 1), keep_best=True)
    (refined,) = refine(codec, images[:1], wild, plan)
    losses = [row["true_loss"] for row in refined.rows]
    assert min(losses) < losses[-1], "the run must get worse for this test to mean something"
    kept = codec.measure(Batch.of([images[0][1]]), Latents(refined.latents.y[None], refined.latents.z[None]))
    assert (kept.bpp + 0.01 * kept.mse).item() == pytest.approx(min(losses), rel=1e-5)


def test_optimiser_and_learning_rate_schedules_come_from_the_settings(codec, images):
    def final(**changes):
        method = Method(rounding.make("ssl"), **changes)
        return refine(codec, images[:1], method, Plan(0.01, 8))[0].rows[-1]["method_loss"]

    results = {
        final(),
        final(lr=1e-2),
        final(optimizer="sgd"),
        final(lr_schedule="cosine"),
        final(temperature=Temperature(0.3)),
        final(temperature=Temperature(1.0, 0.1)),
    }
    assert len(results) == 6


def test_the_cosine_schedule_falls_from_the_rate_to_zero():
    method = Method(rounding.make("ssl"), lr=0.4, lr_schedule="cosine")
    assert method.learning_rate(0, 10) == 0.4
    assert method.learning_rate(5, 10) == pytest.approx(0.2)
    assert method.learning_rate(10, 10) == pytest.approx(0)


def test_the_temperature_falls_as_far_in_other_steps():
    method = Method(rounding.make("ssl"), Temperature(0.9, 3e-3), lr=0.4)
    other = method.cooling_in(100, of=500)
    assert other.temperature(100) == pytest.approx(method.temperature(500))
    assert other.temperature(0) == 0.9
    assert (other.rounding, other.lr) == (method.rounding, 0.4)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"optimizer": "adamm"}, "adamm"), ({"lr_schedule": "step"}, "'step'")],
)
def test_unknown_choices_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        Method(rounding.make("ssl"), **change)


def test_record_steps_hold_first_last_every_kth_and_those_asked_for():
    assert record_steps(10, 4, [5, 50]) == {0, 4, 5, 8, 10}
    assert record_steps(0, 4) == {0}


def test_a_loss_that_stops_being_finite_ends_the_job_and_keeps_the_record(codec, images, monkeypatch):
    class Exploding(Rounding):
        """Not a number from the third step on; a step relaxes z and y."""

        calls = 0
        name = "exploding"

        def relax(self, v, tau, draw):
            type(self).calls += 1
            return v * float("nan") if type(self).calls > 4 else v

    del Rounding.registry["exploding"]
    monkeypatch.setattr(engine, "bytes_per_pixel", lambda *_: 1.0)  # its trial step would count
    with pytest.raises(NonFiniteLossError) as error:
        refine(codec, images[:1], Method(Exploding()), Plan(0.01, 50, frozenset({1, 10})))
    message = str(error.value)
    assert "image a" in message
    assert "step 2" in message
    assert "'exploding'" in message
    assert [row["step"] for row in error.value.rows] == [0, 1]
    json.dumps(error.value.rows)


def test_one_bad_image_keeps_the_records_of_those_before_it(codec, images, picture):
    broken = ("broken", picture(256, 64) * float("nan"))
    with pytest.raises(NonFiniteLossError, match="image broken") as error:
        refine(codec, [images[0], broken], SSL, Plan(0.01, 3))
    assert [row["image"] for row in error.value.rows] == ["a", "a"]


def test_the_budget_decides_batches_then_strips():
    per_pixel = 1000.0
    image = 640 * 640 * 1000
    assert fit(640, 640, per_pixel, 5 * image) == (5, None)
    assert fit(640, 640, per_pixel, image) == (1, None)
    size, strip = fit(640, 640, per_pixel, image // 2)
    assert size == 1
    assert strip is not None
    assert (strip + 4) * 16 * 640 * 1000 <= image // 2
    assert fit(640, 640, per_pixel, 1) == (1, 1)


def test_working_memory_is_measured_and_grows_with_the_widths(codec):
    narrow = bytes_per_pixel(codec, SSL)
    wide = bytes_per_pixel(Codec(Hyperprior.of(MeanScaleHyperprior(64, 64).state_dict())), SSL)
    # at least the activations that any implementation keeps: N channels at half resolution, in float32
    assert wide > 64 * 4 / 4
    assert wide > 2 * narrow


def test_small_images_need_no_trial_and_a_codec_needs_one_for_a_rounding(codec, images, monkeypatch):
    fresh = Codec(codec.model)
    trials = []
    monkeypatch.setattr(engine, "_trial_step", lambda *arguments: trials.append(arguments[1:]))
    refine(fresh, images, SSL, Plan(0.01, 0))
    assert trials == []
    for _ in range(2):
        refine(fresh, images, SSL, Plan(0.01, 0, memory_bytes=10**6))
    refine(fresh, images, Method(SSL.rounding, lr=1.0), Plan(0.01, 0, memory_bytes=10**6))
    assert [method for method, _ in trials] == [SSL, SSL]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_step_takes_more_memory_than_is_granted_without_a_trial(precision):
    for channels in (16, 64):
        model = Hyperprior.of(MeanScaleHyperprior(channels, channels).state_dict())
        for method in (SSL, METHODS["linear3"]):
            assert bytes_per_pixel(Codec(model, precision=precision), method) < engine.STEP_BYTES_BOUND * channels


@pytest.mark.parametrize("steps", [3, 30])
def test_nothing_is_decoded_between_records(codec, images, monkeypatch, steps):
    decoded = []
    measure = Codec.measure
    monkeypatch.setattr(Codec, "measure", lambda *arguments: decoded.append(1) or measure(*arguments))
    refine(codec, images[:1], SSL, Plan(0.01, steps, frozenset({2})))
    assert len(decoded) == 3


@pytest.mark.usefixtures("batches")
def test_a_budget_lowers_the_peak(picture):
    wide = Codec(Hyperprior.of(MeanScaleHyperprior(64, 64).state_dict()))
    images = [(str(i), picture(256, 256, i)) for i in range(16)]

    def peak(budget):
        plan = Plan(0.01, 1, memory_bytes=budget)
        return peak_memory(lambda: refine(wide, images, SSL, plan), torch.device("cpu"))

    # resident memory is a rough measure (the allocator keeps what it frees), hence a ratio with room:
    # sixteen images at once need eight times what the two that fit the budget need
    roomy, tight = peak(10**10), peak(150 * 10**6)
    assert tight < roomy / 2, f"{tight / 1e6:.0f} MB with a budget of 150 MB, {roomy / 1e6:.0f} MB without"


def test_two_images_of_one_name_are_refused(codec, images):
    with pytest.raises(RefinementError, match="one name"):
        refine(codec, [images[0], images[0]], SSL, Plan(0.01, 1))


@pytest.mark.usefixtures("batches")
def test_a_small_budget_splits_the_batch_and_cuts_strips_without_changing_results(codec, picture):
    images = [(name, picture(256, 192, seed)) for seed, name in enumerate("abc")]
    roomy = refine(codec, images, SSL, Plan(0.01, 5))
    tight = refine(codec, images, SSL, Plan(0.01, 5, memory_bytes=1))
    for one, other in zip(roomy, tight, strict=True):
        assert other.rows[-1]["true_loss"] == pytest.approx(one.rows[-1]["true_loss"], rel=1e-3)
