"""Which changes of code change a result's identity, and which do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sgaplus import code_version

HELPER = '''
import math

LIMIT, UNUSED = 3, 4
registry = {}
registry["touched"] = True

def helped(x):
    """Once."""
    return math.sqrt(x) + LIMIT

def other(x):
    return x
'''

MAIN = '''
"""What this is."""
from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tqdm import tqdm

from sgaplus import helper, words
from sgaplus.errors import ConfigError

if TYPE_CHECKING:
    from sgaplus.other import Thing

logger = logging.getLogger(__name__)

FACTOR = 2.0
"""What it is multiplied by."""


class Base:
    """A base."""

    def value(self, thing: Thing) -> float:
        """Its value."""
        return FACTOR  # two


class Machine(Base):
    a: float = 1.0

    def run(self, xs: list) -> list:
        found = []
        if not xs:
            raise ConfigError(f"{xs}: nothing there")
        with tqdm(total=len(xs), desc="running") as bar:
            for x in xs:
                found.append(helper.helped(x))
                bar.update()
        logger.info("%d done", len(found))
        assert found, "nothing"
        return found


def lazily():
    from sgaplus.helper import helped as renamed

    return renamed(1)


def unrelated():
    return 0
'''


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    """A library of a few modules, to be edited."""
    folder = tmp_path / "sgaplus"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "main.py").write_text(MAIN)
    (folder / "helper.py").write_text(HELPER)
    for name in ("words", "other", "errors"):
        (folder / f"{name}.py").write_text("class ConfigError(Exception):\n    pass\n")
    monkeypatch.setattr(code_version, "LIBRARY", folder)
    return folder


def edited(library: Path, module: str, old: str, new: str) -> None:
    path = library / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


HARMLESS = {
    "a comment": ("main", "# two", "# three"),
    "a docstring": ("main", '"""Its value."""', '"""Its value, in words."""'),
    "a docstring less": ("main", '        """Its value."""\n', ""),
    "a module's docstring": ("main", '"""What this is."""', ""),
    "a constant's description": ("main", '"""What it is multiplied by."""\n', ""),
    "another layout": ("main", "helper.helped(x)", "helper.helped(\n                        x\n                    )"),
    "an annotation": ("main", "thing: Thing) -> float", "thing)"),
    "the words of an error": ("main", "nothing there", "is empty"),
    "the words of an assertion": ("main", ', "nothing"', ""),
    "a message of the log": ("main", '"%d done"', '"%d images are done"'),
    "a message more": (
        "main",
        "        found = []\n",
        '        found = []\n        if xs:\n            logger.info("go")\n',
    ),
    "a bar's name": ("main", 'desc="running"', 'desc="run"'),
    "no bar": (
        "main",
        '        with tqdm(total=len(xs), desc="running") as bar:\n            for x in xs:\n'
        "                found.append(helper.helped(x))\n                bar.update()\n",
        "        for x in xs:\n            found.append(helper.helped(x))\n",
    ),
    "a bar around a loop": ("main", "            for x in xs:", "            for x in tqdm(xs):"),
    "an import for annotations": ("main", "from sgaplus.other import Thing", "from sgaplus.other import Thing, Other"),
    "a function that it does not use": ("main", "return 0", "return 1"),
    "another function of a module that it uses": ("helper", "return x\n", "return -x\n"),
    "a new function beside": ("helper", "def other", "def third():\n    return 3\n\ndef other"),
    "plumbing": ("errors", "pass", "x = 1"),
    "a module that it names in annotations alone": ("other", "pass", "x = 1"),
}


@pytest.mark.parametrize("edit", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_changes_no_result_changes_no_version(library, edit):
    before = code_version.of(library / "main.py", "Machine")
    edited(library, *edit)
    assert code_version.of(library / "main.py", "Machine") == before


HARMFUL = {
    "an operation": ("helper", "math.sqrt(x) + LIMIT", "math.sqrt(x) - LIMIT"),
    "a constant": ("helper", "LIMIT, UNUSED = 3, 4", "LIMIT, UNUSED = 5, 4"),
    "a function from elsewhere": ("helper", "import math", "import cmath as math"),
    "what is done on import": ("helper", '"touched"] = True', '"touched"] = False'),
    "a default": ("main", "a: float = 1.0", "a: float = 2.0"),
    "a field's type": ("main", "a: float = 1.0", "a: ClassVar[float] = 1.0"),
    "a base": ("main", "return FACTOR", "return 2 * FACTOR"),
    "a constant of a base": ("main", "FACTOR = 2.0", "FACTOR = 2.5"),
    "another kind of error": ("main", "raise ConfigError", "raise ValueError"),
    "a condition": ("main", "if not xs", "if xs is None"),
    "what a bar goes over": ("main", "            for x in xs:", "            for x in tqdm(xs[1:]):"),
    "a text that is a value": ("main", "found = []", 'found = ["text"]'),
    "true instead of one": ("main", "found = []", "found = [True]"),
}


@pytest.mark.parametrize("edit", HARMFUL.values(), ids=HARMFUL.keys())
def test_what_may_change_a_result_changes_the_version(library, edit):
    before = code_version.of(library / "main.py", "Machine")
    edited(library, *edit)
    assert code_version.of(library / "main.py", "Machine") != before


def test_imports_inside_functions_are_followed(library):
    before = code_version.of(library / "main.py", "lazily")
    edited(library, "helper", "+ LIMIT", "- LIMIT")
    assert code_version.of(library / "main.py", "lazily") != before


def test_a_name_that_another_module_passes_on_is_followed(library):
    (library / "door.py").write_text("from sgaplus.helper import helped\n")
    (library / "user.py").write_text("from sgaplus.door import helped\n\ndef use():\n    return helped(2)\n")
    before = code_version.of(library / "user.py", "use")
    edited(library, "helper", "+ LIMIT", "- LIMIT")
    assert code_version.of(library / "user.py", "use") != before


def test_a_module_that_is_handed_on_counts_whole(library):
    (library / "user.py").write_text("from sgaplus import helper\n\ndef use(f):\n    return f(helper)\n")
    before = code_version.of(library / "user.py", "use")
    edited(library, "helper", "return x\n", "return -x\n")
    assert code_version.of(library / "user.py", "use") != before


@pytest.mark.parametrize(
    "text",
    [
        "def use(helper):\n    return helper\n",
        "def use(xs):\n    return [helper for helper in xs]\n",
        "def use():\n    helper = 1\n    return helper\n",
        "class use:\n    helper: int = 0\n",
    ],
)
def test_a_local_name_is_no_use_of_the_module_of_that_name(library, text):
    (library / "user.py").write_text(f"from sgaplus import helper\n\n{text}")
    before = code_version.of(library / "user.py", "use")
    edited(library, "helper", "return x\n", "return -x\n")
    assert code_version.of(library / "user.py", "use") == before


def test_moving_a_definition_to_another_module_changes_no_version(library):
    before = code_version.of(library / "main.py", "lazily")
    (library / "elsewhere.py").write_text((library / "helper.py").read_text())
    edited(library, "main", "from sgaplus.helper import helped", "from sgaplus.elsewhere import helped")
    assert code_version.of(library / "main.py", "lazily") == before


def test_taking_another_definition_of_the_same_name_changes_the_version(library):
    both = "def first():\n    return 1\n\ndef other():\n    return first()\n"
    (library / "one.py").write_text(both)
    (library / "two.py").write_text(both.replace("return 1", "return 2"))
    text = "from sgaplus import one, two\n\ndef use():\n    return one.first() - two.first()\n"
    (library / "user.py").write_text(text)
    before = code_version.of(library / "user.py", "use")
    (library / "user.py").write_text(text.replace("import one, two", "import one as two, two as one"))
    assert code_version.of(library / "user.py", "use") != before


def test_a_package_is_followed_by_its_modules_names(library):
    (library / "stage").mkdir()
    (library / "stage" / "__init__.py").write_text("")
    (library / "stage" / "step.py").write_text("def go():\n    return 1\n")
    (library / "user.py").write_text("from sgaplus.stage import step\n\ndef use():\n    return step.go()\n")
    before = code_version.of(library / "user.py", "use")
    (library / "stage" / "step.py").write_text("def go():\n    return 2\n")
    assert code_version.of(library / "user.py", "use") != before


def test_a_file_outside_the_library_counts_whole_and_wherever_it_lies(library, tmp_path):
    text = "from sgaplus.helper import helped\n\nwith open('x') as file:\n    helped(1)\n"
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(text)
    before = code_version.of(tmp_path / "one.py")
    assert code_version.of(tmp_path / "two.py") == before
    (tmp_path / "two.py").write_text(text.replace("'x'", "'y'"))
    assert code_version.of(tmp_path / "two.py") != before
    edited(library, "helper", "+ LIMIT", "- LIMIT")
    assert code_version.of(tmp_path / "one.py") != before


def test_a_relative_import_is_refused_since_it_would_not_be_followed(library):
    (library / "user.py").write_text("from .helper import helped\n")
    with pytest.raises(ValueError, match="relative import"):
        code_version.of(library / "user.py")


def test_the_version_does_not_depend_on_where_the_library_lies(tmp_path, monkeypatch):
    here = code_version.of(code_version.LIBRARY / "refinement" / "engine.py", "refine")
    copied = tmp_path / "sgaplus"
    shutil.copytree(code_version.LIBRARY, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_version, "LIBRARY", copied)
    assert code_version.of(copied / "refinement" / "engine.py", "refine") == here
