"""Webhooks: who is told of events, from where on, and what became of telling them.

An endpoint has a URL, the kinds of events it wants, and secrets that sign what it is sent.  Its
`cursor` is the last event that was handed over to it; what is handed over waits in `webhook_calls`
(`sender.webhook_calls`), one row an event.  So a replay is no more than a cursor set back.

The secret is shown when it is made and never again; rotating makes a new one, and the old one signs
beside it for a while.  States: `active`; `paused` by a person, which loses nothing; `disabled` by
us, with the reason, and made active again by a person.  Every change is audited.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from analysis import audit
from analysis.events import announce, event
from analysis.lookup import Json, iso
from analysis.schema import events, webhook_calls, webhooks

MOST_ENDPOINTS = 100
"""Each is asked after at every look, and each may have its own connections open."""
SECRET_OCTETS = 32
KEPT = 7 * 86_400.0
"""Seconds for which an ended call is shown."""
TEST = "webhook.test"
DISABLED = "webhook.disabled"


class State(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class Result(StrEnum):
    """What came of one try."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"  # it is tried again
    REFUSED = "refused"  # nothing was sent: the URL leads where we must not go; tried again
    FAILED = "failed"  # the last try
    GONE = "gone"  # 410: the endpoint wants no more


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint said.  `status` None: nothing, and `text` is why, in our own words."""

    status: int | None
    text: str
    seconds: float
    refused: bool = False

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Endpoint:
    id: str
    url: str
    description: str
    kinds: tuple[str, ...]  # `bounced`, `dmarc.*`; empty: all
    state: State
    why: str | None
    secret: str
    old_secret: str | None
    old_until: float | None
    cursor: int
    created_at: float
    changed_at: float
    succeeded_at: float | None
    failed_at: float | None

    def wants(self, kind: str) -> bool:
        return not self.kinds or any(
            kind == one or (one.endswith(".*") and kind.startswith(one[:-1])) for one in self.kinds
        )

    def secrets(self, now: float) -> list[str]:
        """Those that sign now, the newest first."""
        lasting = self.old_until is not None and now < self.old_until
        return [self.secret, self.old_secret] if self.old_secret and lasting else [self.secret]

    def view(self) -> Json:
        """What is shown of it: everything but the secrets."""
        return {
            "id": self.id,
            "url": self.url,
            "description": self.description,
            "events": list(self.kinds),
            "state": self.state.value,
            "why": self.why,
            "created_at": iso(self.created_at),
            "changed_at": iso(self.changed_at),
            "succeeded_at": iso(self.succeeded_at),
            "failed_at": iso(self.failed_at),
            "old_secret_until": iso(self.old_until if self.old_secret else None),
        }


def new_secret(random: bytes) -> str:
    """The secret as Standard Webhooks writes it, of `SECRET_OCTETS` random octets."""
    if len(random) < SECRET_OCTETS:
        raise ValueError(f"a webhook's secret needs {SECRET_OCTETS} random octets")
    return f"whsec_{b64encode(random).decode()}"


def read(row: Any) -> Endpoint:
    fields = dict(row._mapping)
    return Endpoint(**{**fields, "kinds": tuple(fields["kinds"]), "state": State(fields["state"])})


def browse(tx: Connection, *, after: str = "", limit: int = MOST_ENDPOINTS) -> list[Endpoint]:
    """Endpoints in the order they were made; `after`: the id that the last page ended with."""
    query = select(webhooks).where(webhooks.c.id > after).order_by(webhooks.c.id)
    return [read(row) for row in tx.execute(query.limit(limit))]


def find(tx: Connection, webhook_id: str) -> Endpoint | None:
    row = tx.execute(select(webhooks).where(webhooks.c.id == webhook_id)).one_or_none()
    return None if row is None else read(row)


def newest(tx: Connection) -> int:
    """The number of the last event."""
    return tx.execute(select(func.max(events.c.seq))).scalar_one() or 0


def before(tx: Connection, since: float) -> int:
    """The cursor behind which every event since a time lies."""
    first = tx.execute(select(func.min(events.c.seq)).where(events.c.at >= since)).scalar_one()
    return newest(tx) if first is None else int(first) - 1


def add(tx: Connection, endpoint: Endpoint, actor: str) -> bool:
    """Keep a new one; False where there are as many as may be."""
    if tx.execute(select(func.count()).select_from(webhooks)).scalar_one() >= MOST_ENDPOINTS:
        return False
    row = {name: getattr(endpoint, name) for name in endpoint.__slots__}
    tx.execute(
        insert(webhooks).values(
            {**row, "kinds": list(endpoint.kinds), "state": endpoint.state.value}
        )
    )
    note(tx, "create", endpoint, actor, at=endpoint.created_at)
    return True


def change(
    tx: Connection, webhook_id: str, changes: Json, actor: str, *, at: float, action: str = "change"
) -> Endpoint | None:
    """Change columns; one that is made active again tries at once what waits for it."""
    if (there := find(tx, webhook_id)) is None:
        return None
    tx.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(changed_at=at, **changes))
    if changes.get("state") == State.ACTIVE and there.state is not State.ACTIVE:
        tx.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(why=None))
        _renew(tx, webhook_id, at)
    changed = find(tx, webhook_id)
    assert changed is not None
    told = {name: value for name, value in changes.items() if "secret" not in name}
    note(tx, action, changed, actor, at=at, data=told)
    return changed


def _renew(tx: Connection, webhook_id: str, now: float) -> None:
    """Everything that waits for this endpoint is due, and begins its schedule anew."""
    tx.execute(
        update(webhook_calls)
        .where(webhook_calls.c.webhook_id == webhook_id, webhook_calls.c.state == "waiting")
        .values(next_at=now, handed_at=now, tries=0)
    )


def remove(tx: Connection, webhook_id: str, actor: str, *, at: float) -> bool:
    """Forget an endpoint and all that waits for it."""
    if (there := find(tx, webhook_id)) is None:
        return False
    tx.execute(delete(webhook_calls).where(webhook_calls.c.webhook_id == webhook_id))
    tx.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
    note(tx, "delete", there, actor, at=at)
    return True


def disable(tx: Connection, endpoint: Endpoint, why: str, *, at: float) -> bool:
    """Stop sending to it, and say so to everybody who listens; False if it was not active."""
    done = tx.execute(
        update(webhooks)
        .where(webhooks.c.id == endpoint.id, webhooks.c.state == State.ACTIVE.value)
        .values(state=State.DISABLED.value, why=why, changed_at=at)
    )
    if done.rowcount != 1:
        return False
    note(tx, "disable", endpoint, "carom", at=at, why=why)
    data = {"webhook_id": endpoint.id, "url": endpoint.url, "reason": why}
    announce(tx, [event(DISABLED, at=at, data=data)])
    return True


def note(
    tx: Connection,
    action: str,
    endpoint: Endpoint,
    actor: str,
    *,
    at: float,
    why: str = "",
    data: Json | None = None,
) -> None:
    row = {
        "at": at,
        "actor": actor,
        "action": f"webhook.{action}",
        "subject": endpoint.id,
        "reason": why or f"{action} {endpoint.url}",
        "data": {"url": endpoint.url, **(data or {})},
    }
    audit.note(tx, [row])


def tries(tx: Connection, webhook_id: str, *, below: int | None, limit: int) -> list[Any]:
    """Calls of an endpoint with their newest try, the newest event first."""
    query = (
        select(webhook_calls, events.c.kind)
        .outerjoin(events, events.c.seq == webhook_calls.c.seq)
        .where(webhook_calls.c.webhook_id == webhook_id)
    )
    if below is not None:
        query = query.where(webhook_calls.c.seq < below)
    return list(tx.execute(query.order_by(webhook_calls.c.seq.desc()).limit(limit)))


def try_view(row: Any) -> Json:
    return {
        "event_id": str(row.seq),
        "type": row.kind,
        "state": row.state,
        "tries": row.tries,
        "result": row.result,
        "status": row.status,
        "answer": row.answer,
        "tried_at": iso(row.tried_at),
        "seconds": row.seconds,
        "next_at": iso(row.next_at) if row.state == "waiting" else None,
    }


def waiting(tx: Connection, ids: Sequence[str]) -> dict[str, int]:
    """How many events wait for each endpoint, of those that were handed over."""
    rows = tx.execute(
        select(webhook_calls.c.webhook_id, func.count())
        .where(webhook_calls.c.webhook_id.in_(ids), webhook_calls.c.state == "waiting")
        .group_by(webhook_calls.c.webhook_id)
    )
    return {str(webhook_id): int(count) for webhook_id, count in rows}


def forget(tx: Connection, now: float, most: int) -> int:
    """Forget calls that ended long enough ago; how many went."""
    old = (
        select(webhook_calls.c.webhook_id, webhook_calls.c.seq)
        .where(webhook_calls.c.state != "waiting", webhook_calls.c.tried_at < now - KEPT)
        .limit(most)
    )
    gone = 0
    for webhook_id, seq in list(tx.execute(old)):
        key = (webhook_calls.c.webhook_id == webhook_id, webhook_calls.c.seq == seq)
        gone += tx.execute(delete(webhook_calls).where(*key)).rowcount
    return gone
