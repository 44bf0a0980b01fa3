"""A small world for the console's tests: mail in every state, told by the words of real servers.

Everything enters by the doors that real mail takes (submit, claim, record, the ledger); what the
rules make of the words is what they would make of them in life.  `NOW` is the console's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert

from analysis import ledger
from analysis.browsing import owner
from analysis.facts import Arrival, Kind, Reading, ReportedRecipient
from analysis.lifecycle import Fact
from analysis.reply import Reply, Stage
from analysis.rulebook import shipped
from analysis.schema import incidents
from analysis.store import Store
from analysis.suppression import Reason
from analysis.verdict import UNKNOWN, Category, Fault, Severity, Verdict
from ingest import inbox
from ingest.inbox import Raw
from sender import unsent
from tests.storing import (
    LIMITS,
    NOW,
    came_of,
    claimed,
    entry,
    new_id,
    recorded,
    sent_to,
    suppressed,
)

MINUTE, HOUR = 60.0, 3_600.0

FULL = "li.na@qq.com"
TAKEN = "ada@gmail.com"
GONE = "bob@outlook.com"
BACK = "chen@163.com"
SPAM = "dora@yahoo.com"
SLOW = "emil@gmx.de"
HELD = "fay@icloud.com"
LATE = "gus@harbour.example"
CALLED_OFF = "hana@naver.com"
ODD = "ivo@meadow.example"
BLOCKED = "june@mail.ru"
NEW = "kai@vale.example"


async def put_on(store: Store) -> dict[str, str]:
    """Everything; the delivery's id by address."""
    found = {
        FULL: await _answered(store, FULL, "Your reset code", "qq", FULL_TWICE, class_="otp"),
        TAKEN: await _answered(store, TAKEN, "Your receipt no. 4711", "gmail", TAKEN_AT_LAST),
        GONE: await _answered(store, GONE, "Welcome to the shop", "microsoft", NO_SUCH_USER),
        BACK: await _answered(store, BACK, "Your receipt no. 4712", "netease", AT_ONCE),
        SPAM: await _answered(store, SPAM, "News in November", "yahoo", AT_ONCE, stream="news"),
        SLOW: await _answered(store, SLOW, "Your receipt no. 4713", "gmx", GREY),
        LATE: await _answered(store, LATE, "Your parcel", "other", NO_ROUTE, deadline=NOW - MINUTE),
        ODD: await _answered(store, ODD, "Your receipt no. 4714", "other", PUZZLING),
        BLOCKED: await _answered(store, BLOCKED, "Your receipt no. 4715", "mailru", LISTED),
    }
    [found[HELD]] = await sent_to(store, HELD, at=NOW - HOUR, subject="Your login code")
    [held] = [c for c in await claimed(store, NOW - MINUTE) if c.recipient == HELD]
    await recorded(store, _held_back(held), now=NOW - MINUTE)
    [found[CALLED_OFF]] = await sent_to(store, CALLED_OFF, at=NOW - HOUR, subject="Your coupon")
    await store.write(
        lambda tx: unsent.cancel(tx, owner(tx, found[CALLED_OFF]) or "", now=NOW - 50)
    )
    [found[NEW]] = await sent_to(store, NEW, at=NOW - 5, subject="Your invoice")
    await store.write(lambda tx: unsent.expire(tx, now=NOW))
    await _came_back(store, found)
    await suppressed(
        store, entry(CALLED_OFF, Reason.MANUAL, since=NOW - HOUR, evidence="asked by phone, T-17")
    )
    await store.write(lambda tx: tx.execute(insert(incidents).values(**_INCIDENT)))
    return found


Answer = tuple[float, Fact, str, Stage]
"""Seconds before NOW, what it led to, the words, the stage."""

FULL_TWICE = (
    (17 * MINUTE, Fact.PUT_OFF, "452 4.2.2 Mailbox full, the recipient is over quota", Stage.RCPT),
    (7 * MINUTE, Fact.PUT_OFF, "452 4.2.2 Mailbox full, the recipient is over quota", Stage.RCPT),
)
TAKEN_AT_LAST = (
    (3 * HOUR, Fact.PUT_OFF, "421 4.7.28 Unusual rate of mail, try later", Stage.MAIL),
    (2 * HOUR, Fact.ACCEPTED, "250 2.0.0 OK 1763900000 af79cd13be357-7ba", Stage.DOT),
)
NO_SUCH_USER = (
    (26 * MINUTE, Fact.REFUSED, "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found", Stage.RCPT),
)
AT_ONCE = ((5 * HOUR, Fact.ACCEPTED, "250 Mail OK queued as mx-9 EsCowAD3", Stage.DOT),)
GREY = ((90.0, Fact.PUT_OFF, "450 4.2.0 Greylisted, please come back in 5 minutes", Stage.RCPT),)
NO_ROUTE = (
    (2 * HOUR, Fact.PUT_OFF, "connection timed out", Stage.CONNECT),
    (HOUR, Fact.PUT_OFF, "connection timed out", Stage.CONNECT),
)
PUZZLING = ((4 * MINUTE, Fact.PUT_OFF, "450 4.9.9 The moon is in the wrong house", Stage.DOT),)
LISTED = (
    (
        35 * MINUTE,
        Fact.REFUSED,
        "554 5.7.1 Service unavailable; client host 192.0.2.9 blocked using a block list",
        Stage.BANNER,
    ),
)


