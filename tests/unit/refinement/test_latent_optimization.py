from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sgaplus.codec.frozen import Codec
from sgaplus.codec.latents import Latents
from sgaplus.refinement import latent_optimization as optimization
from sgaplus.refinement import optimizers, rounding
from sgaplus.refinement.draws import DRAWS, IndependentDraws
from sgaplus.refinement.latent_optimization import LatentOptimization, SubBatch, method_loss, random_stream, relaxation
from sgaplus.refinement.low_precision import SynthesisTarget
from sgaplus.refinement.method import Method, Plan
from sgaplus.refinement.rounding import Rounding


def image_draws(name):
    cpu = torch.device("cpu")
    return IndependentDraws(random_stream(0, name, cpu), cpu)


def test_images_of_one_job_draw_different_numbers():
    draws = {torch.rand(3, generator=random_stream(0, name, torch.device("cpu"))) for name in ("a", "b")}
    assert len({tuple(draw.tolist()) for draw in draws}) == 2


def test_an_image_with_a_name_of_any_bytes_has_a_stream():
    random_stream(0, "caf\udce9", torch.device("cpu"))


def test_method_loss_without_relaxation_is_the_codecs_own(codec, picture):
    """With noise fixed at 0, uniform noise leaves the latents as they are."""

    class Exact(Rounding):
        def relax(self, v, tau, draw):
            return v

    batch = codec.batch([picture(64, 64)])
    latents = codec.analyse(batch.x)
    relax = relaxation(Exact(), 1.0, [image_draws("x")])
    loss = method_loss(codec, SynthesisTarget(batch), latents, relax, 0.05)
    scales, means = codec.model.h_s(latents.z).chunk(2, dim=1)
    bits = codec.model.bits_y(latents.y, scales, means) + codec.model.entropy_bottleneck.bits(latents.z)
    mse = 255**2 * (codec.synthesise(latents.y) - batch.x).square().mean()
    torch.testing.assert_close(loss[0], bits[0] / 64**2 + 0.05 * mse)


def test_the_gradient_of_the_method_loss_is_numerically_right(codec, picture):
    """Along random directions in the latents, in float64."""
    model = copy.deepcopy(codec.model).double()
    with torch.no_grad():
        model.h_s[-1].bias[:12] += 1  # scales above their lower bound, where gradients are those of the value
    double = Codec(model)
    batch = codec.batch([picture(64, 64).double()])
    latents = double.analyse(batch.x)
    y, z = latents.y.requires_grad_(), latents.z.requires_grad_()

    def loss(y, z):
        relax = relaxation(rounding.make("ssl"), 0.7, [image_draws("x")])
        return method_loss(double, SynthesisTarget(batch), Latents(y, z), relax, 0.01).sum()

    gradients = torch.autograd.grad(loss(y, z), (y, z))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for gradient, (dy, dz) in zip(gradients, ((1, 0), (0, 1)), strict=True):
            direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
            h = 1e-6
            ahead = loss(y + dy * h * direction, z) if dy else loss(y, z + dz * h * direction)
            behind = loss(y - dy * h * direction, z) if dy else loss(y, z - dz * h * direction)
            assert ((ahead - behind) / (2 * h)).item() == pytest.approx((gradient * direction).sum().item(), rel=1e-3)


def test_hyper_latents_draw_their_random_numbers_before_latents_and_each_image_its_own(codec, picture):
    """The order of the draws decides every result."""
    latents = codec.analyse(codec.batch([picture(64, 64), picture(64, 64, 1)]).x)
    draws = [image_draws(name) for name in "ab"]
    relaxed = codec.relaxed(latents, relaxation(rounding.make("uniform"), 1.0, draws)).latents
    for i, name in enumerate("ab"):
        stream = random_stream(0, name, torch.device("cpu"))
        noise_z, noise_y = (torch.rand(v.shape[1:], generator=stream) - 0.5 for v in (latents.z, latents.y))
        torch.testing.assert_close(relaxed.z[i], latents.z[i] + noise_z, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(relaxed.y[i], latents.y[i] + noise_y, rtol=1e-4, atol=1e-5)


class Watch(TorchDispatchMode):
    """Counts the operators that run, and notes those that see a tensor on another device than the one watched."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device, self.operators, self.elsewhere = device, Counter(), set()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        result = operator(*args, **(kwargs or {}))
        self.operators[operator] += 1
        for tensor in tree_leaves((args, kwargs, result)):
            if isinstance(tensor, torch.Tensor) and tensor.dim() and tensor.numel() and tensor.device != self.device:
                self.elsewhere.add(operator)
        return result


COMPOSITES = ("ImplicitAutograd", "ExplicitAutograd", "ExplicitAutogradNonFunctional")
CUDA_KERNELS = ("CUDA", *(f"Composite{kind}" for kind in COMPOSITES))


def no_streams(monkeypatch):
    """Random numbers where tensors have no values."""
    draw = torch.rand
    monkeypatch.setattr(optimization, "random_stream", lambda seed, name, device: None)
    monkeypatch.setattr(torch, "rand", lambda shape, generator, device: draw(shape, device=device))


@pytest.mark.parametrize("strip", [None, 4])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("name", sorted(Rounding.registry))
def test_a_step_stays_on_its_device_and_waits_for_nothing(codec, picture, monkeypatch, name, draws, precision, strip):
    """On a device whose tensors have no values: whatever needs one on the host, as ``item`` does, fails."""
    meta = torch.device("meta")
    images = [("a", picture(60, 128)), ("b", picture(64, 120))]
    no_streams(monkeypatch)
    far = Codec(copy.deepcopy(codec.model), meta, precision)
    one = LatentOptimization(far, SubBatch(images, strip), Method(rounding.make(name), draws=draws), Plan(0.01, 3))
    one.step(0, one.loss(0))  # the first also makes the synthesis
    with Watch(meta) as watch:
        one.step(1, one.loss(1))
    assert not watch.elsewhere
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    if torch.version.cuda:
        assert not {op.name() for op in watch.operators if not any(has_kernel(op.name(), key) for key in CUDA_KERNELS)}
    with pytest.raises(RuntimeError, match="meta"):
        one.loss(2).sum().item()


WITHOUT_KERNEL = {
    f"aten::{name}" for name in ("detach", "alias", "empty", "empty_like", "empty_strided", "_unsafe_view")
}


@pytest.mark.parametrize(
    ("name", "images", "launches"), [("ste", 8, 210), ("ssl", 1, 250), ("ssl", 8, 265), ("ssl", 25, 300)]
)
def test_a_gpu_starts_about_as_many_kernels_for_a_step_as_is_documented(codec, monkeypatch, name, images, launches):
    """docs/gpu.md: a GPU waits where they take less time than their launches."""
    meta = torch.device("meta")
    no_streams(monkeypatch)
    monkeypatch.setitem(optimizers.OPTIMIZERS, "adam", optimizers.ON_GPU["adam"])
    far = Codec(copy.deepcopy(codec.model), meta, "bfloat16")
    pictures = [(str(i), torch.zeros(3, 128, 128)) for i in range(images)]
    one = LatentOptimization(far, SubBatch(pictures), Method(rounding.make(name)), Plan(0.01, 3))
    one.step(0, one.loss(0))
    with Watch(meta) as watch:
        one.step(1, one.loss(1))
    assert not watch.elsewhere
    started = {op: n for op, n in watch.operators.items() if not (op.is_view or op._schema.name in WITHOUT_KERNEL)}
    assert sum(started.values()) == pytest.approx(launches, abs=5)
