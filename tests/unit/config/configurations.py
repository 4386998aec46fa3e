"""Configurations that tests of the configuration share: the shipped ones, and a small one with changes."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from sgaplus.config import schema
from sgaplus.config.references import validated
from sgaplus.errors import ConfigError

CONFIG = Path(__file__).parents[3] / "config"
SCHEMA = schema.load()

SMALL = yaml.safe_load("""
run: test
datasets:
  photos: {path: photos}
  tiny: {package: skimage.data, files: [coffee.png]}
models:
  low: {lmbda: 0.01, N: 8, M: 8, steps: 10, dataset: tiny}
  high: {lmbda: 0.02, path: high.pth}
methods:
  sga: {label: SGA, rounding: sga, tau_max: 0.5}
  ssl: {label: SSL, rounding: ssl, parameters: {a: 2.3}}
experiments:
  curves: {title: Curves, figure: loss_curves, dataset: photos, models: [low], methods: [sga, ssl], steps: [20]}
  table: {title: Table, table: steps, dataset: photos, models: [low], methods: [sga], steps: [10, 40]}
""")


def parent(config: dict, place: str) -> tuple[dict, str]:
    """The mapping that a dotted place lies in, and its key there."""
    *path, key = place.split(".")
    for name in path:
        config = config.setdefault(name, {})
    return config, key


def small(**changes) -> dict:
    """The small configuration, with values put at dotted places: small(**{"models.low.lmbda": 1})."""
    config = copy.deepcopy(SMALL)
    for place, value in changes.items():
        entry, key = parent(config, place)
        entry[key] = value
    return config


def without(place: str) -> dict:
    config = small()
    entry, key = parent(config, place)
    del entry[key]
    return config


def swept(sweep: dict, *methods: str) -> dict:
    """The small configuration with a table of a sweep, of SGA and SSL unless other methods are named."""
    entry = {"title": "Sweep", "table": "sweep", "dataset": "photos", "models": ["low"], "steps": [20]}
    return small(**{"experiments.sweep": entry | {"methods": list(methods or ("sga", "ssl")), "sweep": sweep}})


def overlaid(*names: str | dict) -> dict:
    """Configurations laid over one another as Snakemake does, from left to right."""
    config: dict = {}
    for name in names:
        update_config(config, load_configfile(CONFIG / name) if isinstance(name, str) else name)
    return config


def refusal(config: dict) -> str:
    """The line that a configuration is refused with."""
    with pytest.raises(ConfigError) as caught:
        validated(config)
    message = str(caught.value)
    assert "\n" not in message
    return message


CLAIM = {"text": "It is so.", "source": "Section 1", "experiment": "curves"}

PROBABILITIES = {"title": "Figure 1", "figure": "probabilities", "methods": ["sga"]}
