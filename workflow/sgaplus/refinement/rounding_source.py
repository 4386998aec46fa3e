"""The rounding classes read from their source: the file of a class, its parameters, the version of its code.

The source is parsed and not imported, because importing torch would slow every start of the workflow. A rounding
is a class of ``rounding``, known by its name, or a class of the user's own, ``file.py:Class``.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sgaplus import code_version
from sgaplus.errors import ConfigError, did_you_mean

LIBRARY = Path(__file__).parent / "rounding.py"
BASE = "Rounding"

Class = tuple[Path, str]
"""A file and the name of a class in it."""


def names() -> list[str]:
    """The library's roundings."""
    return list(_of_library())


def find(rounding: str) -> Class:
    """The class of a rounding, checked for its base class and its methods.

    Raises:
        ConfigError: no such rounding or file, no Python, or a class that is no rounding or lacks a method.
    """
    file, _, name = rounding.rpartition(":")
    if file:
        place = (Path(os.path.expanduser(file)), name)
        _check(place, rounding)
        return place
    if rounding not in _of_library():
        raise ConfigError(
            f"there is no rounding {rounding!r}.{did_you_mean(rounding, names())} One of your own is `file.py:Class`."
        )
    return LIBRARY, _of_library()[rounding]


def parameters(rounding: str) -> tuple[str, ...]:
    """The names of a rounding's parameters; raises as :func:`find`."""
    chain = reversed(_bases(find(rounding)))
    return tuple(dict.fromkeys(field for place in chain for field in _fields(_class(place))))


def code(rounding: str) -> str:
    """The version of a rounding's own code, of its bases and of the definitions they use; raises as :func:`find`."""
    path, name = find(rounding)
    return code_version.of(path, name)


def _of_library() -> dict[str, str]:
    """The library's classes by the names of their roundings."""
    found = {}
    for name, node in _classes(LIBRARY).items():
        for statement in node.body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "name":
                found[ast.literal_eval(statement.value)] = name
    return found


def _check(place: Class, rounding: str) -> None:
    path, name = place
    if not os.path.isfile(path):  # false also for a name that no file may have
        raise ConfigError(f"{path}: no such file. A rounding of your own is `file.py:Class`.")
    try:
        classes = _classes(path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # ValueError: bytes that are no text
        raise ConfigError(f"{path}: not a Python file ({error}).") from None
    if name not in classes:
        raise ConfigError(f"{path} has no class {name!r}.{did_you_mean(name, classes)}")
    try:
        bases = _bases(place)
    except RecursionError:
        raise ConfigError(
            f"{rounding}: derives from itself. Derive it from sgaplus.refinement.rounding.Rounding."
        ) from None
    if (LIBRARY, BASE) not in bases:
        raise ConfigError(
            f"{rounding}: no rounding. Derive the class from sgaplus.refinement.rounding.Rounding, or from one below "
            "it such as TwoClass."
        )
    lacking = _abstract_methods(place)
    if lacking:
        raise ConfigError(f"{rounding}: lacks the method {lacking[0]}.")


def _classes(path: Path) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in _parsed(path.read_text()).body if isinstance(node, ast.ClassDef)}


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _class(place: Class) -> ast.ClassDef:
    path, name = place
    return _classes(path)[name]


def _bases(place: Class) -> list[Class]:
    """A class and its bases, the nearest first, if they are in its file or among the library's roundings."""
    path, _ = place
    found = [place]
    for base in _class(place).bases:
        name = base.attr if isinstance(base, ast.Attribute) else ast.unparse(base)
        if name in _classes(path):
            found += _bases((path, name))
        elif name in _classes(LIBRARY):
            found += _bases((LIBRARY, name))
    return found


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """The fields of a dataclass: annotated assignments that are no class variables."""
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and "ClassVar" not in ast.unparse(statement.annotation):
            yield ast.unparse(statement.target)


def _abstract_methods(place: Class) -> list[str]:
    """The abstract methods that a class does not define, each with its arguments."""
    defined: set[str] = set()
    lacking = []
    for each in _bases(place):
        for node in _class(each).body:
            if isinstance(node, ast.FunctionDef) and node.name not in defined:
                if any("abstractmethod" in ast.unparse(decorator) for decorator in node.decorator_list):
                    lacking.append(f"{node.name}({ast.unparse(node.args)})")
                defined.add(node.name)
    return lacking
