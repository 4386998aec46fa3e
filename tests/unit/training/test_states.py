from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import torch

from sgaplus.codec.hyperprior import save_state
from sgaplus.errors import DiskError, TrainingError
from sgaplus.files import sha256
from sgaplus.training.initialisation import fresh_model
from sgaplus.training.job import Job
from sgaplus.training.loop import train
from sgaplus.training.states import StateFile
from tests.unit.training.tiny import CPU, OPTIONS, TINY, state_in, weights


def test_states_of_other_recipes_and_other_data_stay_and_are_not_continued(photographs, tmp_path, caplog):
    options = replace(OPTIONS, folder=tmp_path, seconds=0.0, data="one")
    with pytest.raises(TrainingError, match="stopped at step 1"):
        train(TINY, photographs, CPU, options)
    first = state_in(tmp_path).read_bytes()
    for recipe, data in ((replace(TINY, lmbda=0.06), "one"), (TINY, "other")):
        _, rows = train(recipe, photographs, CPU, replace(options, seconds=None, data=data))
        assert rows[0]["step"] == 0
    assert len(list(tmp_path.glob("state_*.pth"))) == 3
    assert first in [path.read_bytes() for path in tmp_path.glob("state_*.pth")]
    with caplog.at_level("INFO"):
        train(TINY, photographs, CPU, replace(options, seconds=None))
    assert "going on from step 1 of 60" in caplog.text


def test_a_training_that_ended_is_not_done_again(photographs, tmp_path, caplog):
    """Its job may have been killed before the model was written."""
    options = replace(OPTIONS, folder=tmp_path, code="one")
    model, rows = train(replace(TINY, steps=5), photographs, CPU, options)
    with caplog.at_level("INFO"):
        again, same = train(replace(TINY, steps=5), photographs, CPU, options)
    assert caplog.messages == [f"trained before: {state_in(tmp_path)}"]
    assert torch.equal(weights(model), weights(again))
    assert same == rows


def test_nor_for_other_code_which_is_said_once_with_what_trains_it_anew(photographs, tmp_path, caplog):
    options = replace(OPTIONS, folder=tmp_path, code="one")
    model, _ = train(replace(TINY, steps=5), photographs, CPU, options)
    with caplog.at_level("INFO"):
        again, _ = train(replace(TINY, steps=5), photographs, CPU, replace(options, code="two"))
    (line,) = caplog.messages
    assert line.startswith("trained before, by other code (sgaplus")
    assert line.endswith(f"To train it anew, delete {state_in(tmp_path)}.")
    assert torch.equal(weights(model), weights(again))


def test_a_training_that_older_code_was_at_goes_on(photographs, tmp_path, caplog):
    options = replace(OPTIONS, folder=tmp_path, code="one", seconds=0.0)
    with pytest.raises(TrainingError, match="stopped at step 1"):
        train(TINY, photographs, CPU, options)
    with caplog.at_level("INFO"):
        train(TINY, photographs, CPU, replace(options, code="two", seconds=None))
    assert "going on from step 1 of 60" in caplog.text


@pytest.mark.parametrize(("former_data", "goes_on"), [("old", True), ("other", False)])
def test_a_state_of_the_first_version_goes_on(photographs, tmp_path, caplog, former_data, goes_on):
    """It lay in state.pth, and knew photographs and start by the hashes of their files."""
    folder, start = tmp_path / "low", tmp_path / "start.pth"
    save_state(fresh_model(TINY).state_dict(), start)
    options = replace(OPTIONS, folder=folder, data="new", former_data=former_data, seconds=0.0)
    with pytest.raises(TrainingError, match="stopped at step 1"):
        train(TINY, photographs, CPU, options, start)
    state = torch.load(state_in(folder), weights_only=True)
    state_in(folder).unlink()
    recipe = {key: value for key, value in asdict(TINY).items() if key != "crops_per_image"}  # which came later
    torch.save(state | {"identity": json.dumps([recipe, "old", sha256(start)])}, folder / "state.pth")
    with caplog.at_level("INFO"):
        train(TINY, photographs, CPU, replace(options, seconds=None), start)
    assert ("going on from step 1 of 60" in caplog.text) == goes_on


def test_a_broken_state_is_named(photographs, tmp_path):
    (tmp_path / "state.pth").write_bytes(b"no state")
    with pytest.raises(TrainingError, match=r"state\.pth: not a saved state of a training .* Remove it"):
        train(TINY, photographs, CPU, replace(OPTIONS, folder=tmp_path))


def test_a_state_that_a_full_disk_has_no_room_for_ends_the_training_in_one_sentence(photographs, small_disk):
    options = replace(OPTIONS, folder=small_disk, seconds=0.0)
    with pytest.raises(DiskError, match=r"state_\w+\.pth: no room left on this disk"):
        train(replace(TINY, N=24, M=24), photographs, CPU, options)
    assert list(small_disk.iterdir()) == []


def test_a_training_finds_the_state_that_former_commits_saved_under_the_same_name(tmp_path):
    """The name is a hash of the identity, of which no part may be called or written otherwise."""
    job = Job(TINY, [], tuple(CPU), replace(OPTIONS, folder=tmp_path, data="one"), None, [])
    assert StateFile(job).path == tmp_path / "state_692217bc.pth"
