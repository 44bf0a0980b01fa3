"""A clock that a wrong system clock does not carry off.

Leases, deadlines and suppressions are judged by the time of day.  A clock set wrong for a minute,
by an hour or by ten years, would end messages before their time and break every lease.  So a jump
of the system's clock is believed only when it has lasted; until then time goes on as it did, by the
clock that nobody sets.  Small corrections, as of NTP, are followed at once.

What it costs: a clock that was wrong and is set right by more than `STEP` is followed `BELIEVE`
seconds later.  A clock that is wrong from the start is not found out here (`carom doctor` asks).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

STEP = 30.0
"""Seconds by which the system's clock may be set without a doubt."""
BELIEVE = 900.0
"""Seconds that a jump must last."""


def elapsed() -> float:
    """Seconds that really passed, also while the machine slept, where the system can say."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class Steady:
    """Unix seconds.  `wall` is the system's clock, `passed` one that nobody sets."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        passed: Callable[[], float] = elapsed,
    ) -> None:
        self._wall = wall
        self._passed = passed
        self._offset = wall() - passed()
        self._doubted: tuple[float, float] | None = None  # offset, and since when
        self._lock = threading.Lock()  # workers of a pool ask too

    def __call__(self) -> float:
        passed = self._passed()
        offset = self._wall() - passed
        if abs(offset - self._offset) <= STEP:
            self._offset, self._doubted = offset, None
            return passed + offset
        with self._lock:
            return passed + self._doubt(offset, passed)

    def _doubt(self, offset: float, passed: float) -> float:
        """The offset to go by while the system's clock stands somewhere else."""
        if self._doubted is None or abs(self._doubted[0] - offset) > STEP:
            log.warning("the system's clock jumped and is not followed yet", by=self._by(offset))
            self._doubted = offset, passed
        elif passed - self._doubted[1] >= BELIEVE:
            log.warning("the system's clock is followed after its jump", by=self._by(offset))
            self._offset, self._doubted = offset, None
        return self._offset

    def _by(self, offset: float) -> float:
        return round(offset - self._offset, 1)
