"""Kinds of figures, tables and checks of claims, as each declares itself above its function.

    @table(needs=("against",), takes=("bitrate",), fewest_models=2)
    def bd(results: Results) -> Table:
        '''Bits that each method saves ...'''

A declaration says what an entry of the configuration must have for this kind. The checks of the
configuration, the choices that the schema offers, the rows of the documentation and the dispatch all
come from it. To add a kind is to write one function with its declaration into a file of ``figures/``,
``tables/`` or ``checks/``.

Declarations are read from the source rather than imported, because every job reads the configuration
and pandas and matplotlib take a second to import.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from sgaplus import code_version
from sgaplus.analysis.experiment import Experiment

HERE = Path(__file__).parent
FOLDERS = {"figure": "figures", "table": "tables", "check": "checks"}
"""Where the functions of each family are."""

NUMBERS = {1: "one", 2: "two", 3: "three"}

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of figure, table or check.

    Attributes:
        needs: Keys that its entry must have: the experiment's, or for a check the claim's.
        takes: Keys that its entry may have beside these.
        of_experiment: For a check, keys that the claim's experiment must have.
        refines: Whether it is about refinements: their records are its input.
        bitstreams: Whether it decodes bitstreams, and so needs them and the models.
        times_base: Whether it has the seconds of the base model's coding, measured where bitstreams are decoded.
        at_last_step: Whether each method is evaluated after the largest step count, and so must run that long.
        swept: Number of swept parameters.
        fewest_models, fewest_steps: Least number of each.
        fewest_methods: Least number of methods.
        most_methods, most_steps: Largest number of each.
        in_pairs: Whether methods come in pairs, the two-class one before its three-class one.
        fewest_compared, most_compared: For a check, least and largest number of its ``methods``.
        fewest_values: For a check, least number of its ``values``.
        beside_others: For a check, whether its ``values`` are compared with others of the sweep.
        base: For a check, whether ``than`` may name the base model, and anchors.
        one_image: For a check, whether it is about one image, and so has no interval.
        paper: Where the paper shows it, for the documentation.
        intervals: For a figure, what shows intervals over images, such as ``Bars``; empty if nothing does.
        family, name, module, says, explains: Filled in when it is read: which family, the function's name and
            module, the first sentence of its docstring, and the paragraphs of it that follow, without arguments.
    """

    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    of_experiment: tuple[str, ...] = ()
    refines: bool = True
    bitstreams: bool = False
    times_base: bool = False
    at_last_step: bool = False
    swept: int | None = None
    fewest_models: int = 1
    fewest_steps: int = 1
    fewest_methods: int = 1
    most_methods: int | None = None
    most_steps: int | None = None
    in_pairs: bool = False
    fewest_compared: int = 0
    most_compared: int | None = None
    fewest_values: int = 1
    beside_others: bool = False
    base: bool = False
    one_image: bool = False
    paper: str = ""
    intervals: str = ""
    family: str = ""
    name: str = ""
    module: str = ""
    says: str = ""
    explains: str = ""

    def function(self) -> Callable[..., Any]:
        """The function that makes it; imports its module."""
        return getattr(import_module(self.module), self.name)

    @property
    def file(self) -> Path:
        """The file that its function is in."""
        return HERE.parents[1].joinpath(*self.module.split(".")).with_suffix(".py")

    def code(self) -> str:
        """The version of the function's code, and of the definitions that it uses."""
        return code_version.of(self.file, self.name)

    @property
    def caption(self) -> dict[str, str]:
        """What the caption in the report says of the kind: its ``text``, and what shows its ``intervals``."""
        return {"text": " ".join(filter(None, [self.says, self.explains])), "intervals": self.intervals}

    def misfits(self, experiment: Experiment) -> Iterator[tuple[str, str, int]]:
        """The keys of an experiment that do not suit this kind, each with the demand in words and the number it has."""
        for key, needed in self.demands().items():
            number = len(getattr(experiment, key))
            odd = key == "methods" and self.in_pairs and number % 2
            if odd or not self._suits(key, number):
                yield key, needed, number

    def compares(self, number: int) -> bool:
        """Whether a check may compare so many ``methods``."""
        return self._suits("compared", number)

    def _suits(self, key: str, number: int) -> bool:
        fewest, most = self._range(key)
        return fewest <= number and (most is None or number <= most)

    def demands(self) -> dict[str, str]:
        """How many of each key its experiment must have, in words, for the keys of which not any number will do."""
        found = {}
        if self.swept is not None:
            found["sweep"] = f"a sweep of {NUMBERS[self.swept]} parameter{'s' if self.swept > 1 else ''}"
        if self.in_pairs:
            found["methods"] = "methods in pairs, of two classes and of three"
        for key, one, many in (
            ("models", "model", "models"),
            ("methods", "method", "methods"),
            ("steps", "step count", "step counts"),
        ):
            if words := self._number(key, one, many):
                found[key] = words
        return found

    @property
    def compared(self) -> str:
        """For a check, how many ``methods`` it compares, in words; empty if any number will do."""
        return self._number("compared", "`method`", "`methods`")

    def _number(self, key: str, one: str, many: str) -> str:
        """How many of a key there must be, in words; empty if any number will do."""
        fewest, most = self._range(key)
        if most is not None:
            return f"{NUMBERS[most]} {one if most == 1 else many}"
        return f"{NUMBERS[fewest]} {many} or more" if fewest > 1 else ""

    def _range(self, key: str) -> tuple[int, int | None]:
        """The least and the largest number of a key."""
        ranges = {
            "models": (self.fewest_models, None),
            "methods": (self.fewest_methods, self.most_methods),
            "compared": (self.fewest_compared, self.most_compared),
            "steps": (self.fewest_steps, self.most_steps),
            "sweep": (self.swept or 0, self.swept),
        }
        return ranges[key]


