"""Ids of everything: lower-case ULIDs, which sort by the time they were made at.

The time is the engine's, as every other time in the tables is: ids of a clock of their own would
disagree with it wherever the two differ, and what reads an id's time (a canary's age, the partition
of a row) would judge wrongly.

Who knows one id knows no other: those of one millisecond, such as a batch's, lie a random step
apart and not next to each other.  A Message-ID holds its message's id, and a complaint that names
it is believed (`analysis.ledger`); whoever got one message must not be able to name its neighbours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ulid import ULIDGenerator

STEP = 64
"""Bits of a step."""
_BITS = 80


class _Steps:
    """Random parts that rise within a millisecond.  Drawn low enough for `2 ** 15` steps at least;
    one more begins anew, out of order."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._at = -1
        self._last = 0

    def resolve_randomness(self, timestamp: int, _source: object) -> bytes:
        following = self._last + 1 + int.from_bytes(self._random(STEP // 8))
        if timestamp != self._at or following >= 2**_BITS:
            following = int.from_bytes(self._random(_BITS // 8)) >> 1
        self._at, self._last = timestamp, following
        return following.to_bytes(_BITS // 8)


def ids(
    clock: Callable[[], float] = time.time, random: Callable[[int], bytes] = os.urandom
) -> Callable[[], str]:
    """A maker of ids, for several threads; `clock` gives Unix seconds, `random` so many octets."""
    made = ULIDGenerator(policy=_Steps(random))
    return lambda: str(made.generate(clock())).lower()
