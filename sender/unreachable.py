"""Hosts that lately would not talk, so that the next message does not wait for them again.

A hint, never a verdict: such a host is tried last, not left out.  Forgets by itself, and keeps at
most `KEPT` hosts.
"""

from __future__ import annotations

from collections.abc import Callable

from sender.smtp import Host

AVOID = 60.0
"""Seconds: long enough to spare a busy site the waits, short enough to notice a restart."""

KEPT = 1_000


class Unreachable:
    """`clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[Host, float] = {}  # oldest first

    def note(self, host: Host) -> None:
        self._until.pop(host, None)
        self._until[host] = self._clock() + AVOID
        if len(self._until) > KEPT:
            del self._until[next(iter(self._until))]

    def forget(self, host: Host) -> None:
        self._until.pop(host, None)

    def last(self, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
        """`hosts` in their order, the unreachable ones behind the others."""
        if not self._until:
            return hosts
        now = self._clock()
        return tuple(sorted(hosts, key=lambda host: self._until.get(host, now) > now))
