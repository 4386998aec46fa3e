"""Progress bars, which a command of several parts can gather into one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm as _Bar

Listener = Callable[[float], None]
"""Is told each part of some work that is done, as a share of the whole."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Hide the bars that the block makes, and tell a listener of their progress."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class tqdm(_Bar):  # the name is tqdm's own, by which code_version knows a bar
    """A progress bar of known length, shown unless it is :func:`heard_by` somebody.

    Attributes:
        position: How far it is, also where it is not shown.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.listener, self.position = _listener.get(), 0.0
        super().__init__(*arguments, **options | ({"disable": True} if self.listener else {}))

    def update(self, n: float | None = 1) -> bool | None:
        """Move on by n of the total, or back."""
        self.position += n or 0
        if self.listener and self.total:
            self.listener((n or 0) / self.total)
        return super().update(n)
