"""How cost grows with size: claims on time that hold on a machine of any speed.

A reader of hostile text must not take much longer than the text is long.  Seconds are no claim on
that: they measure the machine, and on a slow or busy day they fail by chance.  What is claimed here
is a ratio of two times of the same work, on an input and on one 64 times as large: 64 for a linear
reader, 4,096 for a quadratic one.  The limit lies between, where neither comes: a linear reader of
ten megabytes was seen at 400 on a busy machine, since the small input stays in the processor's
cache.  What disturbs such a time only ever lengthens it, so the least of several is taken; a ratio
too large is measured again before it is believed.  Times are of this thread's CPU, with no garbage
collection in between, which would walk over whatever other tests left behind.

Three sizes are tried, each 64 times the one before, so that a reader gone quadratic is caught on
little text and the test fails in seconds instead of hours.  Work that stays under `FLOOR` is too
little to compare, and too little to matter: a reader that looks at a bounded part of its text ends
there.

Where calls can be counted, `calls` counts them: the same number on every machine.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from math import inf
from types import FrameType
from typing import TypeVar

_T = TypeVar("_T")

STEP = 64
LIMIT = 1_000.0
FLOOR = 0.02
"""Seconds."""
TRIES = 4
BEYOND = 20.0
"""Seconds of CPU that work of some hundredths of a second takes only without its bound."""


def assert_linear(read: Callable[[_T], object], make: Callable[[int], _T], size: int) -> None:
    """`read` takes time in proportion to what `make` makes, up to `size` of whatever that counts.

    `make(size // 4096)` should still be something to read.
    """
    small = make(size // STEP**2)
    for part in (size // STEP, size):
        large = make(part)
        times = ratio(read, small, large, LIMIT)
        assert times < LIMIT, f"{STEP} times as much takes {times:.0f} times as long, at {part}"
        small = large


def ratio(read: Callable[[_T], object], small: _T, large: _T, limit: float) -> float:
    """How many times as long the large one takes; 0 where that is no time.

    Measured again while it is over the limit, but not far.
    """
    least, most = inf, inf
    for _ in range(TRIES):
        least = min(least, *(seconds(read, small) for _ in range(2)))
        most = min(most, seconds(read, large))
        if most < max(FLOOR, limit * least) or most > 4 * limit * least:
            break
    return 0.0 if most < FLOOR else most / least


def seconds(read: Callable[[_T], object], subject: _T) -> float:
    """Of this thread's CPU."""
    collects = gc.isenabled()
    gc.disable()
    try:
        began = time.thread_time()
        read(subject)
        return time.thread_time() - began
    finally:
        if collects:
            gc.enable()


def calls(work: Callable[[], object]) -> int:
    """How many functions, of Python or of C, are called within `work`."""
    counted = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted
