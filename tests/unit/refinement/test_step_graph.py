"""A step as a graph, without a GPU: on a CPU a stand-in records what a step computes and computes it again."""

from __future__ import annotations

import logging
from unittest.mock import MagicMock, call, create_autospec

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sgaplus.codec.frozen import Codec
from sgaplus.refinement import memory, rounding, step_graph
from sgaplus.refinement.draws import DRAWS
from sgaplus.refinement.engine import refine
from sgaplus.refinement.latent_optimization import LatentOptimization, SubBatch
from sgaplus.refinement.memory import StepMemory
from sgaplus.refinement.method import Method, Plan
from sgaplus.refinement.optimizers import OPTIMIZERS, FusedAdam
from sgaplus.refinement.rounding import Rounding, TwoClass

SSL = rounding.make("ssl")


class Recording(TorchDispatchMode):
    """Records operators with the very tensors that they read and write; as a GPU's graph, nothing of Python.

    As a capture, it ends with every tensor as it was, refuses what needs a value on the host, and draws no numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.overwritten = [], []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operator is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        assert torch.Tag.nondeterministic_seeded not in operator.tags
        written = [
            kwargs.get(argument.name, args[i] if i < len(args) else None)
            for i, argument in enumerate(operator._schema.arguments)
            if argument.is_write
        ]
        self.overwritten += [(tensor, tensor.clone()) for tensor in tree_leaves(written) if tensor is not None]
        result = operator(*args, **kwargs)
        self.calls.append((operator, args, kwargs, result))
        return result

    @torch.no_grad()
    def undo(self):
        for tensor, before in reversed(self.overwritten):
            tensor.copy_(before)

    @torch.no_grad()
    def replay(self):
        for operator, args, kwargs, result in self.calls:
            for old, new in zip(tree_leaves(result), tree_leaves(operator(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def recorded(warm_up, step):
    """A capture for a CPU."""
    warm_up()
    recording = Recording()
    try:
        with recording:
            loss = step()
    finally:
        recording.undo()

    def replay():
        recording.replay()
        return loss

    return replay


@pytest.fixture
def graphs(monkeypatch):
    """CUDA graphs on a CPU, and batches; returns how many steps were replayed."""
    monkeypatch.delitem(memory.LARGEST_SUB_BATCH, "cpu")
    replayed = []

    def capture(warm_up, step):
        replay = recorded(warm_up, step)
        return lambda: replayed.append(1) or replay()

    monkeypatch.setitem(step_graph.CAPTURE, "cpu", capture)
    return replayed


def both(codec, images, method, steps=60, record_at=(7, 53)):
    """The outcomes of ordinary steps and of graphs."""
    plans = [Plan(0.01, steps, frozenset(record_at), cuda_graphs=graphs) for graphs in (False, True)]
    return zip(*(refine(codec, images, method, plan) for plan in plans), strict=True)


def assert_same(pairs, tolerance=0.0):
    for ordinary, graphed in pairs:
        for name in ("y", "z"):
            one, other = getattr(ordinary.latents, name), getattr(graphed.latents, name)
            torch.testing.assert_close(other, one, rtol=tolerance, atol=tolerance)
        for one, other in zip(ordinary.rows, graphed.rows, strict=True):
            losses = [
                [row[name] for name in ("step", "method_loss", "true_loss", "bpp", "mse")] for row in (one, other)
            ]
            assert losses[1] == pytest.approx(losses[0], rel=tolerance, abs=0)


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("name", sorted(Rounding.registry))
def test_replayed_steps_are_ordinary_ones_to_the_last_bit(codec, images, graphs, name, draws):
    """In bfloat16, whose correction in step 50 the graph must see, with temperature and learning rate that change."""
    low = Codec(codec.model, precision="bfloat16")
    method = Method(rounding.make(name), lr_schedule="cosine", draws=draws, steps=100)
    assert_same(both(low, images[:2], method))
    assert len(graphs) == 60 - 4  # but for steps 0 and 50, which correct, and 7 and 53, which are measured


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_with_every_optimiser_too(codec, images, graphs, optimizer, precision):
    """SGD's product of gradient and learning rate may be rounded by itself, if the latter is a tensor."""
    method = Method(SSL, lr_schedule="cosine", optimizer=optimizer, steps=100)
    low = Codec(codec.model, precision=precision)
    assert_same(both(low, images[:2], method), 1e-5 if optimizer == "sgd" else 0)
    assert graphs


