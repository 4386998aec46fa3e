"""A hash of the code that a result depends on: of the computation, and of no text for readers or the terminal.

A definition (a function, a class, a constant) is hashed together with all definitions of the library
that it uses, in any module. The hash covers the syntax, not the text, without comments, docstrings,
annotations, logging, progress bars and the words of errors: none of them changes a result. It does not cover
the name of the module: moving a definition changes no hash.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parent
SCRIPTS = LIBRARY.parent / "scripts"
PLUMBING = frozenset(
    f"sgaplus.{name}"
    for name in (
        "errors",
        "files",
        "memory",
        "paths",
        "logs",
        "meter",
        "progress",
        "provenance",
        "code_version",
        "refinement.rounding_source",
        "artifacts.kinds",
    )
)
"""Modules that decide no result: words for the user, paths and files, memory, costs, and the versions of code."""

WATCHERS = frozenset({"logger", "bar"})
"""Objects whose calls only show the progress."""

SILENT = frozenset({"ctx", "kind", "type_comment", "returns", "annotation"})
"""Fields of syntax nodes that decide no result. Annotations in the body of a class do: they are written apart."""

ALL = "*"
"""Stands for every definition of a module."""

ON_IMPORT = ""
"""Stands for the statements of a module that do something else than define names."""

Name = tuple[str, str]
"""A definition: module and name. A file outside the library is the module ``""``."""


@dataclass(frozen=True)
class Source:
    """A definition: its syntax as text, and the definitions of the library that it uses, by their names in its code."""

    text: str
    uses: Mapping[str, Name]


def of(path: str | Path, *names: str) -> str:
    """A hash of definitions of a Python file, and of all definitions of the library that they use.

    Args:
        path: A file of the library, or a file that uses it.
        names: Functions, classes or constants at its top level; without names, all its statements.

    Raises:
        SyntaxError: a file is no Python.
        ValueError: a file has a relative import, which is not followed.
    """
    found = reached(path, *names)
    texts = {place: _hash(source.text) for place, source in found.items()}
    lines = []
    for (_, name), source in found.items():
        uses = sorted(f"{said} is {texts.get(used)}" for said, used in source.uses.items())
        lines.append(f"{name}: {source.text} {uses}")
    return _hash("\n".join(sorted(lines)))[:16]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def of_script(name: str) -> str:
    """The version of the code that a rule's script runs."""
    return of(SCRIPTS / f"{name}.py")


def reached(path: str | Path, *names: str) -> dict[Name, Source]:
    """The definitions that :func:`of` hashes."""
    path = Path(path)
    home = _module_of(path)
    found: dict[Name, Source] = {}
    pending = [(home, name) for name in names or [ALL]]
    while pending:
        module, name = pending.pop()
        file = path if module == home else _file_of(module)
        sources = _sources(module, file.read_text())
        for each in sources if name == ALL else {name, ON_IMPORT}:
            if each in sources and (module, each) not in found:
                found[module, each] = sources[each]
                pending += sources[each].uses.values()
    return found


def _module_of(path: Path) -> str:
    if not path.is_relative_to(LIBRARY):
        return ""
    return ".".join([LIBRARY.name, *path.relative_to(LIBRARY).with_suffix("").parts])


def _file_of(module: str) -> Path:
    place = LIBRARY.parent.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@cache
def _sources(module: str, text: str) -> dict[str, Source]:
    """A module's definitions by name; a name that it imports from the library leads to the definition there."""
    body = ast.parse(text).body
    imported = _imported(body)
    groups: dict[str, list[ast.stmt]] = {ON_IMPORT: []}
    for statement in _deciding(body):
        for name in _names_of(statement):
            groups.setdefault(name, []).append(statement)
    known = imported | {name: (module, name) for name in groups}
    leading = {name: Source("", {name: target}) for name, target in imported.items() if _is_followed(target)}
    groups = {name: statements for name, statements in groups.items() if statements}
    return leading | {name: _source(statements, known) for name, statements in groups.items()}


