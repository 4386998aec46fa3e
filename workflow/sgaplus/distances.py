"""LPIPS and DISTS: distances between pictures by what a network sees in them, where its weights are on the disk.

The weights are read where torch keeps what it has downloaded, and nothing is downloaded here. Torch is imported only
to build a network: a configuration is checked without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sgaplus.errors import WeightsError

if TYPE_CHECKING:
    from piq import ContentLoss
    from torch import Tensor
    from torch.nn import Module

T = TypeVar("T")

VGG = "https://download.pytorch.org/models/vgg16-397923af.pth"
"""Where torchvision publishes the network's weights. Both distances use it."""

OWN = {
    "lpips": "https://github.com/photosynthesis-team/photosynthesis.metrics/releases/download/v0.4.0/lpips_weights.pt",
    "dists": "https://github.com/photosynthesis-team/piq/releases/download/v0.4.1/dists_weights.pt",
}
"""Where piq publishes what each distance has learned beside it: weights of the channels."""

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
CHANNELS = (3, 64, 128, 256, 512, 512)
"""Channels of the picture and of these layers."""


def folder() -> Path:
    """The folder of the weights, ``$TORCH_HOME/hub/checkpoints``: where ``torch.hub`` has them."""
    home = os.getenv("TORCH_HOME", os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "torch"))
    return Path(os.path.expanduser(home), "hub", "checkpoints")


def file_of(url: str) -> str:
    """The name of a published file of weights."""
    return url.rsplit("/", 1)[-1]


def check(names: Iterable[str]) -> None:
    """Refuse distances whose weights are not there.

    Args:
        names: Keys of ``OWN``.

    Raises:
        WeightsError: a file is missing.
    """
    for name in names:
        missing = [url for url in (VGG, OWN[name]) if not (folder() / file_of(url)).is_file()]
        if missing:
            files = ", ".join(f"{file_of(url)} (published at {url})" for url in missing)
            raise WeightsError(
                f"{name} needs weights that are not in {folder()}: {files}. They are not downloaded by themselves. Put "
                "them there, or set TORCH_HOME to a folder that has them in hub/checkpoints."
            )


def network(name: str) -> ContentLoss:
    """What measures a distance, float32 (1, 3, H, W) in [0, 1] twice to a scalar: piq's, built once.

    Raises:
        WeightsError: its weights are missing, or are not those that are published.
    """
    return _built(name, folder())


@cache
def _built(name: str, place: Path) -> ContentLoss:
    from piq import DISTS, LPIPS, ContentLoss
    from piq.perceptual import VGG16_LAYERS

    check([name])
    # each as its constructor makes it, which would download what is missing and run code that a file holds
    made: dict[str, tuple[Any, Callable[[Any], list[Tensor]], dict[str, bool]]] = {
        "lpips": (LPIPS, _of_lpips, {"normalize_features": True}),
        "dists": (DISTS, _of_dists, {"replace_pooling": True, "allow_layers_weights_mismatch": True}),
    }
    kind, take, how = made[name]
    measure = kind.__new__(kind)
    layers = [VGG16_LAYERS[layer] for layer in LAYERS]
    ContentLoss.__init__(measure, _read(VGG, place, _features), layers, _read(OWN[name], place, take), **how)
    return measure


def _read(url: str, place: Path, take: Callable[[Any], T]) -> T:
    """What is taken from a file of weights."""
    import torch

    path = place / file_of(url)
    try:
        return take(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # bytes that are no archive make the unpickler raise anything
        raise WeightsError(
            f"{path}: not the weights that are published at {url} ({type(error).__name__}). Get them again."
        ) from error


def _features(state: dict[str, Tensor]) -> Module:
    """VGG-16 without its classifier, which has nine tenths of the weights."""
    import torch
    from torchvision.models import vgg16

    with torch.device("meta"):
        features = vgg16().features
    prefix = "features."
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    features.load_state_dict(own, assign=True)
    return features


def _of_lpips(state: list[Tensor]) -> list[Tensor]:
    """A weight per channel of each layer."""
    return [weights.reshape(1, count, 1, 1) for weights, count in zip(state, CHANNELS[1:], strict=True)]


def _of_dists(state: dict[str, Tensor]) -> list[Tensor]:
    """A weight per channel of the picture and of each layer: of the means, and then of the covariances."""
    return [part for name in ("alpha", "beta") for part in state[name].reshape(1, -1, 1, 1).split(CHANNELS, dim=1)]
