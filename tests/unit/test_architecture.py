"""The library's packages stand on one another: an import goes only to an earlier one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sgaplus.code_version import LIBRARY

STAGES = ["data", "codec", "refinement", "training", "analysis", "artifacts", "config", "benchmarks", "cli"]
"""In their order, over a ground floor of single modules."""

LAST = {"__main__"}
"""Modules outside the packages that may import any."""

MODULES = sorted(path.relative_to(LIBRARY) for path in LIBRARY.rglob("*.py"))


def floor(module: str) -> int:
    """How far up a module is, by its dotted name below the library."""
    first = module.split(".")[0]
    return STAGES.index(first) + 1 if first in STAGES else len(STAGES) + 1 if first in LAST else 0


def imported(path: Path) -> set[str]:
    """The modules of the library that a file imports anywhere, also for annotations alone."""
    found = set()
    for node in ast.walk(ast.parse((LIBRARY / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "sgaplus":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sgaplus."):
            found.add(node.module.removeprefix("sgaplus."))
    return found


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_an_import_goes_only_down(path):
    module = ".".join(path.with_suffix("").parts)
    assert {name for name in imported(path) if floor(name) > floor(module)} == set()


def test_every_folder_is_a_stage_and_its_init_file_is_empty():
    folders = {path.name for path in LIBRARY.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(STAGES)
    assert all(path.read_text() == "" for path in LIBRARY.glob("*/**/__init__.py"))


def test_tests_mirror_the_packages():
    tests = Path(__file__).parent
    for path in tests.glob("*/**/test_*.py"):
        module = LIBRARY / path.parent.relative_to(tests) / path.name.removeprefix("test_")
        assert module.is_file(), path.name
