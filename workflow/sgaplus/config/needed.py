"""The data sets that a configuration needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sgaplus.config.plan import trained_here
from sgaplus.data.datasets import kind
from sgaplus.data.inventory import unobtained


def used(config: Mapping[str, Any]) -> set[str]:
    """The data sets that models are trained or evaluated on or an experiment refines, and their parts."""
    trainings = [model for model in config["models"].values() if trained_here(model)]
    pending = [entry["dataset"] for entry in (*trainings, *config["experiments"].values()) if "dataset" in entry]
    if trainings and "evaluate_on" in config["training"]:
        pending.append(config["training"]["evaluate_on"])
    found: set[str] = set()
    while pending:
        name = pending.pop()
        found.add(name)
        pending += config["datasets"][name].get("parts", []) if kind(config["datasets"][name]) == "parts" else []
    return found


def optional(config: Mapping[str, Any], folder: Path) -> set[str]:
    """The data sets that are given only to those who register, not there, and of no use in this configuration."""
    return {name for name in config["datasets"].keys() - used(config) if unobtained(config["datasets"], name, folder)}
