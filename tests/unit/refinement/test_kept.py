from __future__ import annotations

from dataclasses import fields, replace

import pytest

from sgaplus.refinement import rounding
from sgaplus.refinement.kept import Identity, Result, Store
from sgaplus.refinement.method import Method

METHOD = Method(rounding.make("ssl", a=2.3))
IDENTITY = Identity(
    engine="e1",
    rounding="r1",
    weights="w1",
    device="cpu",
    precision="float32",
    method=METHOD,
    target=0.01,
    seed=0,
    steps=10,
    record_at=(0, 5, 10),
    image="kodim01",
    sha256="i1",
    box=(0, 0, 64, 64),
)
OTHERS = {
    "engine": "e2",
    "rounding": "r2",
    "weights": "w2",
    "device": "cuda",
    "precision": "bfloat16",
    "method": replace(METHOD, lr=0.01),
    "target": 0.02,
    "seed": 1,
    "steps": 20,
    "record_at": (0, 10),
    "image": "kodim02",
    "sha256": "i2",
    "box": (0, 0, 64, 65),
}
RESULT = Result([{"image": "kodim01", "step": 0, "bpp": 0.5}, {"image": "kodim01", "step": 10, "bpp": 0.4}], b"bits")


def test_every_field_of_an_identity_tells_results_apart():
    assert OTHERS.keys() == {field.name for field in fields(Identity)}
    digests = {replace(IDENTITY, **{name: value}).digest for name, value in OTHERS.items()}
    assert len(digests | {IDENTITY.digest}) == len(OTHERS) + 1


@pytest.mark.parametrize(
    "method",
    [
        replace(METHOD, rounding=rounding.make("ssl", a=2.4)),
        replace(METHOD, tau_max=0.5),
        replace(METHOD, cooling=4.0),
        replace(METHOD, lr_schedule="cosine"),
        replace(METHOD, optimizer="sgd"),
        replace(METHOD, draws="stratified"),
    ],
)
def test_every_setting_of_a_method_tells_results_apart(method):
    assert replace(IDENTITY, method=method).digest != IDENTITY.digest


def test_an_identity_is_the_same_in_every_process_and_version():
    """Another digest for the same identity throws away what every user has computed."""
    assert IDENTITY.digest == "4b285c37ee63156bae3e59d740457bb7"


def test_a_result_comes_back_for_its_own_identity_alone(tmp_path):
    store = Store(tmp_path)
    store.put(IDENTITY, RESULT)
    assert IDENTITY in store
    assert all(replace(IDENTITY, **{name: value}) not in store for name, value in OTHERS.items())
    found = store.get(IDENTITY)
    assert found.stream == b"bits"
    assert [(row["image"], row["step"], row["bpp"]) for row in found.rows] == [
        ("kodim01", 0, 0.5),
        ("kodim01", 10, 0.4),
    ]


def test_a_result_that_could_not_be_written_whole_is_not_there(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no room")

    monkeypatch.setattr("sgaplus.records.write", full)
    with pytest.raises(OSError, match="no room"):
        Store(tmp_path).put(IDENTITY, RESULT)
    assert IDENTITY not in Store(tmp_path)
