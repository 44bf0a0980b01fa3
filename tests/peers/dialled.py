"""Every connection that this process begins, as Python's own audit tells it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_watched: list[tuple[object, ...]] | None = None


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and _watched is not None:
        _watched.append(arguments)


sys.addaudithook(_watch)


@contextmanager
def connections() -> Iterator[list[tuple[object, ...]]]:
    """Those that are begun meanwhile: a socket and an address each."""
    global _watched
    found: list[tuple[object, ...]] = []
    _watched = found
    try:
        yield found
    finally:
        _watched = None