def test_with_the_fused_adam_up_to_a_learning_rate_in_float32(codec, images, graphs, monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "adam", FusedAdam)
    assert_same(both(codec, images[:2], Method(SSL, lr_schedule="cosine", steps=100)), 1e-3)
    assert graphs


def test_in_strips_too(codec, picture, graphs):
    plans = [Plan(0.01, 10), Plan(0.01, 10, cuda_graphs=True)]
    batch = SubBatch([("a", picture(128, 64))], strip=4)
    ordinary, graphed = (LatentOptimization(codec, batch, Method(SSL), plan) for plan in plans)
    advance = step_graph.advancing(graphed)
    for step in range(10):
        assert advance(step).equal(ordinary.advance(step))
    assert graphed.latents.y.equal(ordinary.latents.y)
    assert len(graphs) == 9


def test_without_the_key_or_on_another_device_steps_are_ordinary(codec, picture):
    for wanted in (False, True):
        one = LatentOptimization(
            codec, SubBatch([("a", picture(64, 64))]), Method(SSL), Plan(0.01, 1, cuda_graphs=wanted)
        )
        assert step_graph.advancing(one) == one.advance


class ReadsTheTemperature(TwoClass):
    """A rounding whose host decides by the temperature."""

    def log_odds(self, d):
        return torch.logit(d)

    def relax(self, v, tau, draw):
        return super().relax(v, max(tau, 0.3), draw)


ReadsTheTemperature.name = "reads"  # and not by the class, which would make it one of the library's


def failing_at_its_end(warm_up, step):
    recorded(warm_up, step)
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize(("kind", "capture"), [(ReadsTheTemperature, recorded), (rounding.SSL, failing_at_its_end)])
def test_what_cannot_be_captured_is_refined_by_ordinary_steps(codec, images, monkeypatch, caplog, kind, capture, draws):
    """To the last bit: nothing was moved, and no number drawn, before the failure."""
    monkeypatch.setitem(step_graph.CAPTURE, "cpu", capture)
    with caplog.at_level(logging.WARNING):
        assert_same(both(codec, images[:1], Method(kind(), draws=draws), 12, ()))
    (said,) = caplog.records
    assert said.getMessage() == (
        f"rounding {kind.name}: its steps can't be captured as a CUDA graph (RuntimeError: operation not permitted "
        "when stream is capturing); they are taken without one"
    )


def test_a_sub_batch_whose_graph_does_not_fit_is_halved(codec, images, monkeypatch, caplog, graphs):
    capture, of_one = step_graph.CAPTURE["cpu"], []

    def full(warm_up, step):
        if len(warm_up()) > 1:
            raise torch.OutOfMemoryError
        of_one.append(1)
        return capture(warm_up, step)

    monkeypatch.setitem(step_graph.CAPTURE, "cpu", full)
    alone = [refine(codec, [image], Method(SSL), Plan(0.01, 6))[0] for image in images[:2]]
    together = refine(codec, images[:2], Method(SSL), Plan(0.01, 6, cuda_graphs=True))
    assert_same(zip(alone, together, strict=True))
    assert len(of_one) == 2
    assert "out of memory with 2 image(s)" in caplog.text


