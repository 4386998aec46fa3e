from __future__ import annotations

import json

import pytest

from sgaplus.config import hours
from sgaplus.config.hours import Speed
from sgaplus.config.references import validated
from sgaplus.data import manifest
from sgaplus.data.datasets import sources

from .configurations import small


def sources_of(config):
    return sources(config["datasets"], manifest.read())


def test_the_nearest_measured_width_and_size_decide_in_proportion_to_pixels_and_the_square_of_the_width():
    speeds = [Speed(100, 100, 10.0), Speed(100, 1000, 20.0), Speed(200, 1000, 1.0)]
    assert hours.of([(100, 90, 36_000.0)], speeds) == pytest.approx(1)
    assert hours.of([(100, 900, 36_000.0)], speeds) == pytest.approx(0.5)
    assert hours.of([(400, 900, 3_600.0)], speeds) == pytest.approx(4)
    assert hours.of([], speeds) == 0


def test_the_paper_is_14_million_steps_of_training_and_about_18_million_megapixel_steps(paper):
    crops = 32 * 256 * 256
    assert sum(total for _, _, total in hours.trainings(paper)) == 14_000_000 * crops
    work, unknown = hours.refinements(paper, sources_of(paper))
    assert sum(total for _, _, total in work) == pytest.approx(18e12, rel=0.05)
    assert not unknown
    assert {n for n, _, _ in work} == {128, 192, 256}
    assert {pixels for _, pixels, _ in work} >= {256 * 256, 1200 * 1200}


def test_a_data_set_of_unknown_sizes_is_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = validated(small())
    _, unknown = hours.refinements(config, sources_of(config))
    assert unknown == ["photos"]


def test_without_measurements_nothing_is_said_and_a_broken_file_is_named(tmp_path, paper):
    file = tmp_path / "gpu.json"
    assert not list(hours.notes(paper, sources_of(paper), file))
    for content in ("{", "{}", '{"speeds": {"training": [{}], "refinement": []}}'):
        file.write_text(content)
        (note,) = hours.notes(paper, sources_of(paper), file)
        assert "not what make bench-gpu writes" in note


def test_the_note_tells_hours_and_gpu(tmp_path, paper):
    file = tmp_path / "gpu.json"
    speeds = {part: [{"n": 192, "pixels": 65536, "pixels_per_second": 1e8}] for part in ("training", "refinement")}
    file.write_text(json.dumps({"device": "A GPU", "speeds": speeds}))
    (note,) = hours.notes(paper, sources_of(paper), file)
    total = hours.of(hours.trainings(paper), [Speed(192, 65536, 1e8)])
    assert note.startswith(f"On one A GPU, as {file} says: {total:.1f} hours of training and ")
    assert note.endswith("hours of refinement for the whole configuration.")