async def _answered(
    store: Store, to: str, subject: str, provider: str, answers: Sequence[Answer], **other: Any
) -> str:
    began = NOW - answers[0][0] - 2
    [delivery_id] = await sent_to(store, to, at=began, subject=subject, **other)
    for before, fact, words, stage in answers:
        at = NOW - before
        [claim] = [c for c in await claimed(store, at - 1) if c.delivery_id == delivery_id]
        host = f"mx1.{to.partition('@')[2]}"
        reply = Reply.read(words, stage=stage, provider=provider, host=host)
        result = came_of(
            claim,
            fact,
            at=at,
            reply=reply,
            verdict=UNKNOWN if fact is Fact.ACCEPTED else shipped().classify(reply),
            provider=provider,
            next_at=_next(answers, at) if fact is Fact.PUT_OFF else None,
            tls=None if stage is Stage.CONNECT else "TLSv1.3",
        )
        await recorded(store, result, now=at)
    return delivery_id


def _next(answers: Sequence[Answer], at: float) -> float:
    later = [NOW - before - 1 for before, *_ in answers if NOW - before > at]
    return min(later, default=NOW + 10 * MINUTE)


def _held_back(claim: Any) -> Any:
    words = "iCloud asked us to slow down (421 4.7.0 too many messages)"
    verdict = Verdict(
        Category.RATE_LIMIT, Fault.SENDER, Severity.SOFT, False, "pacing/suspended", words, 1.0
    )
    return came_of(
        claim,
        Fact.HELD_BACK,
        at=NOW - MINUTE,
        result="held",
        reply=Reply(None, None, words, Stage.CONNECT, "apple"),
        verdict=verdict,
        provider="apple",
        next_at=NOW + 3 * MINUTE,
    )


async def _came_back(store: Store, found: dict[str, str]) -> None:
    """A late bounce, a complaint, and a report that nobody understands."""
    full = ReportedRecipient(
        BACK,
        "failed",
        "5.2.2",
        "552",
        "552 Quota exceeded, the mailbox is full",
        verdict=shipped().classify(Reply.read("552 5.2.2 Quota exceeded, the mailbox is full")),
    )
    spam = Reading(Kind.COMPLAINT, feedback_type="abuse")
    odd = Reading(Kind.NORMAL, error="no part of it is a report")
    await _arrived(store, found[BACK], "bounce", Reading(Kind.BOUNCE, (full,)), BOUNCE)
    await _arrived(store, found[SPAM], "fbl", spam, COMPLAINT)
    await _arrived(store, None, "bounce", odd, ODDITY)


async def _arrived(
    store: Store, delivery_id: str | None, purpose: str, reading: Reading, content: bytes
) -> None:
    raw_id, at = new_id(), NOW - 4 * HOUR
    where = ("198.51.100.7", "mx.example.net", "", "b+token@bounces.example.com")
    raw = Raw(raw_id, at, *where, purpose, delivery_id, content)
    arrival = Arrival(raw_id, at, purpose, delivery_id, reading)
    await store.write(lambda tx: inbox.keep(tx, [raw]))
    await store.write(lambda tx: ledger.enter(tx, arrival, now=at, limits=LIMITS, new_id=new_id))


BOUNCE = b"From: <>\r\nSubject: Undeliverable\r\n\r\n552 Quota exceeded, the mailbox is full\r\n"
COMPLAINT = b"From: <fbl@example.net>\r\nSubject: abuse report\r\n\r\nFeedback-Type: abuse\r\n"
ODDITY = (
    b"From: <robot@example.net>\r\nSubject: Nachricht\r\n\r\n"
    b"<script>alert('no')</script> Ihre Nachricht wurde irgendwie behandelt.\r\n"
)

_INCIDENT = {
    "id": "01kaq00000000000000000000a",
    "kind": "reputation",
    "provider": "mailru",
    "subject": "",
    "fault": "sender",
    "state": "open",
    "opened_at": NOW - 40 * MINUTE,
    "since": NOW - 40 * MINUTE,
    "looked_at": NOW - MINUTE,
    "reopened": 1,
    "evidence": {
        "windows": [
            {"seconds": 300, "answered": 48, "accepted": 2, "against": 46, "share": 0.9583},
            {"seconds": 1800, "answered": 212, "accepted": 120, "against": 92, "share": 0.434},
        ],
        "replies": [
            {
                "text": "554 5.7.1 Service unavailable; client host blocked using a block list",
                "category": "reputation",
                "seen": 46,
                "delivery_id": None,
            }
        ],
        "streams": ["default"],
    },
}
