from __future__ import annotations

import copy
from collections import Counter
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sgaplus.codec.frozen import Codec
from sgaplus.codec.latents import Latents
from sgaplus.refinement import latent_optimization as optimization
from sgaplus.refinement import optimizers, rounding
from sgaplus.refinement.draws import DRAWS, IndependentDraws, together
from sgaplus.refinement.latent_optimization import LatentOptimization, SubBatch, method_loss, random_stream, relaxation
from sgaplus.refinement.low_precision import SynthesisTarget
from sgaplus.refinement.method import Method, Plan
from sgaplus.refinement.rounding import Rounding
from sgaplus.refinement.step_graph import CAPTURE, advancing


def draw_of(*names):
    cpu = torch.device("cpu")
    return partial(together, [IndependentDraws(random_stream(0, name, cpu), cpu) for name in names])


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
    relax = relaxation(Exact(), 1.0, draw_of("x"))
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
        relax = relaxation(rounding.make("ssl"), 0.7, draw_of("x"))
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
    relaxed = codec.relaxed(latents, relaxation(rounding.make("uniform"), 1.0, draw_of(*"ab"))).latents
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


def nothing_again(warm_up, step):
    """Instead of a graph, whose kernels are not counted."""
    loss = warm_up()
    return lambda: loss


def calling_again(warm_up, step):
    """Instead of a graph: the step's own code, which is what a graph records."""
    warm_up()
    return step


@pytest.mark.parametrize("graph", [False, True], ids=["ordinary", "graph"])
@pytest.mark.parametrize("strip", [None, 4])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("name", sorted(Rounding.registry))
def test_a_step_stays_on_its_device_and_waits_for_nothing(
    codec, picture, monkeypatch, name, draws, precision, strip, graph
):
    """On a device whose tensors have no values: whatever needs one on the host, as ``item`` does, fails."""
    method = Method(rounding.make(name), draws=draws)
    one, watch = a_step_without_values(codec, picture, monkeypatch, method, precision, strip, graph)
    assert not watch.elsewhere
    with pytest.raises(RuntimeError, match="meta"):
        one.loss(3).sum().item()


@pytest.fixture
def _fused_adam_without_values():
    """torch lacks this for a learning rate in a tensor, and has it for a number."""
    library = torch.library.Library("aten", "IMPL")
    library.impl("_fused_adam_.tensor_lr", lambda *arguments, **options: None, "Meta")
    yield
    library._destroy()


@pytest.mark.usefixtures("_fused_adam_without_values")
@pytest.mark.parametrize("optimizer", [*optimizers.OPTIMIZERS, "fused"])
def test_nor_does_an_optimiser_wait_in_a_graph(codec, picture, monkeypatch, optimizer):
    monkeypatch.setitem(optimizers.OPTIMIZERS, "fused", optimizers.FusedAdam)
    method = Method(rounding.make("ssl"), optimizer=optimizer)
    _, watch = a_step_without_values(codec, picture, monkeypatch, method, "bfloat16", None, graph=True)
    assert not watch.elsewhere


def a_step_without_values(codec, picture, monkeypatch, method, precision, strip, graph):
    """An optimisation on tensors without values, and what its third step did; the first also makes the synthesis."""
    meta = torch.device("meta")
    monkeypatch.setitem(CAPTURE, "meta", calling_again)
    images = [("a", picture(60, 128)), ("b", picture(64, 120))]
    no_streams(monkeypatch)
    far = Codec(copy.deepcopy(codec.model), meta, precision)
    one = LatentOptimization(far, SubBatch(images, strip), method, Plan(0.01, 3, cuda_graphs=graph))
    advance = advancing(one)
    advance(0)
    advance(1)
    assert not graph or advance.replay
    with Watch(meta) as watch:
        advance(2)
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    if torch.version.cuda:
        assert not {op.name() for op in watch.operators if not any(has_kernel(op.name(), key) for key in CUDA_KERNELS)}
    return one, watch


WITHOUT_KERNEL = {
    f"aten::{name}" for name in ("detach", "alias", "empty", "empty_like", "empty_strided", "_unsafe_view")
}


@pytest.mark.usefixtures("_fused_adam_without_values")
@pytest.mark.parametrize("graph", [False, True], ids=["ordinary", "graph"])
@pytest.mark.parametrize(
    ("name", "images", "launches", "beside"),
    [("ste", 8, 210, 2), ("ssl", 1, 250, 8), ("ssl", 8, 265, 22), ("ssl", 25, 300, 56)],
)
def test_a_gpu_starts_about_as_many_kernels_for_a_step_as_is_documented(
    codec, monkeypatch, name, images, launches, beside, graph
):
    """docs/gpu.md: a GPU waits where they take less time than their launches. Some are started beside a graph."""
    meta = torch.device("meta")
    no_streams(monkeypatch)
    monkeypatch.setitem(optimizers.OPTIMIZERS, "adam", optimizers.ON_GPU["adam"])
    monkeypatch.setitem(CAPTURE, "meta", nothing_again)
    far = Codec(copy.deepcopy(codec.model), meta, "bfloat16")
    pictures = [(str(i), torch.zeros(3, 128, 128)) for i in range(images)]
    one = LatentOptimization(far, SubBatch(pictures), Method(rounding.make(name)), Plan(0.01, 3, cuda_graphs=graph))
    advance = advancing(one)
    advance(0)
    advance(1)
    with Watch(meta) as watch:
        advance(2)
    assert not watch.elsewhere
    started = {op: n for op, n in watch.operators.items() if not (op.is_view or op._schema.name in WITHOUT_KERNEL)}
    assert sum(started.values()) == (beside if graph else pytest.approx(launches, abs=5))
