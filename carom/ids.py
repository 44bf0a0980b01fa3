"""Ids of everything: lower-case ULIDs, which sort by the time they were made at.

The time is the engine's, as every other time in the tables is: ids of a clock of their own would
disagree with it wherever the two differ, and what reads an id's time (a canary's age, the partition
of a row) would judge wrongly.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ulid import ULID


def ids(clock: Callable[[], float] = time.time) -> Callable[[], str]:
    """A maker of ids; `clock` gives Unix seconds."""
    return lambda: str(ULID.from_timestamp(clock())).lower()
