from __future__ import annotations

import pytest
import torch

from sgaplus.codec.frozen import Codec
from sgaplus.refinement.low_precision import SynthesisTarget, corrected


@pytest.mark.parametrize("strip", [None, 3])
def test_the_corrected_target_of_a_codec_in_bfloat16_gives_the_distortion_of_float32(codec, picture, strip):
    low = Codec(codec.model, precision="bfloat16")
    batch = codec.batch([picture(200, 100), picture(195, 110, 1)])
    latents = codec.analyse(batch.x)
    rounded = codec.round(latents).y
    exact = codec.distortion(batch, rounded)
    target = corrected(low, batch, latents, strip)
    assert (target.reference is None) == bool(strip)
    torch.testing.assert_close(
        low.distortion(target.batch, rounded, reference=target.reference), exact, rtol=1e-5, atol=0
    )
    assert not torch.allclose(low.distortion(batch, rounded), exact, rtol=1e-5, atol=0)
    assert corrected(codec, batch, latents) == SynthesisTarget(batch)
