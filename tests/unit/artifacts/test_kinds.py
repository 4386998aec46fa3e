from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sgaplus.analysis.experiment import Experiment
from sgaplus.artifacts import kinds
from sgaplus.artifacts.kinds import Kind

FAMILIES = tuple(kinds.FOLDERS)
KINDS = [pytest.param(kind, id=f"{family}-{kind.name}") for family in FAMILIES for kind in kinds.kinds(family).values()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_leads_to_its_function_and_to_the_version_of_its_code(kind):
    function = kind.function()
    assert (function.__name__, function.__module__) == (kind.name, kind.module)
    assert re.fullmatch(r"[0-9a-f]{16}", kind.code())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_of_a_kind_is_what_it_declares(kind):
    """A declaration in other words than a reader of the source understands would be overlooked."""
    source = Path(kind.function().__code__.co_filename).read_text()
    (node,) = [node for node in ast.parse(source).body if getattr(node, "name", "") == kind.name]
    assert len(node.decorator_list) == 1
    assert kind.says == kind.function().__doc__.split("\n\n")[0].replace("\n    ", " ")
    assert re.fullmatch(r"\S.*\.", kind.says)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.id.startswith("check")])
def test_a_caption_is_the_docstring_without_arguments_and_markup(kind):
    words = kind.function().__doc__.split("Args:")[0].split()
    text = kind.caption["text"]
    assert text.split() == words
    assert not re.search(r":\w+:`|Raises:", text)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_public_function_of_a_family_is_a_kind(family):
    names = {kind.name for kind in kinds.kinds(family).values()}
    for file in (kinds.HERE / kinds.FOLDERS[family]).glob("*.py"):
        if file.stem not in ("style", "training"):  # what figures share, and a figure of no experiment
            functions = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
            assert {node.name for node in functions if not node.name.startswith("_")} <= names, file.name


def test_a_wrong_declaration_fails_where_it_is_written():
    with pytest.raises(TypeError, match="neds"):
        kinds.table(neds=("against",))


def test_each_kind_has_a_version_of_its_own():
    """A change of one table makes no other anew."""
    for family in FAMILIES:
        codes = [kind.code() for kind in kinds.kinds(family).values()]
        assert len(set(codes)) == len(codes)


def experiment(**entry) -> Experiment:
    return Experiment(**{"title": "T", "methods": ("a",), "models": ("m",), "steps": (10,), "seeds": (0,)} | entry)


@pytest.mark.parametrize(
    ("kind", "entry", "misfits"),
    [
        (Kind(), {}, []),
        (Kind(swept=1), {"sweep": {"a": (1,)}}, []),
        (Kind(swept=1), {}, [("sweep", "a sweep of one parameter", 0)]),
        (Kind(swept=2), {"sweep": {"a": (1,)}}, [("sweep", "a sweep of two parameters", 1)]),
        (Kind(fewest_models=2), {"models": ("m", "n", "o")}, []),
        (Kind(fewest_models=2), {}, [("models", "two models or more", 1)]),
        (Kind(most_methods=1), {"methods": ("a", "b")}, [("methods", "one method", 2)]),
        (
            Kind(in_pairs=True),
            {"methods": tuple("abc")},
            [("methods", "methods in pairs, of two classes and of three", 3)],
        ),
        (Kind(in_pairs=True), {"methods": tuple("abcd")}, []),
        (Kind(fewest_steps=2, most_steps=2), {"steps": (1, 2, 3)}, [("steps", "two step counts", 3)]),
    ],
)
def test_an_experiment_has_as_many_of_everything_as_its_kind_needs(kind, entry, misfits):
    assert list(kind.misfits(experiment(**entry))) == misfits


@pytest.mark.parametrize("family", FAMILIES)
def test_the_documentation_has_a_row_for_every_kind(family):
    readme = (Path(__file__).parents[3] / "config/README.md").read_text()
    assert "\n".join(kinds.rows(family)) in readme, "\n" + "\n".join(kinds.rows(family))


def test_the_configuration_is_read_without_what_draws_and_computes():
    """Every job reads it, and each of these takes a second to import."""
    code = (
        "import sys; import sgaplus.config.references; from sgaplus.artifacts import kinds; kinds.kinds('table'); "
        "print({'pandas', 'matplotlib', 'torch', 'scipy'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
