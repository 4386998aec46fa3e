from __future__ import annotations

import pytest
import torch

from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import Hyperprior
from sgaplus.training.evaluation import evaluate
from tests.unit.training.tiny import CPU


def test_evaluation_measures_with_hard_rounding_as_refinement_does(trained, photographs, picture):
    codec = Codec(Hyperprior.of(trained.state_dict()))
    measured = evaluate(trained, photographs[:2], 0.05, CPU[0])
    losses = []
    for photograph in photographs[:2]:
        x = torch.from_numpy(photograph.pixels).permute(2, 0, 1) / 255
        batch = codec.batch([x])
        one = codec.measure(batch, codec.analyse(batch.x))
        losses.append((one.bpp + 0.05 * one.distortion).item())
    assert measured.loss == pytest.approx(sum(losses) / 2, rel=1e-6)
