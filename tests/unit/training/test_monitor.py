from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch

from sgaplus.errors import TrainingError
from sgaplus.training.loop import train
from sgaplus.training.monitor import METRICS, write_metrics
from sgaplus.training.trainer import Trainer
from tests.unit.training.tiny import CPU, OPTIONS, TINY, state_in


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_last_good_state(
    photographs, tmp_path, monkeypatch
):
    options = replace(OPTIONS, log_every=1, save_seconds=0.0, folder=tmp_path)
    real = Trainer.step

    def breaking(self, step, crops):
        losses = real(self, step, crops)
        if step == 6:
            with torch.no_grad():
                self.weights[0].fill_(float("nan"))
        return losses

    monkeypatch.setattr(Trainer, "step", breaking)
    with pytest.raises(TrainingError, match=r"the loss is nan at step 7 .*Lower the model's `lr`.*state_\w+\.pth"):
        train(TINY, photographs, CPU, options)
    state = torch.load(state_in(tmp_path), weights_only=True)
    assert state["step"] == 6
    assert all(value.isfinite().all() for value in state["model"].values())


def test_evaluations_come_every_so_often_and_at_the_end(photographs):
    options = replace(OPTIONS, log_every=1000, evaluate_every=25)
    _, rows = train(TINY, photographs, CPU, options, evaluation=photographs[:1])
    assert [row["step"] for row in rows if "test_loss" in row] == [24, 49, 59]


def test_metrics_go_to_tensorboard(photographs, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, rows = train(TINY, photographs, CPU, replace(OPTIONS, log_every=10, events=tmp_path))
    events = EventAccumulator(str(tmp_path)).Reload()
    logged = [(event.step, event.value) for event in events.Scalars("loss")]
    assert logged == [(row["step"], pytest.approx(row["loss"])) for row in rows]


def test_metrics_are_written_as_csv(tmp_path):
    rows = [dict.fromkeys(METRICS, 1.5)]
    write_metrics(rows, tmp_path / "training.csv")
    with open(tmp_path / "training.csv") as file:
        assert [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)] == rows
