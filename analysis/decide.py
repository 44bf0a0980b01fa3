"""What follows from an answer: the one place where a verdict becomes a step in a delivery's life.

Only positive knowledge ends a delivery.  A 5xx whose meaning passes (a full mailbox, a rate
limit) is tried again; a 5xx that nobody understands is tried a few times more, because RFC 5321
section 4.2.1 asks us not to repeat it for ever; 4xx and our own trouble always wait.
"""

from __future__ import annotations

from analysis.lifecycle import Fact
from analysis.suppression import Reason
from analysis.verdict import Category, Fault, Severity, Verdict

PASSING = frozenset(
    {
        Category.MAILBOX_FULL,
        Category.RATE_LIMIT,
        Category.GREYLISTED,
        Category.NETWORK,
        Category.SYSTEM,
        Category.EXPIRED,
    }
)
"""Categories worth another try even when a receiver words them as 5xx."""

UNKNOWN_TRIES = 3
"""How often a 5xx that no rule understands is tried in all."""


def after_attempt(result: str, verdict: Verdict, *, tries: int) -> Fact:
    """The fact that an attempt establishes.

    `result` is accepted, refused (a well-formed 5xx, or our own resolver's positive word that
    there is no such domain), deferred, in_doubt or withheld; `tries` counts this attempt.
    Whether another try fits into schedule and deadline is asked separately (`analysis.retry`).
    """
    match result:
        case "accepted":
            return Fact.ACCEPTED
        case "withheld":
            return Fact.WITHHELD
        case "refused" if verdict.severity is Severity.HARD:
            return Fact.REFUSED
        case "refused" if verdict.category in PASSING:
            return Fact.PUT_OFF
        case "refused" if verdict.category is Category.UNKNOWN:
            return Fact.REFUSED if tries >= UNKNOWN_TRIES else Fact.PUT_OFF
        case "refused":
            return Fact.REFUSED
        case _:
            return Fact.PUT_OFF


def counts_as_soft(verdict: Verdict) -> bool:
    """Whether giving up for this reason is a mark against the address (not against anyone else).

    Also where it lasts but is not sure enough to suppress at once: several such marks make it sure.
    """
    return verdict.fault is Fault.RECIPIENT and verdict.severity is not Severity.NONE


def held_against(fact: Fact, verdict: Verdict) -> Reason | None:
    """What the end of a delivery says against its address, if anything.

    A soft mark is only a mark: it takes several, on distinct days, to withhold mail.
    """
    if fact is Fact.REFUSED and verdict.suppress:
        return Reason.HARD_BOUNCE
    if fact in (Fact.REFUSED, Fact.SPENT) and counts_as_soft(verdict):
        return Reason.SOFT_BOUNCE
    return None
