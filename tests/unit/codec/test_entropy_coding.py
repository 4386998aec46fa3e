from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgaplus.codec import entropy_coding
from sgaplus.codec.entropy_coding import ExactHyperSynthesis, Tables, scale_indexes, scale_table, tables
from sgaplus.errors import BitstreamError, CodecError

FUZZ = settings(max_examples=100, deadline=None, database=None)


@pytest.fixture(scope="module")
def coding(codec) -> Tables:
    return tables(codec.model.entropy_bottleneck)


@pytest.fixture(scope="module")
def z(codec):
    """Rounded hyper-latents (8, 3, 5), livelier than the model's own."""
    symbols = torch.randint(-6, 7, (8, 3, 5), generator=torch.Generator().manual_seed(0))
    return symbols + codec.model.entropy_bottleneck.medians[0]


def test_the_tables_are_compressais_own(coding, trained):
    """Entries differ by the units that float32 loses, and an end by the tail mass that it misplaces."""
    for model, rows in ((trained.gaussian_conditional, slice(0, 64)), (trained.entropy_bottleneck, slice(64, None))):
        assert coding.offsets[rows] == model.offset.tolist()
        assert coding.lengths[rows] == model.cdf_length.tolist()
        for ours, theirs in zip(coding.cdfs[rows], model.quantized_cdf, strict=True):
            escapes = [int(cdf[len(ours) - 1] - cdf[len(ours) - 2]) for cdf in (torch.tensor(ours), theirs)]
            assert (torch.tensor(ours) - theirs[: len(ours)]).abs().max() <= 4 + abs(escapes[0] - escapes[1])
    torch.testing.assert_close(torch.tensor(scale_table()), trained.gaussian_conditional.scale_table)


def test_every_table_is_a_distribution(coding):
    for cdf in coding.cdfs:
        assert (cdf[0], cdf[-1]) == (0, 2**16)
        assert (torch.tensor(cdf).diff() > 0).all()


def test_a_scale_takes_the_nearest_gaussian():
    table = torch.tensor(scale_table(), dtype=torch.float64)
    assert scale_indexes(table).tolist() == list(range(64))
    assert scale_indexes(table * 1.05).tolist() == list(range(64))
    assert scale_indexes(table / 1.05).tolist() == list(range(64))
    assert scale_indexes(torch.tensor([-1.0, 0.0, 1e9])).tolist() == [0, 0, 63]


def test_untrained_quantiles_are_an_error(codec):
    bottleneck = copy.deepcopy(codec.model.entropy_bottleneck)
    bottleneck.quantiles[0, 0, 2] = 1e6
    with pytest.raises(CodecError, match=r"quantiles.*Train them"):
        tables(bottleneck)


def test_entropy_parameters_are_those_of_the_model(codec, z):
    indexes, means = ExactHyperSynthesis(codec.model.h_s)(z)
    scales, float_means = codec.model.h_s(z[None]).chunk(2, dim=1)
    torch.testing.assert_close(means, float_means[0], atol=1e-3, rtol=0)
    assert (indexes.int() - scale_indexes(scales[0]).int()).abs().max() <= 1


def test_no_order_of_summation_changes_a_bit(codec, z):
    """Hidden channels in another order: the same sums in another order."""
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    other = copy.deepcopy(codec.model.h_s)
    other[0].weight.data, other[0].bias.data = other[0].weight[:, order], other[0].bias[order]
    other[2].weight.data = other[2].weight[order]
    assert not torch.equal(other(z[None]), codec.model.h_s(z[None]))
    for ours, theirs in zip(ExactHyperSynthesis(codec.model.h_s)(z), ExactHyperSynthesis(other)(z), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_layout_and_strips_change_nothing(codec, z, threads, monkeypatch):
    expected = ExactHyperSynthesis(codec.model.h_s)(z)
    before = torch.get_num_threads()
    monkeypatch.setattr(entropy_coding, "STRIP", 16 * 5 * threads)  # as many rows of hyper-latents
    try:
        torch.set_num_threads(threads)
        found = ExactHyperSynthesis(copy.deepcopy(codec.model.h_s).to(memory_format=torch.channels_last))(z)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_what_is_too_large_for_exact_arithmetic_is_an_error(codec, z):
    with pytest.raises(BitstreamError, match="too large to compute with exactly"):
        ExactHyperSynthesis(codec.model.h_s)(z * 1e6)


@FUZZ
@given(st.data())
def test_symbols_come_back_whatever_they_are(coding, data):
    """Also few of them, and all outside their tables."""
    largest = data.draw(st.sampled_from([1, 30, entropy_coding.LARGEST_SYMBOL]))
    integers = st.integers(-largest, largest)
    symbols = torch.tensor(data.draw(st.lists(integers, min_size=1, max_size=50)), dtype=torch.int32)
    index = st.integers(0, len(coding.cdfs) - 1)
    indexes = torch.tensor(data.draw(st.lists(index, min_size=len(symbols), max_size=len(symbols))))
    streams = entropy_coding.encode(symbols, indexes, coding)
    assert torch.equal(entropy_coding.decode(streams, indexes, coding), symbols)


def test_symbols_beyond_one_block_come_back(coding, monkeypatch):
    monkeypatch.setattr(entropy_coding, "BLOCK", 1000)
    symbols = torch.randint(-9, 9, (5, 30, 21), generator=torch.Generator().manual_seed(0)).int()
    indexes = torch.randint(0, 64, symbols.shape, generator=torch.Generator().manual_seed(1))
    streams = entropy_coding.encode(symbols, indexes, coding)
    assert len(streams) == 4
    assert torch.equal(entropy_coding.decode(streams, indexes, coding), symbols)


def test_symbols_cost_their_information(coding):
    """And those that are coded after them, to make room, cost nothing."""
    indexes = torch.full((4000,), 30)
    scale = scale_table()[30]
    symbols = torch.round(torch.randn(4000, generator=torch.Generator().manual_seed(0)) * scale).int()
    cdf = torch.tensor(coding.cdfs[30], dtype=torch.float64)
    bits = -(cdf.diff() / 2**16).log2()[symbols - coding.offsets[30]].sum()
    (stream,) = entropy_coding.encode(symbols, indexes, coding)
    assert 0 < len(stream) - bits / 8 < 9
    (alone,) = entropy_coding.encode(symbols[:1], indexes[:1], coding)
    assert len(alone) == 8


@FUZZ
@given(st.binary(max_size=400), st.integers(1, 300), st.integers(0, 63))
def test_streams_of_nonsense_are_decoded_to_nonsense_or_refused(coding, stream, count, index):
    """Without reading beyond their end, which the coder itself would."""
    indexes = torch.full((count,), index)
    try:
        symbols = entropy_coding.decode([stream], indexes, coding)
    except BitstreamError:
        return
    assert symbols.shape == (count,)
