"""A reader with every fault that a reader can have, each on demand; for `test_reading_room`."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from analysis.facts import Kind, Reading


def reader(given: object) -> Callable[[bytes], Reading]:
    """Says each message back, with what was given; does what it says first."""

    def read(content: bytes) -> Reading:
        word, _, rest = content.decode().partition(" ")
        if word in _FAULTS:
            _FAULTS[word](rest)
        return Reading(Kind.NORMAL, error=content.decode(), extra={"given": str(given)})

    return read


def _loop(_: str) -> None:
    while True:
        pass


def _backtrack(_: str) -> None:
    """Decades inside one C function that holds the interpreter."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def _eat(_: str) -> None:
    eaten = []
    while True:
        eaten.append(bytearray(1_000_000))


def _die_once(mark: str) -> None:
    if not Path(mark).exists():
        Path(mark).touch()
        os._exit(9)


def _raise(_: str) -> None:
    raise LookupError("no such thing")


_FAULTS: dict[str, Callable[[str], object]] = {
    "loop": _loop,
    "backtrack": _backtrack,
    "eat": _eat,
    "exit": lambda code: os._exit(int(code)),
    "crash": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "hang": lambda _: signal.pause(),
    "once": _die_once,
    "raise": _raise,
    "print": lambda words: print(words, flush=True),
    "stdout": lambda words: sys.__stdout__ and sys.__stdout__.write(words),
}
