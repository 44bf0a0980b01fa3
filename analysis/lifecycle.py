"""The life of one delivery, as a table: one message to one recipient.

A delivery is the unit of state, of the VERP token and of retry.  `advance` is the only way from
one state to another.  A pair that is not in the table leaves the state alone; the fact behind it
is recorded all the same, so that late, doubled and contradicting facts are harmless.

    accepted = delivered + complained + bounced + expired + suppressed + cancelled
             + queued + sending
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"  # accepted by the next host; not yet "stayed delivered"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    COMPLAINED = "complained"
    CANCELLED = "cancelled"


class Fact(StrEnum):
    """What can happen to a delivery."""

    CLAIMED = "claimed"  # a node took it, with a lease
    ACCEPTED = "accepted"  # 2xx after the final dot
    PUT_OFF = "put_off"  # 4xx, unknown, in doubt, or our own trouble
    REFUSED = "refused"  # positive knowledge that this message is not wanted there
    SPENT = "spent"  # the schedule has no further try, or none before the deadline
    HELD_BACK = "held_back"  # not tried: the receiver wants less, or our own pace does
    WITHHELD = "withheld"  # the suppression list says no
    LEASE_LOST = "lease_lost"  # the node that held it has gone
    CANCELLED = "cancelled"  # the sender asked
    BOUNCED = "bounced"  # a report came after acceptance
    COMPLAINED = "complained"


TABLE: dict[tuple[State, Fact], State] = {
    (State.QUEUED, Fact.CLAIMED): State.SENDING,
    (State.QUEUED, Fact.SPENT): State.EXPIRED,
    (State.QUEUED, Fact.CANCELLED): State.CANCELLED,
    # an earlier try was in doubt, and had in truth been accepted
    (State.QUEUED, Fact.BOUNCED): State.BOUNCED,
    (State.SENDING, Fact.ACCEPTED): State.DELIVERED,
    (State.SENDING, Fact.PUT_OFF): State.QUEUED,
    (State.SENDING, Fact.HELD_BACK): State.QUEUED,
    (State.SENDING, Fact.REFUSED): State.BOUNCED,
    (State.SENDING, Fact.SPENT): State.EXPIRED,
    (State.SENDING, Fact.WITHHELD): State.SUPPRESSED,
    (State.SENDING, Fact.LEASE_LOST): State.QUEUED,
    (State.DELIVERED, Fact.BOUNCED): State.BOUNCED,
    (State.DELIVERED, Fact.COMPLAINED): State.COMPLAINED,
}

FINAL = frozenset(
    {State.BOUNCED, State.EXPIRED, State.SUPPRESSED, State.COMPLAINED, State.CANCELLED}
)
PENDING = frozenset({State.QUEUED, State.SENDING})


def advance(state: State, fact: Fact) -> State:
    """The state after `fact`; the same state where the table knows no such step."""
    return TABLE.get((state, fact), state)
