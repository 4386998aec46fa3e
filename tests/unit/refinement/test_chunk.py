"""A job's refinements: what is computed, what is kept, what records say."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

import pytest
import torch

from sgaplus import records
from sgaplus.codec.bitstream import Coder
from sgaplus.codec.hyperprior import save_state
from sgaplus.data.index import IndexedImage
from sgaplus.refinement import memory
from sgaplus.refinement.chunk import Chunk, Engine
from sgaplus.refinement.kept import Result, Store
from sgaplus.refinement.measurements import NonFiniteLossError
from sgaplus.refinement.step_graph import CAPTURE
from sgaplus.refinement.task import Refinement

SETTINGS = {
    "rounding": "ssl",
    "parameters": {},
    "tau_max": 1.0,
    "cooling": 2.0,
    "lr": 5e-3,
    "lr_schedule": "constant",
    "optimizer": "adam",
    "draws": "independent",
    "steps": 2000,
}
SSL = Refinement("pictures", "low", 0.05, "ssl", "ssl", 0, SETTINGS, steps=4, record={3})


@dataclass(frozen=True)
class Picture(IndexedImage):
    """An image of the index whose bytes need no file."""

    def content(self) -> bytes:
        return pnm(self.name)


def pnm(name: str) -> bytes:
    """A picture of 64x64 pixels, other ones for every name."""
    seed = int.from_bytes(name.encode(), "little") % 2**32
    coarse = torch.rand((1, 3, 4, 4), generator=torch.Generator().manual_seed(seed))
    pixels = torch.nn.functional.interpolate(coarse, (64, 64), mode="bicubic").clamp(0, 1)[0] * 255
    return b"P6 64 64 255\n" + pixels.byte().permute(1, 2, 0).numpy().tobytes()


def image(name: str) -> Picture:
    return Picture(name, f"{name}.ppm", hashlib.sha256(pnm(name)).hexdigest(), 0, 0, 64, 64)


@pytest.fixture(scope="module")
def model(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.pth"
    save_state(trained.state_dict(), path)
    return path


@pytest.fixture
def chunk(model, tmp_path, monkeypatch):
    """Makes a job on images of these names; ``computed`` on it lists what its engine refines."""

    def make(*names: str, precision: str = "float32", **options) -> Chunk:
        engine = Engine(model, torch.device("cpu"), precision)
        members = [image(name) for name in names]
        made = Chunk(engine, 0.05, members, Store(tmp_path / "kept"), 2, 10**9, tmp_path / "failed.parquet", **options)
        made.computed = []
        real = engine.refine

        def refine(pictures, *arguments):
            made.computed += pictures
            return real(pictures, *arguments)

        monkeypatch.setattr(engine, "refine", refine)
        return made

    return make


def test_records_have_every_field_that_a_processor_can_fill(chunk, tmp_path):
    rows, _ = chunk("a", "b").refine(SSL)
    records.write(rows, tmp_path / "rows.parquet")
    table = records.read([tmp_path / "rows.parquet"])
    assert list(zip(table["image"], table["step"], strict=True)) == [
        (name, step) for name in "ab" for step in (0, 2, 3, 4)
    ]
    empty = {name for name in table if table[name].isna().any()}
    assert empty == {"joules", "bytes"}
    assert (table["width"] == 64).all()
    assert set(table["parameters"]) == {json.dumps({"a": 2.3})}
    assert set(table["method"]) == {"ssl"}
    assert table["software"].str.contains("torch").all()


def test_records_name_the_weights_that_the_model_has(chunk, model):
    from sgaplus.codec.hyperprior import load_state, weights_sha256

    rows, _ = chunk("a").refine(SSL)
    assert {row["weights"] for row in rows} == {weights_sha256(load_state(model))}


def test_bitstreams_are_those_that_the_records_give_the_size_of(chunk):
    work = chunk("a")
    rows, streams = work.refine(SSL)
    assert list(streams) == ["target0.05/ssl/seed0/a.sga"]
    (data,) = streams.values()
    sizes = {row["step"]: row["bytes"] for row in rows}
    assert sizes == {0: len(work.unrefined["a"]), 2: None, 3: None, 4: len(data)}
    picture, _ = Coder(work.engine.codec).decode(data)
    assert picture.shape == (64, 64, 3)


def test_what_is_there_is_not_computed_again(chunk, caplog):
    first, streams = chunk("a", "b").refine(SSL)
    again = chunk("a", "b")
    with caplog.at_level("INFO"):
        assert again.refine(SSL) == (first, streams)
    assert again.computed == []
    assert "low ssl, target 0.05, seed 0: done before, 2 image(s)" in caplog.text


def test_a_job_takes_its_steps_by_cuda_graphs_if_asked_and_a_result_is_the_same_either_way(chunk, monkeypatch):
    captured = []
    monkeypatch.setitem(CAPTURE, "cpu", lambda warm_up, step: captured.append(warm_up()) or step)
    results = [chunk("a").refine(SSL)]
    assert not captured
    work = chunk("a", cuda_graphs=True)
    results.append(work.refine(SSL))
    assert results[0] == results[1]
    assert work.computed == []
    work.refine(replace(SSL, seed=1))
    assert captured


def test_a_job_measures_the_memory_of_a_step_once(chunk, monkeypatch):
    trials = []
    monkeypatch.setattr(memory, "_trial_step", lambda *arguments: trials.append(arguments))
    work = chunk("a")
    work.memory_bytes = 1
    work.refine(SSL)
    once = len(trials)
    work.refine(replace(SSL, seed=1))
    assert len(trials) == once > 0


def test_an_image_is_computed_alone_where_its_companions_are_there(chunk):
    whole, _ = chunk("a", "b", "c").refine(SSL)
    chunk("a", "c").refine(replace(SSL, seed=1))
    work = chunk("c", "b", "a")
    rows, _ = work.refine(replace(SSL, seed=1))
    assert work.computed == ["b"]
    assert [row["image"] for row in rows][::4] == ["c", "b", "a"]
    other, _ = chunk("b").refine(SSL)
    assert other == [row for row in whole if row["image"] == "b"]


def test_names_of_the_configuration_decide_nothing(chunk):
    chunk("a").refine(SSL)
    renamed = replace(SSL, dataset="photos", model="high", method="mine", variant="mine_a2.3")
    work = chunk("a")
    rows, streams = work.refine(renamed)
    assert work.computed == []
    assert {(row["dataset"], row["model"], row["method"], row["variant"]) for row in rows} == {
        ("photos", "high", "mine", "mine_a2.3")
    }
    assert list(streams) == ["target0.05/mine_a2.3/seed0/a.sga"]


def test_a_default_that_is_written_out_decides_nothing(chunk):
    chunk("a").refine(SSL)
    work = chunk("a")
    work.refine(replace(SSL, settings=SETTINGS | {"parameters": {"a": 2.3}}))
    assert work.computed == []


@pytest.mark.parametrize(
    "other",
    [
        replace(SSL, target=0.06),
        replace(SSL, seed=1),
        replace(SSL, steps=6),
        replace(SSL, record={1}),
        replace(SSL, settings=SETTINGS | {"lr": 0.01}),
        replace(SSL, settings=SETTINGS | {"parameters": {"a": 2.0}}),
        replace(SSL, settings=SETTINGS | {"rounding": "linear"}),
    ],
    ids=["target", "seed", "steps", "record", "lr", "parameter", "rounding"],
)
def test_another_refinement_is_computed(chunk, other):
    chunk("a").refine(SSL)
    work = chunk("a")
    work.refine(other)
    assert work.computed == ["a"]


def test_another_model_under_the_same_name_is_computed(chunk, model, trained):
    before, _ = chunk("a").refine(SSL)
    state = {name: value.clone() for name, value in trained.state_dict().items()}
    kept = model.read_bytes()
    try:
        state["g_s.0.bias"] += 0.01
        save_state(state, model)
        work = chunk("a")
        after, _ = work.refine(SSL)
    finally:
        model.write_bytes(kept)
    assert work.computed == ["a"]
    assert after[-1]["weights"] != before[-1]["weights"]
    assert after[-1]["mse"] != before[-1]["mse"]


def test_another_picture_under_the_same_name_is_computed(chunk, monkeypatch):
    chunk("a").refine(SSL)
    work = chunk("a")
    work.members["a"] = replace(work.members["a"], left=1, width=63)
    work.refine(SSL)
    assert work.computed == ["a"]


def test_another_precision_is_computed(chunk):
    chunk("a").refine(SSL)
    work = chunk("a", precision="bfloat16")
    work.refine(SSL)
    assert work.computed == ["a"]


def test_another_kind_of_device_is_computed(chunk, monkeypatch):
    """On a device that is not there, so the computing itself is left out."""
    chunk("a").refine(SSL)
    work = chunk("a")
    work.unrefined = {"a": b""}
    work.engine.codec.device = torch.device("cuda")
    monkeypatch.setattr(work.engine, "refine", lambda pictures, *_: {name: Result([], b"") for name in pictures})
    assert work.refine(SSL) == ([], {})


def test_other_code_is_computed(chunk):
    chunk("a").refine(SSL)
    work = chunk("a")
    work.code = "another"
    work.refine(SSL)
    assert work.computed == ["a"]


def test_a_loss_that_is_not_finite_leaves_its_records_and_keeps_nothing(chunk, tmp_path):
    work = chunk("a")
    with pytest.raises(NonFiniteLossError):
        work.refine(replace(SSL, settings=SETTINGS | {"lr": 1e36}))
    assert set(records.read([tmp_path / "failed.parquet"])["variant"]) == {"ssl"}
    assert not (tmp_path / "kept").exists()
