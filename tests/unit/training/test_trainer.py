from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from compressai.models.google import MeanScaleHyperprior

from sgaplus.codec.frozen import Batch, Codec
from sgaplus.codec.hyperprior import Hyperprior, save_state
from sgaplus.errors import DiskError, TrainingError
from sgaplus.files import sha256
from sgaplus.training.recipe import Recipe
from sgaplus.training.trainer import (
    METRICS,
    Supervision,
    Trainer,
    evaluation_of,
    fresh_model,
    rate_distortion,
    stop_requests,
    train,
    write_metrics,
)
from tests.conftest import Photograph

CPU = [torch.device("cpu")]
REPOSITORY = Path(__file__).parents[3]
TINY = Recipe(
    0.05,
    N=8,
    M=8,
    steps=60,
    batch_size=4,
    crop=64,
    lr=2e-3,
    warmup_steps=5,
    latent_gain=10.0,
    precision="float32",
)


@pytest.fixture(scope="module")
def photographs(photograph):
    return [photograph(80, 100, seed) for seed in range(4)]


def state_in(folder: Path) -> Path:
    """The one saved state in a folder."""
    (state,) = folder.glob("state_*.pth")
    return state


def weights(model) -> torch.Tensor:
    return torch.cat([value.detach().flatten().double() for value in model.state_dict().values()])


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_lowers_the_loss_and_the_model_codes(photographs, picture, optimizer, precision):
    recipe = replace(TINY, optimizer=optimizer, precision=precision)
    model, rows = train(recipe, photographs, CPU, Supervision(log_every=10))
    assert [row["step"] for row in rows] == [0, 9, 19, 29, 39, 49, 59]
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
    x = picture(64, 64)[None]
    coded = model.compress(x)
    decoded = model.decompress(coded["strings"], coded["shape"])["x_hat"]
    with torch.no_grad():
        torch.testing.assert_close(decoded, model(x)["x_hat"].clamp(0, 1), atol=1e-4, rtol=0)


def test_a_model_loads_in_plain_compressai(photographs, tmp_path, picture):
    model, _ = train(replace(TINY, steps=3), photographs, CPU)
    save_state(model.state_dict(), tmp_path / "model.pth")
    loaded = MeanScaleHyperprior.from_state_dict(torch.load(tmp_path / "model.pth", weights_only=True)).eval()
    loaded.update()
    x = picture(64, 64)[None]
    assert loaded.compress(x)["strings"] == model.compress(x)["strings"]


def test_the_same_seed_trains_the_same_model(photographs):
    def model(seed):
        return weights(train(replace(TINY, steps=3, seed=seed), photographs, CPU)[0])

    assert torch.equal(model(1), model(1))
    assert not torch.equal(model(1), model(2))


def test_the_loss_is_the_papers(picture):
    model = fresh_model(TINY).eval()
    x = torch.stack([picture(64, 64, seed) for seed in range(3)])
    with torch.no_grad():
        bpp, mse = rate_distortion(model, x)
        out = model(x)
    bits = sum(-torch.log2(likelihood).sum() for likelihood in out["likelihoods"].values())
    torch.testing.assert_close(bpp, bits / (3 * 64 * 64))
    torch.testing.assert_close(mse, ((out["x_hat"] - x) * 255).square().mean())


def test_rates_are_computed_in_float32_whatever_the_precision(trained, picture):
    x = torch.stack([picture(64, 64, seed) for seed in range(3)])
    model = MeanScaleHyperprior.from_state_dict(trained.state_dict()).eval()
    with torch.no_grad():
        exact, _ = rate_distortion(model, x)
        bpp, mse = rate_distortion(model, x, "bfloat16")
        # bfloat16 everywhere, as plain autocast does it
        with torch.autocast("cpu", torch.bfloat16):
            latents = model.g_a(x)
    assert latents.dtype == torch.bfloat16
    assert bpp.dtype == mse.dtype == torch.float32
    torch.testing.assert_close(bpp, exact, rtol=0.02, atol=0)


def test_a_fresh_model_reconstructs_a_middle_gray(picture):
    model = fresh_model(replace(TINY, latent_gain=1.0)).eval()
    with torch.no_grad():
        assert (model(picture(64, 64)[None])["x_hat"] - 0.45).abs().max() < 0.1


def test_a_model_starts_from_anothers_weights(tmp_path, photographs, picture):
    first, _ = train(replace(TINY, steps=40), photographs, CPU)
    save_state(first.state_dict(), tmp_path / "first.pth")
    _, fresh = train(replace(TINY, steps=1), photographs, CPU)
    second, warm = train(replace(TINY, steps=1), photographs, CPU, start_from=tmp_path / "first.pth")
    assert warm[0]["loss"] < 0.9 * fresh[0]["loss"]
    codec = Codec(Hyperprior.of(second.state_dict()))
    assert codec.measure(Batch.of([picture(64, 64)]), codec.analyse(picture(64, 64)[None])).mse.isfinite().all()


