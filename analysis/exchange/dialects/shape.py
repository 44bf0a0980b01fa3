"""The shape of a dialect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analysis.suppression import Reason

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """`ours` gives `address`, `reason`, `since`, `until`, `evidence` of a row, as our own files
    name them, or raises ValueError.  `bare`: the columns of a CSV that has no heading."""

    name: str
    knows: Callable[[frozenset[str]], bool]
    ours: Callable[[Row], Row]
    bare: tuple[str, ...] = ()


def reason_by(word: object, reasons: dict[str, Reason], column: str) -> Reason:
    """Our reason for theirs; ValueError names what was expected."""
    try:
        return reasons[str(word).strip().lower()]
    except KeyError:
        raise ValueError(f"{column}: expected one of {', '.join(reasons)}") from None


def refuse_passing(code: object, column: str) -> None:
    """A 4xx or X.7.X says nothing lasting of the mailbox: it passes, or is about the sender."""
    text = str(code or "").strip()
    if text.startswith("4") or text[1:].startswith(".7."):
        raise ValueError(f"{column}: {text[:12]} passes, or is about the sender: not suppressed")
