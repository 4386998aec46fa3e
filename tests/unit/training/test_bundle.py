from __future__ import annotations

import pytest
import torch
from compressai.models.google import MeanScaleHyperprior
from PIL import Image

from sgaplus.codec.bitstream import unrefined
from sgaplus.codec.frozen import Codec
from sgaplus.codec.hyperprior import load_state, save_state, widths
from sgaplus.data.sources import Folder
from sgaplus.metrics import ms_ssim_of
from sgaplus.paths import shipped
from sgaplus.training import bundle
from sgaplus.training.evaluation import evaluate


def test_half_precision_halves_the_file_and_loads_in_plain_compressai(trained, tmp_path, picture):
    save_state(trained.state_dict(), tmp_path / "full.pth")
    bundle.save_packed(bundle.half_precision(load_state(tmp_path / "full.pth")), tmp_path / "half.pth")
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


def test_packed_files_hold_the_same_are_smaller_and_equal_for_equal_weights(trained, tmp_path):
    state = bundle.half_precision(trained.state_dict())
    save_state(state, tmp_path / "plain.pth")
    sizes = []
    for name in ("packed.pth", "again.pth"):
        bundle.save_packed(state, tmp_path / name)
        sizes.append((tmp_path / name).stat().st_size)
    assert (tmp_path / "packed.pth").read_bytes() == (tmp_path / "again.pth").read_bytes()
    assert sizes[0] < 0.9 * (tmp_path / "plain.pth").stat().st_size
    packed = torch.load(tmp_path / "packed.pth", weights_only=True)
    assert all(packed[name].equal(value) for name, value in state.items())
    assert packed.keys() == state.keys()


def test_kernels_keep_nine_significant_bits(trained):
    state = trained.state_dict()
    half = bundle.half_precision(state)
    kernel = state["g_a.0.weight"]
    torch.testing.assert_close(half["g_a.0.weight"].float(), kernel, rtol=2**-9, atol=2**-24)
    kept = half["g_a.0.weight"].view(torch.int16)[kernel.abs() > 2**-14]  # float16 has fewer bits below
    assert not (kept & 0b11).any()


@pytest.mark.parametrize("path", sorted(shipped("workflow/models").glob("*.pth")), ids=lambda p: p.stem)
def test_the_models_in_the_box_have_weights_in_half_precision_and_compressais_own_constants(path):
    state = torch.load(path, weights_only=True)
    fresh = MeanScaleHyperprior(*widths(state))
    weights = dict(fresh.named_parameters())
    for name, value in fresh.state_dict().items():
        assert state[name].dtype == (torch.float16 if name in weights else value.dtype), name
        assert name in weights or state[name].equal(value), name


def test_the_curve_is_that_of_the_models_as_stored(trained, photograph, tmp_path):
    for seed in range(2):
        Image.fromarray(photograph(170, 180, seed).pixels).save(tmp_path / f"{seed}.png")
    found = Folder(str(tmp_path)).index()
    save_state(bundle.half_precision(trained.state_dict()), tmp_path / "tiny.pth")
    table = bundle.measure({"tiny": tmp_path / "tiny.pth"}, {"tiny": 0.05}, found)
    assert list(table.columns) == list(bundle.CURVE)
    stored = MeanScaleHyperprior.from_state_dict(load_state(tmp_path / "tiny.pth"))
    measured = evaluate(stored, found, 0.05, torch.device("cpu"))
    assert table.loc[0, ["loss", "bpp", "psnr"]].tolist() == pytest.approx(list(measured))
    codec, pictures = Codec.load(tmp_path / "tiny.pth"), [image.read() for image in found]
    similar = [ms_ssim_of(pixels, unrefined(codec, pixels)) for pixels in pictures]
    assert table.loc[0, "ms_ssim"] == pytest.approx(sum(similar) / 2)
