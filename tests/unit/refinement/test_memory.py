from __future__ import annotations

import pytest
from compressai.models import MeanScaleHyperprior

from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.refinement import memory, rounding
from sgaplus.refinement.engine import refine
from sgaplus.refinement.memory import StepMemory
from sgaplus.refinement.method import Method, Plan

SSL = Method(rounding.make("ssl"))


def test_the_budget_decides_batches_then_strips(codec):
    per_pixel = 1000.0
    image = 640 * 640 * 1000
    fit = StepMemory(codec).fit
    assert fit(640, 640, per_pixel, 5 * image) == (5, None)
    assert fit(640, 640, per_pixel, image) == (1, None)
    size, strip = fit(640, 640, per_pixel, image // 2)
    assert size == 1
    assert strip is not None
    assert (strip + 4) * 16 * 640 * 1000 <= image // 2
    assert fit(640, 640, per_pixel, 1) == (1, 1)


def test_working_memory_is_measured_and_grows_with_the_widths(codec):
    narrow = StepMemory(codec).bytes_per_pixel(SSL)
    wide = StepMemory(Codec(Hyperprior.of(MeanScaleHyperprior(64, 64).state_dict()))).bytes_per_pixel(SSL)
    # at least the activations that any implementation keeps: N channels at half resolution, in float32
    assert wide > 64 * 4 / 4
    assert wide > 2 * narrow


def test_small_images_need_no_trial_and_a_codec_needs_one_for_a_rounding(codec, images, monkeypatch):
    step = StepMemory(codec)
    trials = []
    monkeypatch.setattr(memory, "_trial_step", lambda *arguments: trials.append(arguments[1:]))
    refine(codec, images, SSL, Plan(0.01, 0), memory=step)
    assert trials == []
    for _ in range(2):
        refine(codec, images, SSL, Plan(0.01, 0, memory_bytes=10**6), memory=step)
    refine(codec, images, Method(SSL.rounding, lr=1.0), Plan(0.01, 0, memory_bytes=10**6), memory=step)
    assert [method for method, _ in trials] == [SSL, SSL]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_step_takes_more_memory_than_is_granted_without_a_trial(precision):
    for channels in (16, 64):
        model = Hyperprior.of(MeanScaleHyperprior(channels, channels).state_dict())
        for method in (SSL, Method(rounding.make("linear3"))):
            step = StepMemory(Codec(model, precision=precision))
            assert step.bytes_per_pixel(method) < memory.STEP_BYTES_BOUND * channels


def test_a_codec_that_takes_no_strips_gets_whole_images_one_at_a_time(codec, monkeypatch):
    monkeypatch.setattr(Hyperprior, "halo", None)
    assert StepMemory(codec).fit(640, 640, 1000.0, 1) == (1, None)
