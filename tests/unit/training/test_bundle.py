from __future__ import annotations

import json
import re

import pytest
import torch
from compressai.models.google import MeanScaleHyperprior
from PIL import Image

from sgaplus.codec.hyperprior import load_state, save_state, widths
from sgaplus.data import images
from sgaplus.paths import shipped
from sgaplus.training import bundle
from sgaplus.training.trainer import evaluation_of, write_metrics


def test_half_precision_halves_the_file_and_loads_in_plain_compressai(trained, tmp_path, picture):
    save_state(trained.state_dict(), tmp_path / "full.pth")
    save_state(bundle.half_precision(load_state(tmp_path / "full.pth")), tmp_path / "half.pth")
    weights = sum(value.numel() for value in trained.parameters())
    assert (tmp_path / "half.pth").stat().st_size < 2 * weights + 50_000
    loaded = MeanScaleHyperprior.from_state_dict(torch.load(tmp_path / "half.pth", weights_only=True)).eval()
    loaded.update()
    x = picture(64, 64)[None]
    coded, exact = loaded.compress(x), trained.compress(x)
    assert sum(len(s[0]) for s in coded["strings"]) == pytest.approx(sum(len(s[0]) for s in exact["strings"]), abs=8)
    decoded = loaded.decompress(coded["strings"], coded["shape"])["x_hat"]
    with torch.no_grad():
        torch.testing.assert_close(decoded, loaded(x)["x_hat"].clamp(0, 1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("path", sorted(shipped("workflow/models").glob("*.pth")), ids=lambda p: p.stem)
def test_the_models_in_the_box_have_weights_in_half_precision_and_compressais_own_constants(path):
    state = torch.load(path, weights_only=True)
    fresh = MeanScaleHyperprior(*widths(state))
    weights = dict(fresh.named_parameters())
    for name, value in fresh.state_dict().items():
        assert state[name].dtype == (torch.float16 if name in weights else value.dtype), name
        assert name in weights or state[name].equal(value), name


def test_a_bundle_holds_models_curve_recipes_and_card(trained, photograph, tmp_path):
    for seed in range(2):
        Image.fromarray(photograph(64, 80, seed).pixels).save(tmp_path / f"{seed}.png")
    found = images.index({"path": str(tmp_path)})
    save_state(trained.state_dict(), tmp_path / "model.pth")
    rows = [{"step": step, "steps_per_second": 2.0} for step in (0, 119, 239)]
    write_metrics(rows, tmp_path / "training.csv")
    card = {
        "model": {"lmbda": 0.05, "dataset": "photos", "steps": 240, "start_from": "other"},
        "training": {"batch_size": 8, "crop": 64, "optimizer": "adam", "seed": 3, "threads": 1},
        "hardware": {"processor": "A processor", "gpus": "none"},
    }
    files = {"model": str(tmp_path / "model.pth"), "metrics": str(tmp_path / "training.csv")}
    table = bundle.write({"tiny": files}, {"tiny": card}, "pictures", found, tmp_path / "out")
    assert list(table.columns) == list(bundle.CURVE)
    stored = MeanScaleHyperprior.from_state_dict(load_state(tmp_path / "out/tiny.pth"))
    measured = evaluation_of(stored, found, 0.05, torch.device("cpu"))
    assert table.loc[0, ["loss", "bpp", "psnr"]].tolist() == pytest.approx(list(measured.values()))
    readme = (tmp_path / "out/README.md").read_text()
    assert "the 2 images of `pictures`" in readme
    for text in ("tiny", "photos", "other", "240", "8 of 64 x 64", "A processor", f"{table.loc[0, 'psnr']:.2f}"):
        assert text in readme
    assert re.search(r"\| +2 \|", readme)  # minutes: 240 steps at two a second
    assert json.loads((tmp_path / "out/recipes.json").read_text()) == {"tiny": card}