def test_a_model_does_not_start_from_a_wider_one(tmp_path, photographs):
    save_state(fresh_model(TINY).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(TrainingError, match=r"wide\.pth: has N = 8, M = 8"):
        train(replace(TINY, N=6), photographs, CPU, start_from=tmp_path / "wide.pth")


def test_latent_gain_moves_scale_from_synthesis_to_analysis():
    plain, scaled = fresh_model(replace(TINY, latent_gain=1.0)), fresh_model(TINY)
    torch.testing.assert_close(scaled.g_a[-1].weight, plain.g_a[-1].weight * 10)
    torch.testing.assert_close(scaled.g_s[0].weight, plain.g_s[0].weight / 10)


def test_the_auxiliary_loss_moves_the_quantiles_and_nothing_else_does(photographs):
    trainer = Trainer(replace(TINY, aux_lr=0.1), fresh_model(TINY), CPU[0])
    quantiles = trainer.model.entropy_bottleneck.quantiles
    before, aux = quantiles.detach().clone(), trainer.model.aux_loss().item()
    crops = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    for step in range(20):
        trainer.step(step, crops)
    assert not torch.equal(quantiles, before)
    assert trainer.model.aux_loss().item() < aux
    assert not any(quantiles is weight for weight in trainer.weights)


def test_muon_moves_every_kernel_along_an_orthogonal_matrix(photographs):
    recipe = replace(TINY, optimizer="muon", warmup_steps=0, kernel_lr=0.01)
    trainer = Trainer(recipe, fresh_model(recipe), CPU[0])
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.step(0, torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    for name in ("g_a.2.weight", "g_s.2.weight", "h_a.0.weight"):
        kernel = dict(trainer.model.named_parameters())[name]
        step = (kernel - before[name]).detach().permute(0, 2, 3, 1).reshape(kernel.shape[0], -1) / 0.01
        singular = torch.linalg.svdvals(step.double())
        assert 0.3 < singular.min() <= singular.max() < 1.5, name  # Newton-Schulz gets near 1
    changed = [name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])]
    assert len(changed) >= len(before) - 2


def test_a_stopped_training_ends_where_an_uninterrupted_one_does(photographs, tmp_path, monkeypatch):
    recipe = replace(TINY, steps=30, optimizer="muon")
    whole, rows = train(recipe, photographs, CPU, Supervision(log_every=5), evaluation=photographs[:1])
    how = Supervision(log_every=5, folder=tmp_path)
    real, calls = Trainer.step, []

    def interrupted(self, step, crops, stop=False):
        calls.append(step)
        return real(self, step, crops, stop or len(calls) in (11, 19))

    monkeypatch.setattr(Trainer, "step", interrupted)
    for expected in ("stopped at step 11 of 30", "stopped at step 19 of 30"):
        with pytest.raises(TrainingError, match=expected):
            train(recipe, photographs, CPU, how)
    resumed, again = train(recipe, photographs, CPU, how)
    assert calls == list(range(30))
    assert torch.equal(weights(whole), weights(resumed))
    timing = {"steps_per_second", "waiting"}
    assert [{k: v for k, v in row.items() if k not in timing} for row in again] == [
        {k: v for k, v in row.items() if k not in timing} for row in rows
    ]


SCRIPT = """
import sys, torch
from pathlib import Path
from sgaplus.training.trainer import Supervision, train
from tests.unit.training.test_trainer import SHORT, noise
torch.set_num_threads(1)
train(SHORT, noise(), [torch.device("cpu")], Supervision(save_seconds=0, folder=Path(sys.argv[1]), workers=1))
"""
SHORT = replace(TINY, steps=200, batch_size=2)


def noise():
    return [Photograph(np.random.default_rng(i).integers(0, 256, (80, 100, 3), dtype=np.uint8)) for i in range(2)]


def test_sigterm_saves_the_state_and_the_training_goes_on_to_the_same_end(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'workflow'}"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("state_*.pth")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.terminate()
    _, printed = process.communicate(timeout=60)
    state = state_in(tmp_path)
    assert process.returncode == 1
    assert re.search(
        rf"stopped at step \d+ of 200 by SIGTERM. Start it again to go on from {re.escape(str(state))}", printed
    )
    assert 0 < torch.load(state, weights_only=True)["step"] < 200
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        resumed, _ = train(SHORT, noise(), CPU, Supervision(folder=tmp_path))
        whole, _ = train(SHORT, noise(), CPU)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(weights(resumed), weights(whole))


