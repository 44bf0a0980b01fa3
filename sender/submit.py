"""Submission: the commit that is Carom's promise.

One transaction writes the message once, its body once and a delivery for each recipient.  A
recipient on the suppression list, or over its stream's cap, enters as `suppressed` and is named in
the answer; one that the cap lets have it later is put off till then, and the answer says so.
202 (HTTP) and 250 (SMTP) are said after COMMIT, never before.

Many submissions share one transaction (`submit` takes a sequence): the fsync is the price of a
promise, and a crowd can share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from analysis import cohorts, half_open
from analysis.events import announce, event
from analysis.lifecycle import State
from analysis.schema import bodies, deliveries, messages
from analysis.suppression import Question, Reason, Suppression, ask
from sender import caps
from sender.allowances import Rate
from sender.caps import Over
from sender.compliance_findings import ADVICE, Finding
from sender.idempotency import Idempotency, Keyed, Receipt, claim, remember

RANKS = {"otp": 0, "transactional": 1, "bulk": 2}
"""Strict priority of the classes: a login code never waits behind a newsletter."""


@dataclass(frozen=True, slots=True)
class Recipient:
    delivery_id: str
    wire: str  # exactly as RCPT TO will name it
    address_hash: bytes
    domain: str
    return_path: str  # VERP, fixed here so that every try uses the same


@dataclass(frozen=True, slots=True)
class Submission:
    id: str
    stream: str
    class_: str
    from_address: str
    subject: str
    header_message_id: str
    content: bytes
    recipients: tuple[Recipient, ...]
    created_at: float
    deadline: float
    send_at: float | None
    metadata: dict[str, Any]
    idempotency: Idempotency | None = None
    require_tls: bool = False  # only where the receiver's certificate holds
    cap: Rate | None = None  # the most that one recipient gets in this stream
    probe: str | None = None  # placement | canary: our own
    template: str | None = None  # `name@version` that it was made of
    findings: tuple[Finding, ...] = ()  # what the lint has to say


def submit(tx: Connection, submissions: Sequence[Submission], now: float) -> list[Receipt]:
    """Make the submissions durable when `tx` commits; an answer for each, in order."""
    keyed = [Keyed(s.id, s.idempotency, s.created_at) for s in submissions if s.idempotency]
    earlier, twins = claim(tx, keyed)
    fresh = [s for s in submissions if s.id not in earlier and s.id not in twins]
    withheld = _withheld(tx, fresh, now)
    over = _over(tx, fresh, withheld, now)
    answers = {s.id: _answer(s, withheld, over, now) for s in fresh}
    _write(tx, fresh, withheld, over, now)
    remember(tx, {s.idempotency.key_hash: answers[s.id] for s in fresh if s.idempotency})
    return [
        earlier.get(s.id) or Receipt(answers[twins.get(s.id, s.id)], replayed=s.id in twins)
        for s in submissions
    ]


def _withheld(
    tx: Connection, submissions: Sequence[Submission], now: float
) -> dict[str, Suppression]:
    """Delivery id -> why it may not be sent."""
    asked = [
        (r.delivery_id, Question(r.address_hash, s.stream, r.delivery_id))
        for s in submissions
        for r in s.recipients
    ]
    verdicts = ask(tx, [question for _, question in asked], now)
    probes = _probes(tx, submissions, asked, verdicts, now)
    return {
        delivery_id: entry
        for (delivery_id, _), entry in zip(asked, verdicts, strict=True)
        if entry is not None and delivery_id not in probes
    }


def _probes(
    tx: Connection,
    submissions: Sequence[Submission],
    asked: Sequence[tuple[str, Question]],
    verdicts: Sequence[Suppression | None],
    now: float,
) -> set[str]:
    """Deliveries of login codes that may try a suppressed address again."""
    codes = {r.delivery_id for s in submissions if s.class_ == "otp" for r in s.recipients}
    wishes = [
        question
        for (delivery_id, question), entry in zip(asked, verdicts, strict=True)
        if entry is not None and entry.reason is Reason.SOFT_BOUNCE and delivery_id in codes
    ]
    return half_open.admit(tx, wishes, now)


def _over(
    tx: Connection, submissions: Sequence[Submission], withheld: dict[str, Suppression], now: float
) -> dict[str, Over]:
    """Delivery id -> what the stream's cap says, where it does not let it go at once."""
    wishes = [
        caps.Wish(r.delivery_id, r.address_hash, s.stream, s.cap, _first(s), s.deadline)
        for s in submissions
        if s.cap is not None and s.probe is None
        for r in s.recipients
        if r.delivery_id not in withheld
    ]
    return caps.check(tx, wishes, now)