def _names_of(statement: ast.stmt) -> list[str]:
    """The names that a statement at the top level of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        nodes = [node for target in targets for node in getattr(target, "elts", [target])]
        names = [node.id for node in nodes if isinstance(node, ast.Name)]
        if len(names) == len(nodes):
            return names
    return [ON_IMPORT]


def _imported(nodes: Iterable[ast.AST]) -> dict[str, Name]:
    """The definition behind each imported name; a module stands for all of its definitions."""
    found: dict[str, Name] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name.split(".")[0]: (alias.name, ALL) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(
                    f"line {node.lineno}: a relative import is not followed. Write the module's whole name."
                )
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = _is_ours(whole) and _file_of(whole).is_file()
                found[alias.asname or alias.name] = (whole, ALL) if is_module else (str(node.module), alias.name)
    return found


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == LIBRARY.name


def _source(statements: Iterable[ast.stmt], known: Mapping[str, Name]) -> Source:
    """One definition, in a module where these names are known."""
    writer = _Writer()
    for statement in statements:
        writer.write(statement)
    inside = (node for statement in statements for node in ast.walk(statement))
    known = {**known, **_imported(inside)}
    uses: dict[str, Name] = {}
    for name, attribute in writer.mentioned:
        if name in known:
            module, definition = known[name]
            uses[f"{name}.{attribute}"] = (module, attribute if definition == ALL and attribute else definition)
    foreign = sorted(f"{module}.{name}" for module, name in uses.values() if module and not _is_ours(module))
    followed = {said: used for said, used in uses.items() if _is_followed(used)}
    return Source("".join([*writer.text, *foreign]), followed)


def _is_followed(use: Name) -> bool:
    module, _ = use
    return module == "" or (_is_ours(module) and module not in PLUMBING)


class _Writer:
    """Writes the parts of syntax trees that decide results.

    Attributes:
        text: The written text, in pieces.
        mentioned: Names that are not local, each with its attribute, or an empty string without one.
    """

    def __init__(self) -> None:
        self.text: list[str] = []
        self.mentioned: set[Name] = set()

    def write(self, node: object, local: frozenset[str] = frozenset()) -> None:
        """Write a node, a list of nodes or a value; ``local`` are names that functions around it define."""
        if isinstance(node, list):
            for item in _deciding(node) if node and isinstance(node[0], ast.stmt) else node:
                self.write(item, local)
        elif isinstance(node, ast.AST):
            node = _without_words(node)
            self._mention(node, local)
            self._write_fields(node, local | _local_names(node))
        else:
            self.text.append(f"{node!r},")

    def _mention(self, node: ast.AST, local: frozenset[str]) -> None:
        name = node.value if isinstance(node, ast.Attribute) else node
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load) and name.id not in local:
            self.mentioned.add((name.id, node.attr if isinstance(node, ast.Attribute) else ""))

    def _write_fields(self, node: ast.AST, local: frozenset[str]) -> None:
        self.text.append(f"{type(node).__name__}(")
        if isinstance(node, ast.ClassDef):  # the fields and class variables of a dataclass
            self.text += [ast.unparse(each.annotation) for each in node.body if isinstance(each, ast.AnnAssign)]
        for field, value in ast.iter_fields(node):
            if isinstance(node, ast.Attribute) and isinstance(value, ast.Name):
                self.text.append(f"{value.id}.")  # mentioned with its attribute
            elif field not in SILENT and value is not None and value != []:
                self.text.append(f"{field}=")
                self.write(value, local)
        self.text.append(")")


def _local_names(node: ast.AST) -> frozenset[str]:
    """The names that a function or a comprehension defines within itself."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        inside = list(ast.walk(node))
        shared = {name for each in inside if isinstance(each, ast.Global) for name in each.names}
        names = {each.arg for each in inside if isinstance(each, ast.arg)}
        names |= {each.id for each in inside if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        return frozenset(names - shared)
    targets = [generator.target for generator in getattr(node, "generators", [])]
    return frozenset(each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))


def _without_words(node: ast.AST) -> ast.AST:
    """A node without words for people: no arguments of an error, no progress bar around an iterable."""
    if isinstance(node, ast.Raise):
        return ast.Raise(exc=node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
    if isinstance(node, ast.Assert):
        return ast.Assert(test=node.test)
    return node.args[0] if isinstance(node, ast.Call) and _is_bar(node) and node.args else node


def _deciding(statements: Iterable[ast.stmt]) -> list[ast.stmt]:
    """The statements that decide results."""
    return [kept for statement in statements for kept in _parts(statement)]


def _parts(statement: ast.stmt) -> list[ast.stmt]:
    """The parts of a statement that decide results; of a ``with`` on a progress bar, the statements of its block."""
    if isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass):
        return []
    if isinstance(statement, ast.Expr):
        return [] if isinstance(statement.value, ast.Constant) or _only_shows(statement.value) else [statement]
    if isinstance(statement, ast.With):
        items = [item for item in statement.items if not _is_bar(item.context_expr)]
        return [ast.With(items=items, body=statement.body)] if items else _deciding(statement.body)
    if isinstance(statement, ast.If):
        typing = isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING"
        return [] if typing or not _deciding([*statement.body, *statement.orelse]) else [statement]
    return [statement]


def _only_shows(expression: ast.expr) -> bool:
    """Whether an expression is a call of a logger's or a progress bar's method."""
    if not isinstance(expression, ast.Call) or not isinstance(expression.func, ast.Attribute):
        return False
    owner = expression.func.value
    return (isinstance(owner, ast.Name) and owner.id in WATCHERS) or (
        isinstance(owner, ast.Attribute) and owner.attr in WATCHERS
    )


def _is_bar(expression: ast.AST) -> bool:
    return isinstance(expression, ast.Call) and isinstance(expression.func, ast.Name) and expression.func.id == "tqdm"