def test_the_time_limit_saves_and_stops(photographs, tmp_path):
    how = Supervision(folder=tmp_path, seconds=0.0)
    with pytest.raises(TrainingError, match="stopped at step 1 of 60 by the time limit"):
        train(TINY, photographs, CPU, how)
    assert torch.load(state_in(tmp_path), weights_only=True)["step"] == 1


def test_states_of_other_recipes_and_other_data_stay_and_are_not_continued(photographs, tmp_path, caplog):
    how = Supervision(folder=tmp_path, seconds=0.0, data="one")
    with pytest.raises(TrainingError, match="stopped at step 1"):
        train(TINY, photographs, CPU, how)
    first = state_in(tmp_path).read_bytes()
    for recipe, data in ((replace(TINY, lmbda=0.06), "one"), (TINY, "other")):
        _, rows = train(recipe, photographs, CPU, replace(how, seconds=None, data=data))
        assert rows[0]["step"] == 0
    assert len(list(tmp_path.glob("state_*.pth"))) == 3
    assert first in [path.read_bytes() for path in tmp_path.glob("state_*.pth")]
    with caplog.at_level("INFO"):
        train(TINY, photographs, CPU, replace(how, seconds=None))
    assert "going on from step 1 of 60" in caplog.text


def test_a_training_that_ended_is_not_done_again(photographs, tmp_path, caplog):
    """Its job may have been killed before the model was written."""
    how = Supervision(folder=tmp_path, code="one")
    model, rows = train(replace(TINY, steps=5), photographs, CPU, how)
    with caplog.at_level("INFO"):
        again, same = train(replace(TINY, steps=5), photographs, CPU, how)
    assert caplog.messages == [f"trained before: {state_in(tmp_path)}"]
    assert torch.equal(weights(model), weights(again))
    assert same == rows


def test_nor_for_other_code_which_is_said_once_with_what_trains_it_anew(photographs, tmp_path, caplog):
    how = Supervision(folder=tmp_path, code="one")
    model, _ = train(replace(TINY, steps=5), photographs, CPU, how)
    with caplog.at_level("INFO"):
        again, _ = train(replace(TINY, steps=5), photographs, CPU, replace(how, code="two"))
    (line,) = caplog.messages
    assert line.startswith("trained before, by other code (sgaplus")
    assert line.endswith(f"To train it anew, delete {state_in(tmp_path)}.")
    assert torch.equal(weights(model), weights(again))


def test_a_training_that_older_code_was_at_goes_on(photographs, tmp_path, caplog):
    how = Supervision(folder=tmp_path, code="one", seconds=0.0)
    with pytest.raises(TrainingError, match="stopped at step 1"):
        train(TINY, photographs, CPU, how)
    with caplog.at_level("INFO"):
        train(TINY, photographs, CPU, replace(how, code="two", seconds=None))
    assert "going on from step 1 of 60" in caplog.text


@pytest.mark.parametrize(("former_data", "goes_on"), [("old", True), ("other", False)])
def test_a_state_of_the_first_version_goes_on(photographs, tmp_path, caplog, former_data, goes_on):
    """It lay in state.pth, and knew photographs and start by the hashes of their files."""
    folder, start = tmp_path / "low", tmp_path / "start.pth"
    save_state(fresh_model(TINY).state_dict(), start)
    how = Supervision(folder=folder, data="new", former_data=former_data, seconds=0.0)
    with pytest.raises(TrainingError, match="stopped at step 1"):
        train(TINY, photographs, CPU, how, start)
    state = torch.load(state_in(folder), weights_only=True)
    state_in(folder).unlink()
    recipe = {key: value for key, value in asdict(TINY).items() if key != "crops_per_image"}  # which came later
    torch.save(state | {"identity": json.dumps([recipe, "old", sha256(start)])}, folder / "state.pth")
    with caplog.at_level("INFO"):
        train(TINY, photographs, CPU, replace(how, seconds=None), start)
    assert ("going on from step 1 of 60" in caplog.text) == goes_on


def test_a_broken_state_is_named(photographs, tmp_path):
    (tmp_path / "state.pth").write_bytes(b"no state")
    with pytest.raises(TrainingError, match=r"state\.pth: not a saved state of a training .* Remove it"):
        train(TINY, photographs, CPU, Supervision(folder=tmp_path))


def test_a_state_that_a_full_disk_has_no_room_for_ends_the_training_in_one_sentence(photographs, small_disk):
    how = Supervision(folder=small_disk, seconds=0.0)
    with pytest.raises(DiskError, match=r"state_\w+\.pth: no room left on this disk"):
        train(replace(TINY, N=24, M=24), photographs, CPU, how)
    assert list(small_disk.iterdir()) == []


