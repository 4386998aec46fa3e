from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from sgaplus.refinement import optimizers
from sgaplus.refinement.optimizers import OPTIMIZERS, SGD, Adam, FusedAdam

TORCHS = {Adam: torch.optim.Adam, FusedAdam: torch.optim.Adam, SGD: torch.optim.SGD}


@pytest.mark.parametrize("kind", TORCHS)
def test_a_path_equals_that_of_torchs_optimiser(kind):
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(4, 3, generator=generator), torch.randn(5, generator=generator)]
    ours = [tensor.clone().requires_grad_() for tensor in start]
    theirs = [tensor.clone().requires_grad_() for tensor in start]
    optimizer, reference = kind(ours), TORCHS[kind](theirs, lr=0.0)
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


def test_a_gpu_has_the_fused_adam_and_other_devices_their_own():
    far = SimpleNamespace(device=torch.device("cuda"))
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(optimizers.ON_GPU, "adam", made.append)
        optimizers.make("adam", [far])
    assert made == [[far]]
    assert optimizers.ON_GPU["adam"] is FusedAdam
    assert type(optimizers.make("adam", [torch.zeros(1)])) is Adam
    assert type(optimizers.make("sgd", [torch.zeros(1)])) is SGD


def path(optimizer, start, count):
    """Where steps along the gradients of a nonlinear function lead from tensors (B, C, H, W)."""
    tensors = [tensor.clone().requires_grad_() for tensor in start]
    moves = optimizer(tensors)
    for _ in range(count):
        moves.zero_grad()
        sum((tensor.sin() ** 2 * tensor).sum() for tensor in tensors).backward()
        moves.step(0.1)
    return [tensor.detach() for tensor in tensors]


def test_pooled_adam_is_adam_where_the_gradients_of_a_channel_are_alike():
    start = [torch.tensor([0.3, -1.2, 2.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 5)]
    torch.testing.assert_close(path(OPTIMIZERS["adam_pooled"], start, 20), path(OPTIMIZERS["adam"], start, 20))


def test_pooled_adam_moves_latents_of_weak_gradients_less():
    tensor = torch.zeros(1, 2, 1, 2, requires_grad=True)
    (tensor * torch.tensor([[3.0, 4.0], [0.03, 0.04]]).reshape(1, 2, 1, 2)).sum().backward()
    OPTIMIZERS["adam_pooled"]([tensor]).step(0.1)
    mean = (9 + 16) / 2
    expected = [-0.1 * g / ((g * g + mean) / 2) ** 0.5 for g in (3, 4)]
    torch.testing.assert_close(tensor.detach().flatten(), torch.tensor(expected * 2), rtol=1e-4, atol=0)


def test_pooled_adam_pools_no_images():
    start = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    (together,) = path(OPTIMIZERS["adam_pooled"], [start], 10)
    alone = [path(OPTIMIZERS["adam_pooled"], [start[i : i + 1]], 10)[0] for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("kind", ["Adam", "FusedAdam"])
def test_an_optimiser_does_not_import_torchs_compiler(kind):
    """It takes seconds, which every refinement job would pay."""
    code = (
        "import sys, torch; from sgaplus.refinement import optimizers; x = torch.zeros(2, requires_grad=True);"
        f"o = optimizers.{kind}([x]); x.sum().backward(); o.step(0.1); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
