"""Reads mutants and keeps the accounts: time of each, what was raised, memory on the way."""

from __future__ import annotations

import ctypes
import resource
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from analysis.facts import Reading

_STATM = Path("/proc/self/statm")


def memory() -> int:
    """Octets that the process holds now; where the system does not say, the most it ever held.

    Free memory that the allocator keeps for later is given back first, where it can be: it comes
    and goes by tens of megabytes with the largest message of late, and is nothing that grows.
    """
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@dataclass(slots=True)
class Accounts:
    """Times are seconds of this process' CPU, memory is octets."""

    times: array[float] = field(default_factory=lambda: array("d"))
    kinds: Counter[str] = field(default_factory=Counter)
    raised: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, bytes] = (0.0, b"")
    memory: list[int] = field(default_factory=list)  # at the start, then after each tenth

    def share(self, part: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

    def __str__(self) -> str:
        late = self.memory[-1] - self.memory[len(self.memory) // 2]
        megabytes = " ".join(f"{octets / 1e6:.0f}" for octets in self.memory)
        return "\n".join(
            [
                f"{len(self.times):,} messages: {dict(self.kinds.most_common())}",
                f"p50 {self.share(0.5) * 1e3:.2f} ms, p99 {self.share(0.99) * 1e3:.1f} ms",
                f"worst {self.slowest[0] * 1e3:.0f} ms ({len(self.slowest[1]):,} octets)",
                f"raised: {dict(self.raised) or 'nothing'}",
                f"memory: {megabytes} MB; over the second half {late / 1e6:+.1f} MB",
            ]
        )


def read_all(
    mails: Iterable[bytes],
    count: int,
    read: Callable[[bytes], Reading],
    seen: Callable[[], object] = lambda: None,
) -> Accounts:
    """Read `count` messages, calling `seen` after each."""
    accounts = Accounts()
    accounts.memory.append(memory())
    for number, mail in zip(range(1, count + 1), mails, strict=False):
        _read_one(accounts, mail, read)
        seen()
        if number % max(count // 10, 1) == 0:
            accounts.memory.append(memory())
    return accounts


def _read_one(accounts: Accounts, mail: bytes, read: Callable[[bytes], Reading]) -> None:
    started = time.process_time()
    try:
        reading = read(mail)
    except Exception as trouble:  # noqa: BLE001 - counting them is the point
        accounts.raised[f"{type(trouble).__name__}: {trouble}"] += 1
        return
    spent = time.process_time() - started
    accounts.times.append(spent)
    accounts.kinds[reading.kind.value] += 1
    if spent > accounts.slowest[0]:
        accounts.slowest = (spent, mail)
    if (reading.error or "").startswith("could not be read"):
        accounts.raised[reading.error or ""] += 1
