"""The data sets that a configuration needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sgaplus.config.plan import trained_here
from sgaplus.data.datasets import Sources, unobtained


def used(config: Mapping[str, Any], datasets: Sources) -> set[str]:
    """The data sets that models are trained or evaluated on or an experiment refines, and their parts."""
    trainings = [model for model in config["models"].values() if trained_here(model)]
    pending = [entry["dataset"] for entry in (*trainings, *config["experiments"].values()) if "dataset" in entry]
    if trainings and "evaluate_on" in config["training"]:
        pending.append(config["training"]["evaluate_on"])
    found: set[str] = set()
    while pending:
        name = pending.pop()
        found.add(name)
        pending += datasets[name].needs
    return found


def optional(config: Mapping[str, Any], datasets: Sources, folder: Path) -> set[str]:
    """Registration-only data sets that are absent and that this configuration does not use."""
    return {name for name in datasets.keys() - used(config, datasets) if unobtained(datasets, name, folder)}
