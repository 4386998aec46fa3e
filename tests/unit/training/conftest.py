"""Photographs to train on."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def photographs(photograph):
    return [photograph(80, 100, seed) for seed in range(4)]
