from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def images(picture):
    """Two padded sizes; two images share one of them without sharing their own size."""
    return [("a", picture(64, 128, 1)), ("b", picture(60, 120, 2)), ("c", picture(128, 64, 3)), ("d", picture(1, 1, 4))]