def test_with_graphs_half_as_many_images_are_expected_to_fit(codec, picture, graphs, monkeypatch):
    """The graph keeps its memory, and ordinary steps between replays take as much again."""
    monkeypatch.setattr(StepMemory, "bytes_per_pixel", lambda self, method: 100.0)
    images = [(str(i), picture(64, 64)) for i in range(8)]

    def sizes(wanted):
        plan = Plan(0.01, 1, memory_bytes=8 * 100 * 64 * 64, cuda_graphs=wanted)
        return [len(batch.images) for batch in StepMemory(codec).sub_batches(images, Method(SSL), plan)]

    monkeypatch.setattr(memory, "STEP_BYTES_BOUND", 10**6)
    assert (sizes(False), sizes(True)) == ([8], [4, 4])


@pytest.fixture
def cuda(monkeypatch):
    """What the capture calls of CUDA, in order."""
    calls = MagicMock()
    calls.CUDAGraph.return_value = create_autospec(torch.cuda.CUDAGraph, instance=True)
    calls.attach_mock(calls.CUDAGraph.return_value, "graph")
    calls.graph_pool_handle.return_value = (0, 1)
    calls.current_device.return_value = 0
    for name in (
        *("CUDAGraph", "Stream", "stream", "current_stream", "synchronize", "empty_cache", "graph_pool_handle"),
        *("current_device", "get_sync_debug_mode", "set_sync_debug_mode"),
    ):
        monkeypatch.setattr(torch.cuda, name, getattr(calls, name))
    calls.close.side_effect = RuntimeError("endAllocatePool: not currently recording to mempool_id")
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", calls.close)
    monkeypatch.setattr(torch._C, "_cuda_releasePool", calls.release)
    step_graph._capture_stream.cache_clear()
    yield calls
    step_graph._capture_stream.cache_clear()


def named(calls, *names):
    return [each for each in calls.mock_calls if each[0] in names]


def test_the_warm_up_may_not_wait_and_comes_before_the_capture_and_capture_before_replays(cuda):
    loss = torch.zeros(2)
    replay = step_graph.on_gpu(cuda.warm_up, lambda: cuda.step() and loss)
    assert replay() is replay() is loss
    mode = cuda.get_sync_debug_mode.return_value
    assert named(
        cuda, "set_sync_debug_mode", "warm_up", "graph.capture_begin", "step", "graph.capture_end", "graph.replay"
    ) == [
        call.set_sync_debug_mode("error"),
        call.warm_up(),
        call.set_sync_debug_mode(mode),
        call.graph.capture_begin((0, 1)),
        call.step(),
        call.graph.capture_end(),
        call.graph.replay(),
        call.graph.replay(),
    ]
    assert not named(cuda, "close", "release")


def test_a_warm_up_that_waits_leaves_the_mode_as_it_was_and_begins_no_capture(cuda):
    cuda.warm_up.side_effect = RuntimeError("called a synchronizing CUDA operation")
    with pytest.raises(RuntimeError, match="synchronizing"):
        step_graph.on_gpu(cuda.warm_up, cuda.step)
    assert cuda.set_sync_debug_mode.mock_calls[-1] == call(cuda.get_sync_debug_mode.return_value)
    assert not cuda.graph.capture_begin.called


def test_a_capture_that_cuda_rejects_leaves_no_pool_open(cuda):
    """torch leaves it open where ``capture_end`` fails, and its next lack of memory would be an internal error."""
    cuda.graph.capture_end.side_effect = torch.AcceleratorError("operation failed due to a previous error", 901)
    cuda.close.side_effect = None
    with pytest.raises(torch.AcceleratorError):
        step_graph.on_gpu(cuda.warm_up, cuda.step)
    assert named(cuda, "close", "release") == [call.close(0, (0, 1)), call.release(0, (0, 1))]


def test_a_step_that_fails_ends_its_capture_which_closes_the_pool(cuda):
    cuda.step.side_effect = torch.OutOfMemoryError
    with pytest.raises(torch.OutOfMemoryError):
        step_graph.on_gpu(cuda.warm_up, cuda.step)
    assert cuda.graph.capture_end.called
    assert not cuda.release.called
