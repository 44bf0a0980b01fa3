"""What an answer says about the pace of a site, as opposed to about its message.

A mailbox that is full, a greylisted sender, an unknown user: the site did its work at the speed it
was asked.  `421`, a rate limit or a deferral for reputation ask for less.  No answer at all is
silence.  What is wrong with us or with the terms (TLS, sign-in) says nothing about the pace.
"""

from __future__ import annotations

from enum import Enum, auto

from analysis.reply import Reply, Stage
from analysis.verdict import Category, Fault, Verdict
from sender.smtp import Result

_SLOWER = frozenset({Category.RATE_LIMIT, Category.REPUTATION})
_SLOWER_IN_4_7 = _SLOWER | {
    Category.POLICY,
    Category.SPAM_CONTENT,
    Category.SYSTEM,
    Category.UNKNOWN,
}
"""What 4.7.x may stand for when it is about how much we send."""

_TERMS = frozenset({Stage.DNS, Stage.STARTTLS, Stage.AUTH, Stage.UNKNOWN})
"""Stages whose trouble says nothing of how busy a site is."""

_ABOUT_THE_MESSAGE = frozenset({Fault.RECIPIENT, Fault.DOMAIN, Fault.MESSAGE})


class Heard(Enum):
    TAKEN = auto()  # it did its work
    SLOWER = auto()  # it asks for less
    SILENT = auto()  # it does not answer
    NOTHING = auto()


def heard(result: str, reply: Reply, verdict: Verdict) -> Heard:
    """Read an answer: a `Result`'s value, the words, and the judgement on them."""
    if result == Result.ACCEPTED:
        return Heard.TAKEN
    if reply.code is None:
        return Heard.NOTHING if reply.stage in _TERMS else Heard.SILENT
    if verdict.fault is not Fault.RECIPIENT and _asks_for_less(result, reply, verdict):
        return Heard.SLOWER
    done = verdict.fault in _ABOUT_THE_MESSAGE or verdict.category is Category.GREYLISTED
    return Heard.TAKEN if done else Heard.NOTHING


def _asks_for_less(result: str, reply: Reply, verdict: Verdict) -> bool:
    """A 5xx that names a rate counts too; one for reputation is a refusal and paced by nobody."""
    if result == Result.REFUSED:
        return verdict.category is Category.RATE_LIMIT
    if reply.code == 421 or verdict.category in _SLOWER:
        return True
    in_4_7 = reply.enhanced is not None and reply.enhanced.startswith("4.7.")
    return in_4_7 and verdict.category in _SLOWER_IN_4_7
