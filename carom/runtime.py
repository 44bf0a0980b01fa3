"""How a process that carries much mail runs: uvloop where it is there, and a patient collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")

YOUNG = 50_000
"""New objects between two looks for cycles.

Hundreds of deliveries under way are tens of thousands of living objects, which Python's 700 makes
the collector walk over and over: a tenth of the time on the processor at 1,000 deliveries a second.
Nothing of ours depends on cycles being found soon.
"""


def run(main: Coroutine[object, object, T]) -> T:
    """Run `main` to its end, as `asyncio.run` does."""
    gc.freeze()  # what is imported by now stays
    gc.set_threshold(YOUNG, 20, 20)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)
