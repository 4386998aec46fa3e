from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from compressai.models.google import MeanScaleHyperprior

from sgaplus.codec.hyperprior import save_state
from sgaplus.errors import TrainingError
from sgaplus.training.loop import stop_requests, train
from sgaplus.training.trainer import Trainer
from tests.unit.training.tiny import CPU, OPTIONS, SHORT, TINY, noise, state_in, weights

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_lowers_the_loss_and_the_model_codes(photographs, picture, optimizer, precision):
    recipe = replace(TINY, optimizer=optimizer, precision=precision)
    model, rows = train(recipe, photographs, CPU, replace(OPTIONS, log_every=10))
    assert [row["step"] for row in rows] == [0, 9, 19, 29, 39, 49, 59]
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
    x = picture(64, 64)[None]
    coded = model.compress(x)
    decoded = model.decompress(coded["strings"], coded["shape"])["x_hat"]
    with torch.no_grad():
        torch.testing.assert_close(decoded, model(x)["x_hat"].clamp(0, 1), atol=1e-4, rtol=0)


def test_a_model_loads_in_plain_compressai(photographs, tmp_path, picture):
    model, _ = train(replace(TINY, steps=3), photographs, CPU, OPTIONS)
    save_state(model.state_dict(), tmp_path / "model.pth")
    loaded = MeanScaleHyperprior.from_state_dict(torch.load(tmp_path / "model.pth", weights_only=True)).eval()
    loaded.update()
    x = picture(64, 64)[None]
    assert loaded.compress(x)["strings"] == model.compress(x)["strings"]


def test_the_same_seed_trains_the_same_model(photographs):
    def model(seed):
        return weights(train(replace(TINY, steps=3, seed=seed), photographs, CPU, OPTIONS)[0])

    assert torch.equal(model(1), model(1))
    assert not torch.equal(model(1), model(2))


def test_a_stopped_training_ends_where_an_uninterrupted_one_does(photographs, tmp_path, monkeypatch):
    recipe = replace(TINY, steps=30, optimizer="muon")
    whole, rows = train(recipe, photographs, CPU, replace(OPTIONS, log_every=5), evaluation=photographs[:1])
    options = replace(OPTIONS, log_every=5, folder=tmp_path)
    real, calls = Trainer.step, []

    def interrupted(self, step, crops):
        calls.append(step)
        self.stop_requested |= len(calls) in (11, 19)
        return real(self, step, crops)

    monkeypatch.setattr(Trainer, "step", interrupted)
    for expected in ("stopped at step 11 of 30", "stopped at step 19 of 30"):
        with pytest.raises(TrainingError, match=expected):
            train(recipe, photographs, CPU, options, evaluation=photographs[:1])
    resumed, again = train(recipe, photographs, CPU, options, evaluation=photographs[:1])
    assert calls == list(range(30))
    assert torch.equal(weights(whole), weights(resumed))
    timing = {"steps_per_second", "waiting"}
    assert [{k: v for k, v in row.items() if k not in timing} for row in again] == [
        {k: v for k, v in row.items() if k not in timing} for row in rows
    ]


SCRIPT = """
import sys, torch
from pathlib import Path
from dataclasses import replace
from sgaplus.training.loop import train
from tests.unit.training.tiny import OPTIONS, SHORT, noise
torch.set_num_threads(1)
train(SHORT, noise(), [torch.device("cpu")], replace(OPTIONS, save_seconds=0, folder=Path(sys.argv[1]), workers=1))
"""


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
        resumed, _ = train(SHORT, noise(), CPU, replace(OPTIONS, folder=tmp_path))
        whole, _ = train(SHORT, noise(), CPU, OPTIONS)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(weights(resumed), weights(whole))


def test_the_time_limit_saves_and_stops(photographs, tmp_path):
    options = replace(OPTIONS, folder=tmp_path, seconds=0.0)
    with pytest.raises(TrainingError, match="stopped at step 1 of 60 by the time limit"):
        train(TINY, photographs, CPU, options)
    assert torch.load(state_in(tmp_path), weights_only=True)["step"] == 1


def test_two_processes_train_one_model(photographs, picture):
    """Each has half of the crops; the average of their gradients is the gradient of the whole batch."""
    recipe = replace(TINY, steps=20)
    model, rows = train(recipe, photographs, CPU * 2, replace(OPTIONS, log_every=5))
    assert [row["step"] for row in rows] == [0, 4, 9, 14, 19]
    assert rows[-1]["loss"] < rows[0]["loss"]
    alone = train(recipe, photographs, CPU, OPTIONS)[0]
    # other noise, but the same crops and number of steps: nearer than another seed's model
    other = train(replace(recipe, seed=5), photographs, CPU, OPTIONS)[0]
    kernels = [m.g_s[0].weight for m in (model, alone, other)]
    assert (kernels[0] - kernels[1]).norm() < (kernels[0] - kernels[2]).norm() / 2


def test_an_error_of_one_of_several_processes_is_the_error_of_the_training(photographs):
    with pytest.raises(TrainingError, match="the loss is nan at step 0"):
        train(replace(TINY, lmbda=float("nan")), photographs, CPU * 2, OPTIONS)


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