def figure(**declaration: Any) -> Callable[[Function], Function]:
    """Declares a function ``(results) -> Figure`` as a kind of figure; the arguments are those of :class:`Kind`."""
    return _declared(declaration)


def table(**declaration: Any) -> Callable[[Function], Function]:
    """Declares a function ``(results) -> Table`` as a kind of table; the arguments are those of :class:`Kind`."""
    return _declared(declaration)


def check(**declaration: Any) -> Callable[[Function], Function]:
    """Declares a function ``(results, claim) -> list[Comparison]`` as a check; the arguments are :class:`Kind`'s."""
    return _declared(declaration)


def _declared(declaration: dict[str, Any]) -> Callable[[Function], Function]:
    Kind(**declaration)  # a wrong declaration fails where it is written
    return lambda function: function


def find(family: str, name: str) -> Kind:
    """A kind of a family: ``figure``, ``table`` or ``check``.

    Raises:
        KeyError: there is none of this name.
    """
    return kinds(family)[name]


@cache
def kinds(family: str) -> dict[str, Kind]:
    """The kinds of a family by name, in the order of their files."""
    files = sorted((HERE / FOLDERS[family]).glob("*.py"))
    return {kind.name: kind for file in files for kind in _read(file, family)}


def _read(file: Path, family: str) -> Iterator[Kind]:
    """The kinds that a file declares."""
    functions = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
    for node in functions:
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == family:
                declaration = {str(each.arg): ast.literal_eval(each.value) for each in decorator.keywords}
                module = f"sgaplus.artifacts.{FOLDERS[family]}.{file.stem}"
                says, *more = [part.replace("\n", " ") for part in (ast.get_docstring(node) or "").split("\n\n")]
                explains = " ".join(part for part in more if not part.startswith(("Args:", "Raises:", "Returns:")))
                declared = Kind(**declaration)
                yield replace(declared, family=family, name=node.name, module=module, says=says, explains=explains)


def rows(family: str) -> list[str]:
    """The rows of the documentation's table of a family, in Markdown."""
    cells = [(f"`{kind.name}`", kind.says, _requirements(kind), kind.paper) for kind in kinds(family).values()]
    return [f"| {' | '.join(row)} |".replace("|  |", "| |").replace("|  |", "| |") for row in cells]


def _requirements(kind: Kind) -> str:
    """The keys that a kind needs and may have, and how many of each."""
    taken = f"may have {', '.join(f'`{key}`' for key in kind.takes)}" if kind.takes else ""
    if not kind.refines:
        return "; ".join(filter(None, ["only `methods`", taken]))
    demands = kind.demands()
    keys = [f"`{key}`" for key in (*kind.needs, *kind.of_experiment) if key not in demands]
    if kind.compared:
        keys = [kind.compared if key == "`methods`" else key for key in keys]
    needed = ", ".join([*keys, *demands.values()])
    return "; ".join(filter(None, [needed, taken]))
