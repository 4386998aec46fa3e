from __future__ import annotations

import json

import pytest

from sgaplus.codec.latents import Latents
from sgaplus.refinement import rounding
from sgaplus.refinement.engine import refine
from sgaplus.refinement.measurements import NonFiniteLossError
from sgaplus.refinement.memory import StepMemory
from sgaplus.refinement.method import Method, Plan, record_steps
from sgaplus.refinement.rounding import Rounding

SSL = Method(rounding.make("ssl"))


def test_a_row_adds_up(codec, images):
    for refined in refine(codec, images, SSL, Plan(0.02, 2, frozenset({1}))):
        best = float("inf")
        for row in refined.rows:
            best = min(best, row["true_loss"])
            assert row["bpp"] == pytest.approx(row["bpp_y"] + row["bpp_z"], rel=1e-6)
            assert row["true_loss"] == pytest.approx(row["bpp"] + 0.02 * row["mse_unclamped"], rel=1e-6)
            assert row["best_true_loss"] == best


def test_straight_through_minimises_the_true_loss_itself(codec, picture):
    glaring = ("glaring", (4 * picture(64, 64) - 1.5).clamp(0, 1))
    (refined,) = refine(codec, [glaring], Method(rounding.make("ste"), lr=1e-3), Plan(0.05, 6, record_steps(6, 1)))
    for row in refined.rows:
        assert row["mse"] < row["mse_unclamped"], "clamping must matter here"
        assert row["method_loss"] == pytest.approx(row["true_loss"], rel=1e-6)


def test_the_best_latents_are_kept_on_request(codec, images):
    wild = Method(rounding.make("ste"), lr=20.0)
    plan = Plan(0.01, 12, record_steps(12, 1), keep_best=True)
    (refined,) = refine(codec, images[:1], wild, plan)
    losses = [row["bpp"] + 0.01 * row["mse"] for row in refined.rows]
    assert min(losses) < losses[-1], "the run must get worse for this test to mean something"
    kept = codec.measure(codec.batch([images[0][1]]), Latents(refined.latents.y[None], refined.latents.z[None]))
    assert (kept.bpp + 0.01 * kept.distortion).item() == pytest.approx(min(losses), rel=1e-5)


def test_a_loss_that_stops_being_finite_ends_the_job_and_keeps_the_record(codec, images, monkeypatch):
    class Exploding(Rounding):
        """Not a number from the third step on; a step relaxes z and y."""

        calls = 0
        name = "exploding"

        def relax(self, v, tau, draw):
            type(self).calls += 1
            return v * float("nan") if type(self).calls > 4 else v

    del Rounding.registry["exploding"]
    monkeypatch.setattr(StepMemory, "bytes_per_pixel", lambda *_: 1.0)  # its trial step would count
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
