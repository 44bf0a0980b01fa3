"""When to try again: schedules that an operator can read.

`20s, 1m, 5m, 15m, 1h*3` is the wait after the first attempt, after the second, and so on; `1h*3`
stands for three waits of an hour.  Units are s, m, h and d.  After the last wait the schedule is
spent: nothing is repeated that is not written down.

Each wait is stretched or shortened by chance, 20 % either way, so that what failed together does
not come back together.  A receiver that says how long to wait is believed within bounds, and only
when it asks for longer than the schedule: a shorter wait would let it burn the schedule.

Pure: the time and the chance are handed in.  Text that is no schedule raises `ValueError` naming
the part at fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

JITTER = 0.2
MAX_WAITS = 1_000
MAX_WAIT = 30 * 86_400.0
MAX_HINT = 3_600.0
"""Seconds that a receiver's own "come back in" is followed at most."""

DEFAULTS = MappingProxyType(
    {
        "otp": "20s, 40s, 1m, 2m, 3m*3",  # 13 minutes of a deadline of 15
        "transactional": "1m, 5m, 15m, 30m, 1h*4, 2h*6, 4h*18",  # 3.7 days
        "bulk": "5m, 15m, 30m, 1h*4, 2h*6, 4h*13",  # 2.9 days
    }
)

_STEP = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])(?:\*([0-9]{1,4}))?", re.ASCII)
_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Waits in seconds, the first after the first attempt.  `str` gives back what `parse` reads."""

    waits: tuple[float, ...]
    jitter: float = JITTER  # share of a wait by which chance moves it either way

    def __post_init__(self) -> None:
        if not 0.0 <= self.jitter < 1.0:
            raise ValueError(f"jitter {self.jitter} is not a share from 0 up to 1")
        if not 1 <= len(self.waits) <= MAX_WAITS:
            raise ValueError(f"a schedule has 1 to {MAX_WAITS} waits, not {len(self.waits)}")
        for wait in self.waits:
            if not 0.0 < wait <= MAX_WAIT:
                raise ValueError(f"a wait of {wait:g} s is not more than 0 s and at most 30d")

    def delay(self, attempt: int, random: Callable[[], float]) -> float | None:
        """Seconds to wait after attempt number `attempt` (from 1); None: the schedule is spent.

        `random` gives numbers from 0 up to 1.
        """
        if attempt < 1:
            raise ValueError(f"attempts are counted from 1, not {attempt}")
        if attempt > len(self.waits):
            return None
        return self.waits[attempt - 1] * (1.0 + self.jitter * (2.0 * random() - 1.0))

    def __str__(self) -> str:
        return ", ".join(_write(wait, sum(1 for _ in same)) for wait, same in groupby(self.waits))


def parse(text: str, *, jitter: float = JITTER) -> Schedule:
    """Read `20s, 1m, 5m, 15m, 1h*3`."""
    return Schedule(tuple(_read(text)), jitter)


def next_attempt(
    schedule: Schedule,
    *,
    now: float,
    attempt: int,
    deadline: float,
    random: Callable[[], float],
    hint: float | None = None,
) -> float | None:
    """The time of the next attempt after number `attempt`, or None when there is none any more.

    None: the schedule is spent, or the next time would lie past `deadline` (Unix seconds, as
    `now`).  `hint`: seconds the receiver asked us to wait, as in greylisting; it is dropped where
    it would lie past the deadline, since a try too early loses nothing.
    """
    delay = schedule.delay(attempt, random)
    if delay is None or now + delay > deadline:
        return None
    asked = now + min(hint, MAX_HINT) if hint is not None else now
    return asked if now + delay < asked <= deadline else now + delay


def _read(text: str) -> Iterator[float]:
    total = 0
    for part in text.split(","):
        step = part.strip()
        match = _STEP.fullmatch(step)
        if match is None:
            raise ValueError(
                f"retry schedule: {step[:40]!r} is no wait; write waits between attempts "
                "as 20s, 1m, 5m, 15m, 1h*3"
            )
        times = int(match[3] or 1)
        total += times
        if times < 1 or total > MAX_WAITS:
            raise ValueError(f"retry schedule: {step!r} makes no number of waits up to {MAX_WAITS}")
        wait = round(float(match[1]) * _SECONDS[match[2]], 3)
        if not 0.0 < wait <= MAX_WAIT:
            raise ValueError(f"retry schedule: {step!r} is not more than 0s and at most 30d")
        yield from (wait,) * times


def _write(wait: float, times: int) -> str:
    unit = next((unit for unit, seconds in _SECONDS.items() if wait % seconds == 0), "s")
    number = wait / _SECONDS[unit]
    text = f"{int(number) if number.is_integer() else number}{unit}"
    return text if times == 1 else f"{text}*{times}"
