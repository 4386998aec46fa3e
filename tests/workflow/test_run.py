"""Tiny real runs, from pictures to report."""

from __future__ import annotations

import json
import re
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
import yaml
from PIL import Image

from sgaplus import records
from sgaplus.codec.bitstream import Coder
from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import load_state

from .conftest import CONFIG, PAPER, TINY, checkout, photographs, started, write_config

KEYS = ["image", "model", "method", "step"]
MEASURED = ["seconds", "peak_memory_mb", "joules"]


def test_every_artifact_is_there(finished):
    results = finished / "results/tiny"
    for name, entry in PAPER["experiments"].items():
        if "figure" in entry:
            assert (results / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")
            with Image.open(results / f"figures/{name}.png") as picture:
                assert picture.width > 500
        if "table" in entry:
            assert len(pd.read_csv(results / f"tables/{name}.csv")) >= 1
            assert (results / f"tables/{name}.md").read_text().startswith("|")
    with Image.open(results / "figures/training.png") as picture:
        assert picture.width > 500
    for name, steps in (("low", 20), ("high", 10)):
        training = pd.read_csv(results / f"models/{name}/training.csv")
        assert training["step"].iloc[-1] == steps - 1
        assert training["test_loss"].notna().sum() == steps // 10
    assert yaml.safe_load((results / "config.yaml").read_text())["run"] == "tiny"
    made = json.loads((results / "provenance.json").read_text())
    assert made["configuration"]["run"] == "tiny"
    assert {name: model["weights"] for name, model in made["models"].items()} == {
        name: json.loads((results / f"models/{name}/model.json").read_text())["weights"] for name in ("low", "high")
    }
    (software,) = {row["software"] for row in made["records"]}
    assert "torch 2.11.0" in software


def test_every_claim_has_a_verdict_from_the_runs_own_numbers(finished):
    judged = pd.read_csv(finished / "results/tiny/claims.csv")
    asked = [name for name, claim in TINY["claims"].items() if claim is not None]
    assert set(judged["claim"]) == {PAPER["claims"][name]["text"] for name in asked}
    few = judged["images"] > 1  # all but Figure 5
    assert set(judged.loc[few, "verdict"]) == {"not judged: 4 images, 8 are needed"}
    assert list(judged.loc[~few, "verdict"].str.split(": ").str[1]) == ["one image, by its nature"]
    assert (finished / "results/tiny/claims.md").read_text().startswith("Only a test.\n")
    assert judged["evidence"].str.contains(r"\d").all()


def test_what_the_run_cost_is_added_up_over_all_jobs(finished):
    costs = pd.read_csv(finished / "results/tiny/tables/run_cost.csv", index_col="rule")
    assert costs.loc["train_model", "jobs"] == 2
    assert costs.loc["refine", "jobs"] == len(list((finished / "results/tiny/refinements").glob("*/*/part*.parquet")))
    assert costs.loc["all", "hours"] > 0


def test_every_refinement_has_its_bitstreams_and_records_their_size(finished):
    (part, *_) = sorted((finished / "results/tiny/refinements/pictures/high").glob("part0_chunk0.parquet"))
    table = records.read([part])
    sizes = table.dropna(subset="bytes")
    assert set(sizes["step"]) == {0, 4}
    coder = Coder(Codec.load(finished / "results/tiny/models/high/model.pth"))
    last = sizes[sizes["step"] == 4]
    with zipfile.ZipFile(part.with_suffix(".zip")) as archive:
        assert len(archive.namelist()) == len(last)
        for row in last.itertuples():
            name = f"target{row.target_lmbda:g}/{row.variant}/seed{row.seed}/{row.image}.sga"
            data = archive.read(name)
            assert len(data) == row.bytes
            picture, _ = coder.decode(data)
            assert picture.shape == (row.height, row.width, 3)


def test_records_hold_every_image_of_every_mode_and_size(finished):
    table = records.read([finished / "results/tiny/records/fig7_kodak_rd.parquet"])
    assert set(table["image"]) == {"odd", "gray", "transparent", "dot"}
    assert set(table["method"]) == {"ste", "uniform", "sga", "ssl"}
    assert set(table["step"]) == {0, 2, 4}
    assert table[["true_loss", "method_loss", "bpp", "psnr"]].notna().all().all()
    odd = table[table["image"] == "odd"]
    assert (odd["width"] == 90).all()
    assert (odd["height"] == 70).all()
    ssl = table[table["method"] == "ssl"]
    assert all(json.loads(text) == {"a": 2.3} for text in ssl["parameters"])
    assert (ssl["target_lmbda"] == ssl["model_lmbda"]).all()


def test_a_second_run_does_nothing(finished, snakemake):
    assert "Nothing to be done" in snakemake(finished, *CONFIG).stdout


def test_a_changed_label_redraws_and_refines_nothing(finished, snakemake):
    write_config(finished, {"methods": TINY["methods"] | {"ssl": {"color": "#000000"}}})
    ran = started(snakemake(finished, "-n", *CONFIG).stdout)
    write_config(finished)
    assert any(message.startswith("Drawing fig2") for message in ran)
    assert not any(message.startswith(("Refining", "Training", "Gathering")) for message in ran)


def test_another_runs_records_are_drawn_and_judged_and_nothing_is_refined(finished, snakemake):
    write_config(finished, {"run": "redrawn", "records": "results/tiny"}, "redrawn.yaml")
    ran = started(snakemake(finished, "--cores", "2", "--configfile", "redrawn.yaml", "--", "claims", "tables").stdout)
    assert {message.split()[0] for message in ran} == {"Making", "Drawing", "Judging"}
    for path in ("claims.csv", "tables/table3_classes.csv", "tables/bd_kodak.csv"):
        assert (finished / "results/redrawn" / path).read_bytes() == (finished / "results/tiny" / path).read_bytes()
    missing = snakemake(finished, "-n", *CONFIG, "--config", "records=nowhere", ok=False)
    assert "records: nowhere/records/" in missing.stdout


FIGURE_2 = ("results/again/records/fig2_true_loss.parquet", "--cores", "2", "--configfile", "again.yaml")


@pytest.fixture(scope="module")
def again(finished, snakemake):
    """The same checkout with Figure 2's refinements in a run of their own, to be changed."""
    write_config(finished, {"run": "again"}, "again.yaml")
    snakemake(finished, *FIGURE_2)
    return finished


def test_a_changed_method_refines_again_alone(again, snakemake):
    before = records.read([again / FIGURE_2[0]]).set_index(KEYS)["true_loss"].sort_index()
    write_config(again, {"run": "again", "methods": TINY["methods"] | {"ste": {"lr": 2.0e-2}}}, "again.yaml")
    printed = snakemake(again, *FIGURE_2).stdout
    after = records.read([again / FIGURE_2[0]]).set_index(KEYS)["true_loss"].sort_index()
    refined = set(re.findall(r"^low (.*): +\d+%", printed.replace("\r", "\n"), re.MULTILINE))
    assert refined == {"ste, target 0.01, seed 0"}
    assert "low sga, target 0.01, seed 0: done before" in printed
    assert not any(message.startswith("Training") for message in started(printed))
    changed = (before != after).groupby("method").any()
    assert changed.to_dict() == {"sga": False, "ssl": False, "ste": True, "uniform": False}


def test_a_job_that_was_killed_goes_on_with_the_refinement_that_it_was_at(again, snakemake):
    """As if killed before its last refinement: what it had done is kept, its outputs are not there."""
    part = again / "results/again/refinements/pictures/low/part0_chunk0.parquet"
    before = records.read([part])
    uniform = set(before.loc[before["variant"] == "uniform", "seconds"])
    kept = list((again / "results/again/refinements/kept").glob("*.parquet"))
    last = [path for path in kept if set(records.read([path])["seconds"]) <= uniform]
    assert len(last) == before["image"].nunique()
    for path in (*last, part):
        path.unlink()
    target = str(part.relative_to(again))
    printed = snakemake(again, target, *FIGURE_2[1:]).stdout
    after = records.read([part])
    assert printed.count("done before") == len(before.groupby(["target_lmbda", "variant"])) - 1
    pd.testing.assert_frame_equal(after.drop(columns=MEASURED), before.drop(columns=MEASURED))


def test_a_changed_picture_is_noticed(finished, snakemake):
    picture = finished / "pictures/gray.png"
    before = picture.read_bytes()
    Image.new("L", (64, 64), 77).save(picture)
    ran = started(snakemake(finished, "-n", *CONFIG).stdout)
    assert "Reading the images of data set pictures" in ran
    picture.write_bytes(before)


def test_images_per_job_changes_nothing(finished, snakemake):
    models = {
        name: {"lmbda": model["lmbda"], "path": f"results/tiny/models/{name}/model.pth"}
        for name, model in TINY["models"].items()
    }
    single = {"run": "single", "models": models, "refinement": TINY["refinement"] | {"images_per_job": 1}}
    write_config(finished, single, "single.yaml")
    target = "results/single/records/fig7_kodak_rd.parquet"
    snakemake(finished, target, "--cores", "2", "--configfile", "single.yaml")
    tables = [
        records.read([finished / f"results/{run}/records/fig7_kodak_rd.parquet"]).set_index(KEYS)["true_loss"]
        for run in ("tiny", "single")
    ]
    pd.testing.assert_series_equal(tables[0].sort_index(), tables[1].sort_index(), rtol=1e-3)


def test_the_report_opens_with_the_claims_and_holds_figures_tables_and_captions(finished, snakemake):
    snakemake(finished, *CONFIG, "report")
    report = (finished / "results/tiny/report.html").read_text()
    for text in ("Figure 2: refinement over steps", "Table 1: true R-D loss by highest temperature", "SSL"):
        assert text in report
    assert PAPER["claims"]["third_class"]["text"] in report
    assert "Only a test." in report


def test_gpu_jobs_run_one_at_a_time_and_auto_says_that_it_falls_back(finished, snakemake):
    write_config(finished, {"run": "auto", "device": "auto"})
    try:
        printed = snakemake(finished, *CONFIG, "--cores", "4", "results/auto/records/fig7_kodak_rd.parquet").stdout
    finally:
        write_config(finished)
    running, most = set(), 0
    for line in printed.splitlines():
        if job := re.match(r"Job (\d+): (Refining|Training|Comparing)", line):
            running.add(job[1])
        if job := re.match(r"Finished jobid: (\d+)", line):
            running.discard(job[1])
        most = max(most, len(running))
    assert most == 1
    jobs = [message for message in started(printed) if message.startswith(("Refining", "Training", "Comparing"))]
    assert jobs.count("Comparing the GPU with the CPU") == 1
    if not torch.cuda.is_available():
        assert printed.count("auto found no GPU; computing on the CPU\n") == len(jobs)
        assert "nothing to compare" in (finished / "results/auto/selftest.txt").read_text()


def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been_killed(finished, snakemake):
    """SIGKILL of the rule's job, twice, then a run to the end, against the model of an uninterrupted run."""
    model = TINY["models"]["low"] | {"steps": 400}
    training = TINY["training"] | {"save_minutes": 0, "evaluate_every": 10_000}
    for run in ("killed", "whole"):
        models = TINY["models"] | {"low": model}
        write_config(finished, {"run": run, "models": models, "training": training}, f"{run}.yaml")
    target = ("results/killed/models/low/model.pth", "--cores", "2", "--configfile", "killed.yaml")
    folder = finished / "results/killed/models/low"
    reached = [0]
    for _ in range(2):
        killer = threading.Thread(target=kill_training, args=(folder, reached[-1]), daemon=True)
        killer.start()
        printed = snakemake(finished, *target, ok=False).stdout
        killer.join(timeout=10)
        assert "Error in rule train_model" in printed
        reached.append(step_of(folder))
        assert reached[-2] < reached[-1] < 400
    printed = snakemake(finished, *target).stdout
    assert f"going on from step {reached[-1]} of 400" in printed
    snakemake(finished, "results/whole/models/low/model.pth", "--cores", "2", "--configfile", "whole.yaml")
    killed, whole = (load_state(finished / f"results/{run}/models/low/model.pth") for run in ("killed", "whole"))
    assert all(torch.equal(killed[name], whole[name]) for name in whole)


def step_of(folder):
    """How far the training of a model has saved itself."""
    (state,) = folder.glob("state_*.pth")
    return torch.load(state, weights_only=True)["step"]


def kill_training(folder, beyond):
    """Kill the process that trains as soon as it has saved a later state than step ``beyond``."""
    while True:
        time.sleep(0.02)
        trainers = [p for p in psutil.process_iter(["cmdline"]) if is_trainer(p, folder)]
        with suppress(Exception):  # the file is replaced all the time
            if trainers and step_of(folder) > beyond:
                trainers[0].kill()
                return


def is_trainer(process, folder):
    """A process of the workflow's checkout that runs the training script."""
    with suppress(psutil.Error):
        inside = Path(process.cwd()).samefile(folder.parents[3])
        return inside and any(part.endswith("train_model.py") for part in process.info["cmdline"] or [])
    return False


def failing(tmp_path, snakemake, changes=None):
    """Runs a checkout that must fail; returns it and what was printed."""
    write_config(tmp_path, changes)
    return snakemake(tmp_path, *CONFIG, ok=False).stdout


def test_a_truncated_picture_is_named_with_the_remedy_and_nothing_is_half_written(tmp_path, snakemake):
    checkout(tmp_path)
    photographs(tmp_path / "pictures")
    picture = tmp_path / "pictures/odd.png"
    picture.write_bytes(picture.read_bytes()[:400])
    printed = failing(tmp_path, snakemake)
    assert len(re.findall(r"error: .*odd\.png: not a readable image .*Replace the file", printed)) == 1
    assert "Traceback" not in printed
    assert "odd.png" in (tmp_path / "results/tiny/logs/index_dataset/pictures.log").read_text()
    assert not (tmp_path / "results/tiny/datasets/pictures.csv").exists()


def test_an_empty_folder_is_named_with_the_remedy(tmp_path, snakemake):
    checkout(tmp_path)
    (tmp_path / "pictures").mkdir()
    assert re.search(r"pictures: holds no images\. Put images there", failing(tmp_path, snakemake))


def test_a_loss_that_is_not_finite_names_image_and_method_and_keeps_the_record(finished, snakemake):
    write_config(finished, {"run": "broken", "methods": TINY["methods"] | {"ssl": {"lr": 1.0e36}}})
    target = "results/broken/records/fig2_true_loss.parquet"
    try:
        printed = snakemake(finished, *CONFIG, target, ok=False).stdout
    finally:
        write_config(finished)
    assert re.search(r"error: image \w+: the loss stopped being finite at step \d+ with rounding 'ssl'", printed)
    kept = list((finished / "results/broken/logs").rglob("*.failed.parquet"))
    assert kept
    assert (records.read(kept)["method"] == "ssl").all()
    assert not list((finished / "results/broken/refinements").rglob("ssl/seed0/*.parquet"))
