"""Source addresses: which of ours a delivery goes out from, and the name said there.

A delivery goes from the same address on every try: a fresh one would start greylisting again.  An
address that cannot be bound (gone from the machine, misspelt) is out: said in the log, looked at
again after a back-off that doubles, and its deliveries go from another one of the pool meanwhile.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from analysis.verdict import Category
from sender.places import Held
from sender.route_health import waiting
from sender.shares import ranked
from sender.smtp import Host

log = structlog.get_logger()

LOOKED_AT = 30.0
"""Seconds for which an address that could be bound is believed in."""
FIRST, LONGEST = 30.0, 900.0
"""Seconds after which one that could not is looked at again."""


@dataclass(frozen=True, slots=True)
class Source:
    """An address of ours, and the host name that it resolves to; None: the sender's own."""

    address: str
    ehlo_name: str | None = None

    def reaches(self, host: Host) -> bool:
        return (":" in self.address) == (":" in host.address)


@dataclass(slots=True, eq=False)
class _State:
    good_until: float = 0.0
    out_until: float = 0.0
    back_off: float = 0.0


def bind_trouble(address: str) -> str | None:
    """Why a connection cannot go out from this address, or None.  Opens and closes a socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        return os.strerror(error.errno).lower() if error.errno else str(error)
    return None


class Sources:
    """The state of every address of the settings.  `clock` is Unix seconds."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        trouble: Callable[[str], str | None] = bind_trouble,
    ) -> None:
        self._clock = clock
        self._trouble = trouble
        self._states: dict[str, _State] = {}

    def pick(
        self, pool: Sequence[Source], delivery_id: str, hosts: Sequence[Host]
    ) -> Source | Held:
        """The address that this delivery goes from: of those that reach one of the hosts."""
        able = {s.address: s for s in pool if any(map(s.reaches, hosts))}
        order = ranked(delivery_id, dict.fromkeys(able, 1.0))
        for address in order:
            if self.usable(address):
                return able[address]
        if not order:
            until, why = self._clock() + LONGEST, "no source address of the family of its hosts"
        else:
            until = min(self._states[address].out_until for address in order)
            why = f"no source address can be bound: {', '.join(sorted(order)[:5])}"
        return waiting(until, why, "source", Category.SYSTEM)

    def usable(self, address: str, *, doubted: bool = False) -> bool:
        """Whether it can be bound, by what was found lately; `doubted`: look now."""
        now = self._clock()
        state = self._states.setdefault(address, _State())
        if now < state.out_until:
            return False
        if doubted or now >= state.good_until:
            self._look(address, state, now)
        return now >= state.out_until

    def _look(self, address: str, state: _State, now: float) -> None:
        trouble = self._trouble(address)
        if trouble is None:
            if state.back_off:
                log.info("source.back", address=address)
            state.good_until, state.back_off = now + LOOKED_AT, 0.0
            return
        state.back_off = min(2 * state.back_off, LONGEST) or FIRST
        state.out_until = now + state.back_off
        log.error(
            "source.out: the address cannot be bound; is it on this machine?",
            address=address,
            why=trouble,
            looked_at_again_in=state.back_off,
        )
