"""Made-up weights of LPIPS and DISTS, in the formats that the true ones are published in."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torchvision.models import vgg16

from sgaplus import distances


def write(folder: Path) -> None:
    """Write the files of all distances, as torch would have downloaded them."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in vgg16().state_dict().items()}
    features = {
        name: _layer(shape, generator) if name.startswith("features") else torch.zeros(1).expand(shape)
        for name, shape in shapes.items()
    }
    lpips = [torch.rand(1, count, 1, 1, generator=generator) for count in distances.CHANNELS[1:]]
    alpha, beta = torch.rand(2, 1, sum(distances.CHANNELS), 1, 1, generator=generator)
    total = alpha.sum() + beta.sum()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(features, folder / distances.file_of(distances.VGG))
    torch.save(lpips, folder / distances.file_of(distances.OWN["lpips"]))
    torch.save({"alpha": alpha / total, "beta": beta / total}, folder / distances.file_of(distances.OWN["dists"]))


def _layer(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Weights or offsets that keep the size of what passes."""
    if len(shape) == 1:
        return torch.zeros(shape)
    return torch.randn(shape, generator=generator) * math.sqrt(2 / shape[1:].numel())
