from __future__ import annotations

import re

import pytest
import torch
from compressai.models import (
    FactorizedPrior,
    JointAutoregressiveHierarchicalPriors,
    MeanScaleHyperprior,
    ScaleHyperprior,
)

from sgaplus.cli.compression import bundled
from sgaplus.codec.bitstream import Coder
from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import Hyperprior, centred_at_zero, identity, load_state, save_state, weights_sha256
from sgaplus.codec.latents import Latents
from sgaplus.errors import CodecError, DiskError

N, M = 8, 12


@pytest.fixture(scope="module")
def pair():
    """CompressAI's model with weights away from their initial values, and ours from its state dict."""
    torch.manual_seed(0)
    theirs = MeanScaleHyperprior(N, M).eval()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return theirs, Hyperprior.of(theirs.state_dict())


@pytest.mark.parametrize(
    ("transform", "shape"),
    [("g_a", (2, 3, 64, 128)), ("g_s", (2, M, 4, 8)), ("h_a", (2, M, 4, 8)), ("h_s", (2, N, 1, 2))],
)
def test_a_transform_and_its_gradient_equal_compressais(pair, transform, shape):
    results = []
    for model in pair:
        x = torch.rand(shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
        out = getattr(model, transform)(x)
        out.square().sum().backward()
        results.append((out.detach(), x.grad))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-4)


def test_bits_of_hyper_latents_and_their_gradient_equal_compressais(pair):
    theirs, ours = pair
    z = (torch.randn(3, N, 2, 5, generator=torch.Generator().manual_seed(2)) * 500).requires_grad_()
    channels = z.transpose(0, 1).reshape(N, 1, -1)
    bottleneck = theirs.entropy_bottleneck
    likelihood = bottleneck.likelihood_lower_bound(bottleneck._likelihood(channels)[0])
    bits = -torch.log2(likelihood.reshape(N, 3, 2, 5)).sum(dim=(0, 2, 3))
    assert (likelihood <= 1e-9).any(), "the bound must be met for this test to mean something"
    torch.testing.assert_close(ours.entropy_bottleneck.bits(z), bits, rtol=1e-4, atol=1e-3)
    (expected,) = torch.autograd.grad(bits.sum(), z)
    (gradient,) = torch.autograd.grad(ours.entropy_bottleneck.bits(z).sum(), z)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-3)


def test_bits_of_latents_and_their_gradients_equal_compressais(pair):
    theirs, ours = pair
    generator = torch.Generator().manual_seed(3)
    y, means = torch.randn(2, 2, M, 4, 4, generator=generator) * 5
    scales = torch.rand(2, M, 4, 4, generator=generator) * 2 - 0.2  # some below their bound
    inputs = [tensor.clone().requires_grad_() for tensor in (y, scales, means)]
    conditional = theirs.gaussian_conditional
    likelihood = conditional.likelihood_lower_bound(conditional._likelihood(*inputs))
    bits = -torch.log2(likelihood).sum(dim=(1, 2, 3))
    assert (likelihood <= 1e-9).any(), "the bound must be met for this test to mean something"
    torch.testing.assert_close(ours.bits_y(*inputs), bits)
    expected = torch.autograd.grad(bits.sum(), inputs)
    gradients = torch.autograd.grad(ours.bits_y(*inputs).sum(), inputs)
    torch.testing.assert_close(gradients, expected)


def test_medians_are_compressais(pair):
    theirs, ours = pair
    torch.testing.assert_close(ours.entropy_bottleneck.medians.flatten(), theirs.entropy_bottleneck.quantiles[:, 0, 1])


def test_refinement_does_not_import_compressai():
    """It takes seconds, which every refinement job would pay."""
    import subprocess
    import sys

    code = "import sys, sgaplus.refinement.engine; assert 'compressai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_file_is_a_plain_state_dict_of_compressai(tmp_path, trained, codec, picture):
    path = tmp_path / "model.pth"
    save_state(trained.state_dict(), path)
    theirs = MeanScaleHyperprior.from_state_dict(torch.load(path, weights_only=True)).eval()
    x = picture(64, 64)[None]
    ours = Codec.load(path)
    with torch.no_grad():
        torch.testing.assert_close(theirs(x)["x_hat"], ours.synthesise(ours.round(ours.analyse(x)).y))


