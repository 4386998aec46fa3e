"""Fixtures: tiny models and images that need no download, and photographs where a developer has them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling

# before torch is loaded: as in the workflow's jobs, and one thread for each of the processes that share the cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

TOGETHER = dict.fromkeys(["test_run.py", "test_identity.py", "test_report.py"], "tiny run")
"""Files of the workflow's tests that share a run, which takes minutes."""

REPOSITORY = Path(__file__).parents[1]
PHOTOGRAPHS = Path(os.environ.get("SGAPLUS_PHOTOGRAPHS", REPOSITORY.parent / "shared" / "data"))


class ByFile(LoadScopeScheduling):
    """Sends the tests of a file to one process, and those of files that share a run."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return TOGETHER.get(Path(file).name, file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log) -> ByFile:
    return ByFile(config, log)


def photographs_in(name: str) -> Path:
    """A folder of photographs; skips the test where it is missing."""
    folder = PHOTOGRAPHS / name
    if not folder.is_dir():
        pytest.skip(f"no photographs in {folder} (set SGAPLUS_PHOTOGRAPHS to the folder above them)")
    return folder


@pytest.fixture(scope="session")
def kodak() -> Path:
    """The folder of the Kodak suite; not shipped, so tests that want it skip where it is missing."""
    return photographs_in("kodak")


@pytest.fixture(scope="session")
def photographs_of_imagenet() -> Path:
    """A folder of some JPEGs of ImageNet; not shipped, so tests that want it skip where it is missing."""
    return photographs_in("imagenet-sample")


@pytest.fixture(scope="session")
def picture():
    """Makes a smooth random picture (3, height, width) in [0, 1]."""
    import torch
    from torch.nn.functional import interpolate

    def make(height: int, width: int, seed: int = 0):
        coarse = torch.rand((1, 3, 7, 5), generator=torch.Generator().manual_seed(seed))
        return interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]

    return make


@dataclass(frozen=True)
class Photograph:
    """Pixels in memory, uint8 (height, width, 3), as training reads pictures."""

    pixels: np.ndarray

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    def read(self) -> np.ndarray:
        return self.pixels


@pytest.fixture(scope="session")
def photograph(picture):
    """Makes a smooth random photograph (height, width)."""

    def make(height: int, width: int, seed: int = 0) -> Photograph:
        return Photograph((picture(height, width, seed) * 255).byte().permute(1, 2, 0).numpy())

    return make


@pytest.fixture(scope="session")
def trained(photograph):
    """CompressAI's model of different N and M, trained for a second or two on smooth pictures."""
    import torch

    from sgaplus.training.loop import train
    from sgaplus.training.recipe import Recipe
    from tests.unit.training.tiny import CPU, OPTIONS

    size = {"N": 8, "M": 12, "steps": 150, "batch_size": 8, "crop": 64}
    recipe = Recipe(0.05, **size, lr=2e-3, warmup_steps=10, latent_gain=10.0, precision="float32")
    pictures = [photograph(96, 96, seed) for seed in range(100, 116)]
    model, _ = train(recipe, pictures, CPU, OPTIONS)
    with torch.no_grad():
        model.entropy_bottleneck.quantiles[:, 0, 1] = torch.linspace(-0.4, 0.4, 8)  # medians that are no integers
    model.update(force=True)
    return model


@pytest.fixture(scope="session")
def codec(trained):
    """The same model as a frozen codec."""
    from sgaplus.codec.frozen import Codec
    from sgaplus.codec.hyperprior import Hyperprior

    return Codec(Hyperprior.of(trained.state_dict()))


@pytest.fixture
def server():
    """A server on loopback."""
    from .server import serving

    with serving() as running:
        yield running


@pytest.fixture
def page(tmp_path_factory):
    """A page of a browser, in which nothing may go wrong; skips the test where there is no browser."""
    from .browser import browsing, installed

    if installed() is None:
        pytest.skip("NOT TESTED: no Chromium to open the page in. On Debian or Ubuntu: apt install chromium")
    with browsing(tmp_path_factory.mktemp("browser")) as opened:
        yield opened
        assert opened.errors == []


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted only by root, where the kernel allows it")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