def _first(submission: Submission) -> float:
    """When it may be sent, as far as its sender is concerned."""
    return submission.created_at if submission.send_at is None else submission.send_at


def _answer(
    submission: Submission,
    withheld: dict[str, Suppression],
    over: dict[str, Over],
    now: float,
) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": submission.id,
        "deliveries": [
            _delivery_answer(recipient, withheld.get(recipient.delivery_id))
            | caps.answer(over.get(recipient.delivery_id), submission.stream, now)
            for recipient in submission.recipients
        ],
    }
    if told := _told(submission):
        answer["findings"] = [one.view() for one in told]
    return answer


def _delivery_answer(recipient: Recipient, entry: Suppression | None) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": recipient.delivery_id,
        "recipient": recipient.wire,
        "state": (State.QUEUED if entry is None else State.SUPPRESSED).value,
    }
    if entry is not None:
        answer["suppression"] = {
            "reason": entry.reason.value,
            "stream": entry.stream,
            "since": entry.since,
            "until": entry.until,
            "evidence": entry.evidence,
        }
    return answer


def _write(
    tx: Connection,
    submissions: Sequence[Submission],
    withheld: dict[str, Suppression],
    over: dict[str, Over],
    now: float,
) -> None:
    if not submissions:
        return
    tx.execute(insert(messages), [_message_row(s) for s in submissions])
    tx.execute(insert(bodies), [{"message_id": s.id, "content": s.content} for s in submissions])
    rows = [
        _delivery_row(s, r, withheld.get(r.delivery_id), now)
        | caps.columns(over.get(r.delivery_id), now)
        for s in submissions
        for r in s.recipients
    ]
    if rows:
        tx.execute(insert(deliveries), rows)
    noted = [
        event(
            "withheld",
            at=now,
            message_id=row["message_id"],
            delivery_id=row["id"],
            data={"recipient": row["recipient"], "reason": row["rule"].partition("/")[2]},
        )
        for row in rows
        if row["state"] == State.SUPPRESSED and row["probe"] is None
    ]
    announce(tx, noted + [_lint_event(s, now) for s in submissions if _told(s)])
    cohorts.note(tx, _marks(rows))


def _told(s: Submission) -> list[Finding]:
    """What should be mended; advice is for whoever asks the lint."""
    return [one for one in s.findings if one.severity != ADVICE]


def _lint_event(s: Submission, now: float) -> dict[str, Any]:
    codes = [one.code for one in _told(s)]
    return event("linted", at=now, message_id=s.id, data={"stream": s.stream, "findings": codes})


def _marks(rows: Sequence[dict[str, Any]]) -> list[cohorts.Mark]:
    return [
        mark
        for row in rows
        if row["probe"] is None
        for mark in cohorts.settled(row["next_at"], row["stream"], row["provider"], row["state"])
    ]


def _message_row(s: Submission) -> dict[str, Any]:
    return {
        "id": s.id,
        "created_at": s.created_at,
        "stream": s.stream,
        "class": s.class_,
        "from_address": s.from_address,
        "subject": s.subject,
        "header_message_id": s.header_message_id,
        "send_at": s.send_at,
        "deadline": s.deadline,
        "size": len(s.content),
        "metadata": s.metadata,
        "require_tls": s.require_tls,
        "template": s.template,
    }


def _delivery_row(
    s: Submission, r: Recipient, entry: Suppression | None, now: float
) -> dict[str, Any]:
    state = State.QUEUED if entry is None else State.SUPPRESSED
    return {
        "id": r.delivery_id,
        "message_id": s.id,
        "recipient": r.wire,
        "address_hash": r.address_hash,
        "domain": r.domain,
        "stream": s.stream,
        "rank": RANKS[s.class_],
        "state": state.value,
        "created_at": s.created_at,
        "next_at": _first(s),
        "deadline": s.deadline,
        "attempts": 0,
        "epoch": 0,
        "provider": "other",
        "return_path": r.return_path,
        "probe": s.probe,
        "settled_at": None if entry is None else now,
        "reply": None if entry is None else entry.evidence,
        "category": None if entry is None else entry.category,
        "rule": None if entry is None else f"suppressed/{entry.reason.value}",
    }
