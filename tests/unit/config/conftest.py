from __future__ import annotations

import pytest

from sgaplus.config.references import validated

from .configurations import overlaid


@pytest.fixture(scope="module")
def paper() -> dict:
    return validated(overlaid("config.yaml"))


@pytest.fixture(scope="module")
def demo() -> dict:
    return validated(overlaid("config.yaml", "demo.yaml"))
