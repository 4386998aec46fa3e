from __future__ import annotations

import re

import pandas as pd

from sgaplus.artifacts import model_card
from sgaplus.training.bundle import CURVE


def test_the_card_says_what_models_reach_and_how_they_were_made(tmp_path):
    rows = [{"step": step, "steps_per_second": 2.0} for step in (0, 119, 239)]
    pd.DataFrame(rows).to_csv(tmp_path / "training.csv", index=False)
    card = {
        "model": {"lmbda": 0.05, "dataset": "photos", "steps": 240, "start_from": "other", "batch_size": 8},
        "training": {"batch_size": 16, "crop": 64, "optimizer": "adam", "seed": 3, "threads": 1},
        "hardware": {"processor": "A processor", "gpus": "none"},
    }
    beside = {"JPEG": 27.5, "JPEG 2000": float("nan"), "WebP": 28.0, "AVIF": 29.0, "JPEG XL": 28.5}
    beside |= {f"{name} MS-SSIM": 0.9 + psnr / 1000 for name, psnr in beside.items()}
    curve = pd.DataFrame([["tiny", 0.05, 8, 12, 1.5, 0.25, 28.125, 0.93]], columns=list(CURVE)).assign(**beside)
    text = model_card.text(curve, {"tiny": card}, {"tiny": tmp_path / "training.csv"}, "pictures", 2)
    assert "the 2 images of `pictures`" in text
    reached, similar, made = (
        [cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| tiny .*$", text, re.M)
    )
    assert reached == ["tiny", "0.05", "8", "12", "0.2500", "28.12", "27.50", "-", "28.00", "29.00", "28.50"]
    assert similar == ["tiny", "0.2500", "0.9300", "0.9275", "-", "0.9280", "0.9290", "0.9285"]
    # minutes: 240 steps at two a second
    assert made[1:8] == ["photos", "other", "240", "8 of 64 x 64", "adam", "3", "2"]
    assert made[8] == "1 threads of A processor, GPUs: none"