def test_two_processes_train_one_model(photographs, picture):
    """Each has half of the crops; the average of their gradients is the gradient of the whole batch."""
    recipe = replace(TINY, steps=20)
    model, rows = train(recipe, photographs, CPU * 2, Supervision(log_every=5))
    assert [row["step"] for row in rows] == [0, 4, 9, 14, 19]
    assert rows[-1]["loss"] < rows[0]["loss"]
    alone = train(recipe, photographs, CPU)[0]
    # other noise, but the same crops and number of steps: nearer than another seed's model
    other = train(replace(recipe, seed=5), photographs, CPU)[0]
    kernels = [m.g_s[0].weight for m in (model, alone, other)]
    assert (kernels[0] - kernels[1]).norm() < (kernels[0] - kernels[2]).norm() / 2


def test_an_error_of_one_of_several_processes_is_the_error_of_the_training(photographs):
    with pytest.raises(TrainingError, match="the loss is nan at step 0"):
        train(replace(TINY, lmbda=float("nan")), photographs, CPU * 2)


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_last_good_state(
    photographs, tmp_path, monkeypatch
):
    how = Supervision(log_every=1, save_seconds=0.0, folder=tmp_path)
    real = Trainer.step

    def breaking(self, step, crops, stop=False):
        values = real(self, step, crops, stop)
        if step == 6:
            with torch.no_grad():
                self.weights[0].fill_(float("nan"))
        return values

    monkeypatch.setattr(Trainer, "step", breaking)
    with pytest.raises(TrainingError, match=r"the loss is nan at step 7 .*Lower the model's `lr`.*state_\w+\.pth"):
        train(TINY, photographs, CPU, how)
    state = torch.load(state_in(tmp_path), weights_only=True)
    assert state["step"] == 6
    assert all(value.isfinite().all() for value in state["model"].values())


def test_evaluation_measures_with_hard_rounding_as_refinement_does(trained, photographs, picture):
    codec = Codec(Hyperprior.of(trained.state_dict()))
    measured = evaluation_of(trained, photographs[:2], 0.05, CPU[0])
    losses = []
    for photograph in photographs[:2]:
        x = torch.from_numpy(photograph.pixels).permute(2, 0, 1) / 255
        batch = Batch.of([x])
        one = codec.measure(batch, codec.analyse(batch.x))
        losses.append((one.bpp + 0.05 * one.mse).item())
    assert measured["test_loss"] == pytest.approx(sum(losses) / 2, rel=1e-6)


def test_evaluations_come_every_so_often_and_at_the_end(photographs):
    how = Supervision(log_every=1000, evaluate_every=25)
    _, rows = train(TINY, photographs, CPU, how, evaluation=photographs[:1])
    assert [row["step"] for row in rows if "test_loss" in row] == [24, 49, 59]


def test_metrics_go_to_tensorboard(photographs, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, rows = train(TINY, photographs, CPU, Supervision(log_every=10, events=tmp_path))
    events = EventAccumulator(str(tmp_path)).Reload()
    logged = [(event.step, event.value) for event in events.Scalars("loss")]
    assert logged == [(row["step"], pytest.approx(row["loss"])) for row in rows]


def test_the_learning_rate_warms_up_then_holds_or_falls():
    constant = replace(TINY, steps=100, warmup_steps=10)
    assert constant.rate_factor(0) == pytest.approx(0.1)
    assert constant.rate_factor(9) == constant.rate_factor(99) == 1.0
    cosine = replace(TINY, steps=100, warmup_steps=0, lr_schedule="cosine")
    assert cosine.rate_factor(0) == 1.0
    assert cosine.rate_factor(50) == pytest.approx(0.5)


def test_gradients_are_clamped_and_scaled():
    trainer = Trainer(replace(TINY, clip=1.0), fresh_model(TINY), CPU[0])
    weight = trainer.weights[0]
    weight.grad = torch.full_like(weight, 3.0)
    trainer._clip()
    assert (weight.grad == 1).all()
    trainer.recipe = replace(TINY, clip=None, clip_norm=0.15)
    trainer._clip()
    assert weight.grad.norm().item() == pytest.approx(0.15, rel=1e-4)


def test_signals_are_noted_and_their_handlers_restored():
    before = signal.getsignal(signal.SIGTERM)
    with stop_requests() as requests:
        os.kill(os.getpid(), signal.SIGTERM)
        assert requests == ["SIGTERM"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_training_in_a_thread_handles_no_signals():
    seen = []

    def ask():
        with stop_requests() as requests:
            seen.append((list(requests), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen == [([], signal.getsignal(signal.SIGTERM))]


def test_metrics_are_written_as_csv(tmp_path):
    rows = [dict.fromkeys(METRICS, 1.5)]
    write_metrics(rows, tmp_path / "training.csv")
    with open(tmp_path / "training.csv") as file:
        assert [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)] == rows
