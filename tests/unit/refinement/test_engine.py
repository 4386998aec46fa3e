from __future__ import annotations

import pytest
import torch
from compressai.models import MeanScaleHyperprior

from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.codec.latents import Latents
from sgaplus.errors import RefinementError
from sgaplus.meter import peak_memory
from sgaplus.progress import heard_by
from sgaplus.refinement import memory, rounding
from sgaplus.refinement.engine import refine
from sgaplus.refinement.latent_optimization import LatentOptimization
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
        final(optimizer="adam_pooled"),
        final(lr_schedule="cosine"),
        final(tau_max=0.3),
        final(cooling=200.0),
        final(draws="stratified"),
    }
    assert len(results) == 8


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


class Device:
    """Memory of a device that holds so many pixels of images at once: a step with more of them fails."""

    def __init__(self, monkeypatch, pixels: int) -> None:
        self.sub_batches: list[tuple[list[str], int | None]] = []
        distortion, narrowest = Codec.distortion, 16 * 9  # latent rows of a strip with its halo

        def limited(codec, batch, y, strip=None, reference=None):
            count, _, height, width = batch.x.shape
            if count * min(height, (strip or height) * 16 + narrowest) * width > pixels:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return distortion(codec, batch, y, strip, reference)

        begin = LatentOptimization.__init__

        def noted(optimization, codec, sub_batch, *others):
            self.sub_batches.append((sub_batch.names, sub_batch.strip))
            begin(optimization, codec, sub_batch, *others)

        monkeypatch.setattr(Codec, "distortion", limited)
        monkeypatch.setattr(LatentOptimization, "__init__", noted)


@pytest.mark.usefixtures("batches")
def test_a_sub_batch_that_does_not_fit_is_halved_and_done_from_its_beginning(codec, picture, monkeypatch, caplog):
    images = [(name, picture(32, 48)) for name in "abcde"]
    plan = Plan(0.01, 5, frozenset({2}))
    alone = [row for image in images for row in rows_of(refine(codec, [image], SSL, plan)[0])]
    told = []
    device = Device(monkeypatch, 2 * 32 * 48)
    with heard_by(told.append):
        halved = refine(codec, images, SSL, plan)
    assert [names for names, _ in device.sub_batches] == [list("abcde"), list("ab"), list("cde"), ["c"], list("de")]
    assert [row for one in halved for row in rows_of(one)] == [pytest.approx(row, rel=1e-3) for row in alone]
    assert sum(told) == pytest.approx(1)
    assert "out of memory with 5 image(s) of 48x32 pixels at once; from their beginning in smaller parts" in caplog.text


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize(
    ("margin", "names"), [(memory.MARGIN["cuda"], ["abc", "de"]), (1.0, ["abcd", "ab", "cd", "e"])]
)
def test_the_margin_spares_halving_where_a_step_takes_a_tenth_more_than_its_trial(
    codec, picture, monkeypatch, margin, names
):
    images = [(name, picture(32, 48)) for name in "abcde"]
    budget = 4 * 32 * 48 * 1000
    monkeypatch.setattr(memory, "STEP_BYTES_BOUND", budget)  # so that a trial decides
    monkeypatch.setattr(memory, "_measured_bytes", lambda codec, method: 1000)
    monkeypatch.setitem(memory.MARGIN, "cpu", margin)
    device = Device(monkeypatch, int(budget / 1100))
    refine(codec, images, SSL, Plan(0.01, 1, memory_bytes=budget))
    assert ["".join(together) for together, _ in device.sub_batches] == names


def test_an_image_that_does_not_fit_is_cut_into_strips_and_refused_when_none_fits(codec, picture, monkeypatch):
    image = ("tall", picture(400, 16))
    (whole,) = refine(codec, [image], SSL, Plan(0.01, 3))
    device = Device(monkeypatch, 220 * 16)
    (cut,) = refine(codec, [image], SSL, Plan(0.01, 3))
    assert [strip for _, strip in device.sub_batches] == [None, 12, 6, 3]
    assert cut.rows[-1]["true_loss"] == pytest.approx(whole.rows[-1]["true_loss"], rel=1e-3)
    Device(monkeypatch, 1)
    with pytest.raises(RefinementError, match="tall: a step needs more memory than cpu has free"):
        refine(codec, [image], SSL, Plan(0.01, 3))