def write_other_architecture(path):
    torch.save(FactorizedPrior(8, 8).state_dict(), path)


def write_scales_alone(path):
    torch.save(ScaleHyperprior(8, 12).state_dict(), path)


def write_autoregressive(path):
    torch.save(JointAutoregressiveHierarchicalPriors(8, 12).state_dict(), path)


def write_mixed_widths(path):
    state = MeanScaleHyperprior(8, 12).state_dict()
    state["g_a.2.weight"] = torch.zeros(9, 8, 5, 5)
    torch.save(state, path)


def write_tensor(path):
    torch.save(torch.zeros(3), path)


def write_whole_module(path):
    torch.save(torch.nn.Linear(2, 2), path)


def write_text(path):
    path.write_text("a model, honestly")


def write_nothing(path):
    path.write_bytes(b"")


def write_half(path):
    save_state(MeanScaleHyperprior(8, 12).state_dict(), path)
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    "write",
    [
        write_other_architecture,
        write_scales_alone,
        write_autoregressive,
        write_mixed_widths,
        write_tensor,
        write_whole_module,
        write_text,
        write_nothing,
        write_half,
    ],
)
def test_a_file_that_is_no_such_model_is_refused_by_name(tmp_path, write):
    path = tmp_path / "other.pth"
    write(path)
    with pytest.raises(CodecError) as error:
        load_state(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert "state dict" in str(error.value)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(CodecError, match=r"absent\.pth: no such model file"):
        load_state(tmp_path / "absent.pth")


def refusal(path, state) -> str:
    """The error, in one line, that ends the reading of a file of this content."""
    torch.save(state, path)
    with pytest.raises(CodecError) as error:
        load_state(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_autoregressive_model_is_told_from_ours(tmp_path):
    """It has all the weights that ours has, in the same shapes."""
    state = JointAutoregressiveHierarchicalPriors(N, M).state_dict()
    message = refusal(tmp_path / "mbt2018.pth", state)
    assert "(context_prediction.weight belongs to an autoregressive model, such as mbt2018)" in message


def test_a_weight_that_the_architecture_lacks_is_named(tmp_path):
    state = MeanScaleHyperprior(N, M).state_dict() | {"g_a.7.beta": torch.ones(M)}
    assert "g_a.7.beta does not belong to it" in refusal(tmp_path / "more.pth", state)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["g_s.0.weight", "entropy_bottleneck.quantiles", "g_a.1.beta_reparam.pedestal"])
def test_values_that_are_not_finite_are_refused(tmp_path, name, value):
    state = MeanScaleHyperprior(N, M).state_dict()
    state[name].view(-1)[-1] = value
    message = refusal(tmp_path / "broken.pth", state)
    assert f"{name} holds values that are not finite in float32. Name a model whose weights are" in message


def test_values_beyond_float32_are_refused(tmp_path):
    state = MeanScaleHyperprior(N, M).double().state_dict()
    state["h_a.0.bias"][0] = 1e300
    assert "h_a.0.bias holds values that are not finite in float32" in refusal(tmp_path / "large.pth", state)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_weights_that_are_not_floating_are_refused(tmp_path, dtype):
    state = MeanScaleHyperprior(N, M).state_dict()
    state["g_s.2.bias"] = state["g_s.2.bias"].to(dtype)
    message = refusal(tmp_path / "other.pth", state)
    assert f"g_s.2.bias holds {dtype}. Name a model whose weights are dense tensors of finite float16" in message


UNFIT = {
    "meta": (lambda x: x.to("meta"), "has no values (its device is 'meta')"),
    "coordinates": (lambda x: x.to_sparse(), "is quantised, nested or sparse"),
    "compressed rows": (lambda x: x.flatten(1).to_sparse_csr(), "is quantised, nested or sparse"),
    "quantised": (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8), "is quantised, nested or sparse"),
    "nested": (lambda x: torch.nested.nested_tensor([x[0], x[1]]), "is quantised, nested or sparse"),
    "repeated": (lambda x: torch.zeros(1).expand(x.shape), "and the file does not hold so many values"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # some of these kinds are beta or deprecated
@pytest.mark.parametrize("kind", UNFIT)
@pytest.mark.parametrize("name", ["g_a.0.weight", "h_s.4.weight"])
def test_tensors_that_do_not_simply_hold_their_values_are_refused(tmp_path, name, kind):
    make, problem = UNFIT[kind]
    state = MeanScaleHyperprior(N, M).state_dict()
    state[name] = make(state[name])
    message = refusal(tmp_path / "other.pth", state)
    assert name in message
    assert problem in message


@pytest.mark.parametrize("shape", [(), (0, 3, 5, 5), (10**18, 0, 5, 5), (3, 5, 5), (N,)])
@pytest.mark.parametrize("name", ["g_a.0.weight", "g_a.6.weight"])
def test_an_absurd_shape_is_refused(tmp_path, name, shape):
    state = MeanScaleHyperprior(N, M).state_dict() | {name: torch.empty(shape)}
    assert f"has shape {shape} where" in refusal(tmp_path / "odd.pth", state)


def test_a_small_file_that_claims_a_huge_model_costs_no_memory(tmp_path):
    with torch.device("meta"):
        huge = Hyperprior(10_000, 10_000)
    state = {name: torch.zeros(1).expand(weight.shape) for name, weight in huge.state_dict().items()}
    assert "the file does not hold so many values" in refusal(tmp_path / "huge.pth", state)


PAST = {
    "today": lambda name: name,
    "lists": lambda name: re.sub(r"(matrices|biases|factors)\.", r"_\1.", name),
    "numbered": lambda name: re.sub(r"matrices\.", "_matrix", re.sub(r"(bias|factor)e?s\.", r"_\1", name)),
    "data parallel": lambda name: f"module.{name}",
}


@pytest.mark.parametrize("updated", [False, True], ids=["fresh", "updated"])
@pytest.mark.parametrize("rename", PAST.values(), ids=PAST)
def test_published_weights_load_by_the_names_of_their_time(tmp_path, rename, updated):
    """With all that CompressAI stores beside the weights."""
    theirs = MeanScaleHyperprior(N, M)
    if updated:
        theirs.update()
    old = {rename(name): value for name, value in theirs.state_dict().items()}
    torch.save(old, tmp_path / "old.pth.tar")
    loaded = load_state(tmp_path / "old.pth.tar")
    assert set(loaded) == set(theirs.state_dict())
    MeanScaleHyperprior.from_state_dict(loaded)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_precision_is_read_as_float32(tmp_path, dtype):
    theirs = MeanScaleHyperprior(N, M).to(dtype)
    torch.save(theirs.state_dict(), tmp_path / "model.pth")
    loaded = load_state(tmp_path / "model.pth")
    assert loaded["g_a.0.weight"].dtype == torch.float32
    assert torch.equal(loaded["g_a.0.weight"], theirs.g_a[0].weight.detach().float())


def test_parameters_are_read_as_plain_tensors(tmp_path):
    theirs = MeanScaleHyperprior(N, M)
    torch.save(theirs.state_dict() | dict(theirs.named_parameters()), tmp_path / "model.pth")
    assert not any(tensor.requires_grad for tensor in load_state(tmp_path / "model.pth").values())


def test_weights_in_half_precision_are_read_as_float32(trained, tmp_path):
    half = {name: v.half() if v.is_floating_point() else v for name, v in trained.state_dict().items()}
    torch.save(half, tmp_path / "half.pth")
    loaded = load_state(tmp_path / "half.pth")
    assert loaded["g_a.0.weight"].dtype == torch.float32
    torch.testing.assert_close(loaded["g_a.0.weight"], trained.g_a[0].weight.detach(), rtol=1e-3, atol=1e-6)


def in_another_order(state):
    return dict(reversed(state.items()))


def as_parameters(state):
    return {name: torch.nn.Parameter(v, requires_grad=v.is_floating_point()) for name, v in state.items()}


def channels_last(state):
    return {name: v.to(memory_format=torch.channels_last) if v.dim() == 4 else v for name, v in state.items()}


def as_views(state):
    """Each a part of a tensor twice as large."""
    return {name: torch.stack([v, v], dim=-1)[..., 1] for name, v in state.items()}


@pytest.mark.parametrize("change", [in_another_order, as_parameters, channels_last, as_views])
def test_equal_weights_make_equal_files(trained, tmp_path, change):
    state = trained.state_dict()
    one, other = tmp_path / "model.pth", tmp_path / "folder" / "another name.pt"
    save_state(state, one)
    save_state(change(state), other)
    assert one.read_bytes() == other.read_bytes()
    read = torch.load(other, weights_only=True)
    assert all(torch.equal(read[name], value) for name, value in state.items())
    MeanScaleHyperprior.from_state_dict(read)


def test_other_weights_make_another_file(trained, tmp_path):
    state = trained.state_dict()
    save_state(state, tmp_path / "one.pth")
    save_state(state | {"g_s.6.bias": state["g_s.6.bias"] + 1}, tmp_path / "other.pth")
    assert (tmp_path / "one.pth").read_bytes() != (tmp_path / "other.pth").read_bytes()


def test_a_full_disk_is_told_and_leaves_nothing(small_disk):
    with pytest.raises(DiskError, match=r"model\.pth: no room left on this disk\. Free some, or use a larger one"):
        save_state(MeanScaleHyperprior(32, 48).state_dict(), small_disk / "model.pth")
    assert list(small_disk.iterdir()) == []


def test_the_identity_of_a_bundled_model_is_that_of_its_bitstreams():
    """Bitstreams out there carry it."""
    model = Hyperprior.of(load_state(bundled()[0].path))
    assert model.identity.hex() == "7be2d4d00fc02cf1"


def test_the_hash_of_weights_is_that_of_their_values(trained, tmp_path):
    half = {name: v.half() if v.is_floating_point() else v for name, v in trained.state_dict().items()}
    save_state(half, tmp_path / "half.pth")
    single = load_state(tmp_path / "half.pth")
    expected = weights_sha256(single)
    assert re.fullmatch("[0-9a-f]{64}", expected)
    for same in (half, in_another_order(single), as_parameters(single), channels_last(single), as_views(single)):
        assert weights_sha256(same) == expected
    fresh_tables = MeanScaleHyperprior.from_state_dict(single)
    fresh_tables.update(force=True, scale_table=[1.0, 2.0])
    assert weights_sha256(fresh_tables.state_dict()) == expected


def test_the_hash_of_weights_differs_where_any_weight_does(trained):
    state = trained.state_dict()
    hashes = {weights_sha256(state)}
    weights = dict(trained.named_parameters())
    for name in weights:
        changed = state[name].clone()
        changed.view(-1)[-1] += 1
        hashes.add(weights_sha256(state | {name: changed}))
    assert len(hashes) == 1 + len(weights)


def test_a_model_carries_the_hash_of_what_it_is_made_of(trained):
    state = trained.state_dict()
    model = Hyperprior.of(state)
    assert model.weights_sha256 == weights_sha256(state)
    assert model.identity == identity({name: state[name] for name in Hyperprior(1, 1).state_dict()})


def test_a_model_centred_at_zero_rounds_hyper_latents_to_integers_and_codes_them(trained, picture):
    state = trained.state_dict()
    codec = Codec(Hyperprior.of(centred_at_zero(state)))
    assert Hyperprior.of(state).entropy_bottleneck.medians.abs().max() > 0.1
    latents = codec.latents_of(picture(70, 90))
    rounded = codec.round(Latents(latents.y[None], latents.z[None]))
    assert rounded.z.equal(latents.z[None].round())
    coder = Coder(codec)
    assert coder.decode_latents(coder.encode(latents, 90, 70)).z.equal(latents.z.round())
    assert codec.model.identity != Hyperprior.of(state).identity


def test_the_quantiles_of_a_model_centred_at_zero_lie_around_it():
    centred = centred_at_zero({"entropy_bottleneck.quantiles": torch.tensor([[[1.0, 2, 3]], [[-4, -1, 5]]])})
    assert centred["entropy_bottleneck.quantiles"].tolist() == [[[0, 0, 3]], [[-4, 0, 5]]]
