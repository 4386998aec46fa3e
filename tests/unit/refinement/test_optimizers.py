from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from sgaplus.refinement.optimizers import OPTIMIZERS

TORCHS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_path_equals_that_of_torchs_optimiser(name):
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(4, 3, generator=generator), torch.randn(5, generator=generator)]
    ours = [tensor.clone().requires_grad_() for tensor in start]
    theirs = [tensor.clone().requires_grad_() for tensor in start]
    optimizer, reference = OPTIMIZERS[name](ours), TORCHS[name](theirs, lr=0.0)
    for step in range(50):
        lr = 0.1 / (1 + step)
        reference.param_groups[0]["lr"] = lr
        for tensors, moves in ((ours, optimizer), (theirs, reference)):
            moves.zero_grad()
            sum((tensor.sin() ** 2 * tensor).sum() for tensor in tensors).backward()
        optimizer.step(lr)
        reference.step()
    torch.testing.assert_close(ours, theirs)
    assert not torch.allclose(ours[0], start[0])


def test_an_optimiser_does_not_import_torchs_compiler():
    """It takes seconds, which every refinement job would pay."""
    code = (
        "import sys, torch; from sgaplus.refinement.optimizers import Adam; x = torch.zeros(2, requires_grad=True);"
        "o = Adam([x]); x.sum().backward(); o.step(0.1); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
