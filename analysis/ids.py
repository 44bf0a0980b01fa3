"""Ids by time: ULIDs sort as the moments they were made at, so a span of time is a span of ids.

Their last two characters are their mark.  What belongs to a message carries the message's mark, so
that tables spread over several servers by the mark keep everything about a message together, and
whoever has any of these ids knows where to look (`docs/scale.md`).  On one server nothing rests on
it; ids made before marks were shared are as good as any.
"""

from __future__ import annotations

from ulid import ULID

_TIME = 10  # characters
_MARK = 2
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def first_id(at: float) -> str:
    """The id that every one made at `at` (Unix seconds) or later sorts after, or is."""
    return str(ULID.from_timestamp(max(0.0, at)))[:_TIME].lower() + "0" * 16


def beside(id_: str, other: str) -> str:
    """A new id with the mark of another, so that both lie on one server; it sorts as before."""
    return id_[:-_MARK] + other[-_MARK:]


def mark(id_: str) -> int:
    """Of an id, 0 to 1023."""
    high, low = map(_DIGITS.index, id_[-_MARK:])
    return high * len(_DIGITS) + low
