"""The refinement methods of config/config.yaml, for a caller that needs no other part of the configuration."""

from __future__ import annotations

from typing import Any

import yaml

from sgaplus.config import schema
from sgaplus.paths import shipped

CONFIG = shipped("config/config.yaml")


def read() -> dict[str, dict[str, Any]]:
    """The entries of ``methods`` by name, checked by the schema, with defaults filled in.

    Raises:
        ConfigError: one line that names the key, what is wrong and what would be right.
    """
    methods = {"methods": yaml.safe_load(CONFIG.read_text())["methods"]}
    schema.check(methods, schema.section("methods"))
    return methods["methods"]
