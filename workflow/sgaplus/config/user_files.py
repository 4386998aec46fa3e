"""The files of a configuration as they are written, before Snakemake lays them over one another.

Snakemake reads them before the workflow, and what it can't read it refuses in words of its own, without file and line.
``python -m sgaplus.config.user_files FILE...`` says what is wrong with such a file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from sgaplus.errors import ConfigError, SgaplusError

LARGEST = 1_000_000
"""Values that a file may hold, those behind aliases counted each time that they are named."""

Key = tuple[yaml.Node, yaml.Node]


def check(path: str | Path) -> None:
    """Refuse a file that is no YAML of this kind, or that says a thing twice.

    Raises:
        ConfigError: one line with the file and, where it is known, the line in it.
    """
    root = _read(path)
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{_shown(path)}: holds no keys. Write `key: value`, as in config/config.yaml.")
    _check_node(root, path, (), {})
    with _refusing(path):
        yaml.constructor.SafeConstructor().construct_document(root)


def arranged(config: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """A configuration with its keys in the order of a file's, and its further ones after them.

    Snakemake puts the keys of a file that is laid over another one first, and the order of claims and methods is
    that of the report and the figures.
    """
    return _arranged(config, yaml.safe_load(_text(path)))


def located(error: SgaplusError, paths: Sequence[str | Path], said: Iterable[str] = ()) -> str:
    """An error's text after the file and line where its key stands, if it is in one of the files.

    Args:
        error: Its text may begin with the place of a key, as in ``training.lr: -1 is ...``.
        paths: Files of YAML, in the order in which they are laid over one another.
        said: Keys of the top level that the command line sets, over all files.
    """
    place = str(error).split(": ")[0]
    if unknown := re.search(r": unknown key '([^']+)'\.", str(error)):
        place = f"{place}.{unknown[1]}".removeprefix("configuration.")
    if place.split(".")[0] in said:
        return str(error)
    for path in reversed(paths):
        line = _line_of(place, _read(path))
        if line is not None:
            return f"{_shown(path)}, line {line}: {error}"
    return str(error)


def _arranged(part: Any, like: Any) -> Any:
    if not (isinstance(part, Mapping) and isinstance(like, Mapping)):
        return part
    keys = [key for key in like if key in part] + [key for key in part if key not in like]
    return {key: _arranged(part[key], like.get(key)) for key in keys}


def _read(path: str | Path) -> yaml.Node | None:
    """The tree of a file."""
    with _refusing(path):
        return yaml.compose(_text(path), Loader=yaml.SafeLoader)


def _text(path: str | Path) -> str:
    text = Path(path).read_bytes().decode("utf-8-sig")
    return text.replace("\t", " ") if Path(path).suffix == ".json" else text  # all that JSON may have and YAML may not


@contextmanager
def _refusing(path: str | Path) -> Iterator[None]:
    """Tell a file that can't be read from other errors."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{_shown(path)}: can't be read ({error.strerror}). Correct the path.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{_shown(path)}, line {line}: is not UTF-8. Save the file in that encoding.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{_shown(path)}{where}: is no YAML ({error.problem or error.context}). Correct it."
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{_shown(path)}: is no YAML ({' '.join(str(error).split())}). Correct it.") from None
    except RecursionError:
        raise ConfigError(f"{_shown(path)}: is nested too deeply. Correct it.") from None
    except ValueError as error:  # a date in the 13th month
        raise ConfigError(f"{_shown(path)}: holds a value that can't be read ({error}). Correct it.") from None


def _check_node(node: yaml.Node, path: str | Path, around: tuple[int, ...], sizes: dict[int, int]) -> int:
    """Check a part of a file, and return the number of values in it; ``sizes`` are those of parts that were checked."""
    if id(node) in around:
        raise ConfigError(
            f"{_shown(path)}, line {_line(node)}: an alias names the very thing that it stands in. Write it out."
        )
    if id(node) not in sizes:
        _check_keys(node, path)
        inside = (_check_node(child, path, (*around, id(node)), sizes) for child in _children(node))
        sizes[id(node)] = 1 + sum(inside)
    if sizes[id(node)] > LARGEST:
        raise ConfigError(
            f"{_shown(path)}, line {_line(node)}: aliases unfold into more than {LARGEST:,} values. Write less."
        )
    return sizes[id(node)]


def _check_keys(node: yaml.Node, path: str | Path) -> None:
    first: dict[str, int] = {}
    for key, _ in _entries(node):
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in first:
            before = first[key.value]
            raise ConfigError(f"{_shown(path)}, line {_line(key)}: {key.value!r} is in line {before} too. Keep one.")
        first[key.value] = _line(key)


def _line_of(place: str, node: yaml.Node | None) -> int | None:
    """The line of the key at a dotted place below a node; names may have dots of their own."""
    for key, value in _entries(node):
        if key.value == place:
            return _line(key)
        if isinstance(key, yaml.ScalarNode) and place.startswith(f"{key.value}."):
            found = _line_of(place.removeprefix(f"{key.value}."), value)
            if found is not None:
                return found
    if isinstance(node, yaml.SequenceNode):  # the place goes on with the number of an item
        number = place.split(".")[0]
        if number.isdecimal() and int(number) < len(node.value):
            return _line(node.value[int(number)])
    return None


def _entries(node: yaml.Node | None) -> list[Key]:
    return node.value if isinstance(node, yaml.MappingNode) else []


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    for key, value in _entries(node):
        yield from (key, value)


def _shown(path: str | Path) -> Path:
    """A path as short as it can be written here."""
    path = Path(path)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def main(paths: Sequence[str]) -> int:
    """Check files, and return the exit status: 1 if one of them is refused."""
    status = 0
    for path in paths:
        try:
            check(path)
        except SgaplusError as error:
            print(f"error: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
