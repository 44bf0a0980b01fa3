"""The cast of the demo: how each mailbox behaves, how many there are, what must become of it.

A mailbox's behaviour is the first word of its local part, `full.0042@vale.example`, so that the
sink needs no list.  `ends` and `reason` are what Carom must find out by itself; the demo fails if
it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.lifecycle import State
from analysis.suppression import Reason

DOMAINS = ("vale.example", "harbour.example", "meadow.example", "post.summit.example")


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    share: int  # of a thousand
    ends: State
    reason: Reason | None
    about: str


CAST = (
    Role("ok", 676, State.DELIVERED, None, "takes it at once"),
    Role("grey", 60, State.DELIVERED, None, "greylists: 451, come back later"),
    Role("busy", 30, State.DELIVERED, None, "throttles: 421, then takes it"),
    Role("drop", 20, State.DELIVERED, None, "hangs up in the middle of the message, once"),
    Role("stall", 4, State.DELIVERED, None, "does not answer the final dot, once"),
    Role("away", 30, State.DELIVERED, None, "takes it, and sends an out-of-office"),
    Role("brim", 20, State.DELIVERED, None, "mailbox full at first, then cleared"),
    Role("nobody", 50, State.BOUNCED, Reason.HARD_BOUNCE, "no such user, said in the session"),
    Role("ghost", 40, State.BOUNCED, Reason.HARD_BOUNCE, "takes it, then bounces: no such user"),
    Role("full", 20, State.BOUNCED, None, "takes it, then bounces: mailbox full"),
    Role("block", 25, State.BOUNCED, None, "blocks our address: our fault, not the user's"),
    Role("shut", 5, State.EXPIRED, None, "a full mailbox that stays full"),
    Role("angry", 20, State.COMPLAINED, Reason.COMPLAINT, "takes it, and reports it as spam"),
)

ROLES = {role.name: role for role in CAST}


def addresses(count: int) -> Iterator[str]:
    """`count` mailboxes, the rare roles present from a few dozen on, in a mixed order."""
    wanted = {role.name: max(1, role.share * count // 1000) for role in CAST[1:]}
    while sum(wanted.values()) > max(0, count - 1) and wanted:
        wanted.popitem()
    wanted["ok"] = count - sum(wanted.values())
    names = [name for name, number in wanted.items() for _ in range(number)]
    step = next(s for s in (617, 613, 607, 601) if count % s)
    for place in range(count):
        name = names[place * step % count]
        yield f"{name}.{place:04d}@{DOMAINS[place % len(DOMAINS)]}"


def role_of(address: str) -> Role:
    """The role of a mailbox; whoever has none takes everything."""
    return ROLES.get(address.partition(".")[0], ROLES["ok"])
