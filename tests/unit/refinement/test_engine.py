from __future__ import annotations

import pytest
import torch
from compressai.models import MeanScaleHyperprior

from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.codec.latents import Latents
from sgaplus.errors import RefinementError
from sgaplus.meter import peak_memory
from sgaplus.refinement import memory, rounding
from sgaplus.refinement.engine import refine
from sgaplus.refinement.method import Method, Plan
from sgaplus.refinement.rounding import Rounding

METHODS = {name: Method(rounding.make(name)) for name in Rounding.registry}
SSL = METHODS["ssl"]
LOSSES = ("method_loss", "true_loss", "best_true_loss")
MEASURED = ("step", *LOSSES, "bpp_y", "bpp_z", "bpp", "mse", "mse_unclamped", "psnr")


def rows_of(outcome):
    return [[row[field] for field in MEASURED] for row in outcome.rows]


@pytest.mark.parametrize("name", METHODS)
def test_step_zero_is_the_base_model(codec, images, name):
    outcome = refine(codec, images, METHODS[name], Plan(0.01, 1))
    for (_, image), refined in zip(images, outcome, strict=True):
        batch = codec.batch([image])
        base = codec.measure(batch, codec.analyse(batch.x))
        first = refined.rows[0]
        assert first["step"] == 0
        assert first["true_loss"] == pytest.approx((base.bpp + 0.01 * base.distortion_unclamped).item(), rel=1e-4)


@pytest.fixture
def batches(monkeypatch):
    """Batches on a CPU, as a GPU has them."""
    monkeypatch.delitem(memory.LARGEST_SUB_BATCH, "cpu")


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


@pytest.mark.parametrize("size", [(1, 1), (15, 17), (48, 80), (65, 64), (200, 40)])
def test_a_picture_of_any_size_is_refined_whole_and_in_strips(codec, picture, size):
    image = ("odd", picture(*size))
    whole, cut = (refine(codec, [image], SSL, Plan(0.05, 20, memory_bytes=budget)) for budget in (2**32, 1))
    for one, other in zip(whole, cut, strict=True):
        assert one.latents.y.shape[1:] == (-(-size[0] // 16), -(-size[1] // 16))
        assert one.rows[-1]["true_loss"] < one.rows[0]["true_loss"]
        assert other.rows[-1]["true_loss"] == pytest.approx(one.rows[-1]["true_loss"], rel=1e-2)


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


def test_a_longer_run_passes_through_the_shorter_one(codec, images):
    short = refine(codec, images[:1], SSL, Plan(0.01, 6, frozenset({3})))[0]
    long = refine(codec, images[:1], SSL, Plan(0.01, 9, frozenset({3, 6})))[0]
    assert rows_of(short) == rows_of(long)[:3]


def test_the_true_loss_is_measured_before_the_step_and_after_the_last(codec, images):
    (outcome,) = refine(codec, images[:1], SSL, Plan(0.01, 4, frozenset({1, 2, 3})))
    assert [row["step"] for row in outcome.rows] == [0, 1, 2, 3, 4]
    batch = codec.batch([images[0][1]])
    end = codec.measure(batch, Latents(outcome.latents.y[None], outcome.latents.z[None]))
    assert outcome.rows[-1]["true_loss"] == pytest.approx((end.bpp + 0.01 * end.distortion_unclamped).item(), rel=1e-5)


@pytest.mark.parametrize(
    "name", ["uniform", "sga", "deterministic", "linear", "cosine", "ssl", "linear3", "cosine3", "ssl3"]
)
def test_refinement_lowers_the_true_loss(codec, images, name):
    for refined in refine(codec, images[:3], METHODS[name], Plan(0.05, 60)):
        assert refined.rows[-1]["true_loss"] < refined.rows[0]["true_loss"]


def test_optimiser_and_learning_rate_schedules_come_from_the_settings(codec, images):
    def final(**changes):
        method = Method(rounding.make("ssl"), **changes)
        return refine(codec, images[:1], method, Plan(0.01, 8))[0].rows[-1]["method_loss"]

    results = {
        final(),
        final(lr=1e-2),
        final(optimizer="sgd"),
        final(lr_schedule="cosine"),
        final(tau_max=0.3),
        final(cooling=200.0),
    }
    assert len(results) == 6


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
@pytest.mark.parametrize("size", [(256, 192), (230, 170)])
def test_a_small_budget_splits_the_batch_and_cuts_strips_without_changing_results(codec, picture, size):
    images = [(name, picture(*size, seed)) for seed, name in enumerate("abc")]
    roomy = refine(codec, images, SSL, Plan(0.01, 5))
    tight = refine(codec, images, SSL, Plan(0.01, 5, memory_bytes=1))
    for one, other in zip(roomy, tight, strict=True):
        assert other.rows[-1]["true_loss"] == pytest.approx(one.rows[-1]["true_loss"], rel=1e-3)
