from __future__ import annotations

import pytest

from sgaplus.artifacts.table import write


@pytest.fixture
def written(tmp_path):
    """Writes a table and returns its four texts."""

    def write_all(table):
        files = {name: tmp_path / f"table.{name}" for name in ("csv", "md", "html", "tex")}
        write(table, files)
        return [file.read_text() for file in files.values()]

    return write_all
