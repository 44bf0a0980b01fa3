"""The inbox: raw reports, stored before anybody parses them.

`keep` is the listener's promise: 250 follows its COMMIT.  `claim` hands raw rows to one reader for
a time; a reader that died gives them back when it starts again (`give_back`), or by letting the
lease run out.  What a reader died of once is read alone after that, so that it takes no neighbours
down.  A row that was tried too often is put aside, never thrown away: a parser's fault loses no
mail, and old mail can be read again by a better parser.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from analysis.schema import raw_inbound

MOST_TRIES = 10
"""A mail that so many readers did not finish is put aside.  It is seldom the mail's doing, which is
read in a process of its own: most deaths are ours, and innocents must outlive a row of them."""

_FIRST = -1.0  # as `lease_until`: before the untried ones, which have 0


@dataclass(frozen=True, slots=True)
class Raw:
    """One message to one address of ours, as it came."""

    id: str
    received_at: float
    peer: str
    helo: str
    mail_from: str
    recipient: str
    purpose: str  # bounce | fbl | unsubscribe | abuse | postmaster | dmarc | tls
    subject_id: str | None  # the delivery that the recipient's token vouches for
    content: bytes


def keep(tx: Connection, arrivals: Sequence[Raw]) -> None:
    """Store raw messages; durable when `tx` commits."""
    tx.execute(
        insert(raw_inbound),
        [
            {
                "id": raw.id,
                "received_at": raw.received_at,
                "peer": raw.peer,
                "helo": raw.helo,
                "mail_from": raw.mail_from,
                "recipient": raw.recipient,
                "purpose": raw.purpose,
                "subject_id": raw.subject_id,
                "content": raw.content,
                "state": "new",
                "tries": 0,
                "lease_until": 0.0,
            }
            for raw in arrivals
        ],
    )


_RAW = (
    raw_inbound.c.id,
    raw_inbound.c.received_at,
    raw_inbound.c.peer,
    raw_inbound.c.helo,
    raw_inbound.c.mail_from,
    raw_inbound.c.recipient,
    raw_inbound.c.purpose,
    raw_inbound.c.subject_id,
    raw_inbound.c.content,
)


def claim(tx: Connection, *, node: str, now: float, lease: float, limit: int) -> list[Raw]:
    """At most `limit` unread messages, held by `node` until `now + lease`."""
    ids = _free(tx, now, limit)
    if not ids:
        return []
    tx.execute(
        update(raw_inbound)
        .where(raw_inbound.c.id.in_(ids), raw_inbound.c.tries >= MOST_TRIES)
        .values(state="aside", error=f"given up after {MOST_TRIES} tries")
    )
    tx.execute(
        update(raw_inbound)
        .where(raw_inbound.c.id.in_(ids), raw_inbound.c.state == "new")
        .values(lease_until=now + lease, node=node, tries=raw_inbound.c.tries + 1)
    )
    rows = tx.execute(select(*_RAW).where(raw_inbound.c.id.in_(ids), raw_inbound.c.state == "new"))
    return [Raw(**row._mapping) for row in rows]


def _free(tx: Connection, now: float, limit: int) -> list[str]:
    """Untried messages together, or one that somebody began to read and did not finish."""
    rows = tx.execute(
        select(raw_inbound.c.id, raw_inbound.c.tries)
        .where(raw_inbound.c.state == "new", raw_inbound.c.lease_until <= now)
        .order_by(raw_inbound.c.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    suspects = [row.id for row in rows if row.tries]
    return suspects[:1] or [row.id for row in rows]


def holders(tx: Connection) -> list[str]:
    """The nodes that began to read something that is not read yet."""
    held = select(raw_inbound.c.node).where(raw_inbound.c.state == "new").distinct()
    return [node for node in tx.execute(held).scalars() if node is not None]


def give_back(tx: Connection, nodes: Collection[str]) -> None:
    """Free what `nodes` began to read and did not finish; these come first."""
    tx.execute(
        update(raw_inbound)
        .where(
            raw_inbound.c.state == "new",
            raw_inbound.c.lease_until > 0.0,
            raw_inbound.c.node.in_(sorted(nodes)),
        )
        .values(lease_until=_FIRST)
    )


def postpone(tx: Connection, raw_id: str, until: float) -> None:
    """Leave a message unread until then; that is no try that failed."""
    tx.execute(
        update(raw_inbound)
        .where(raw_inbound.c.id == raw_id, raw_inbound.c.state == "new")
        .values(lease_until=until, node=None, tries=raw_inbound.c.tries - 1)
    )


def put_aside(tx: Connection, raw_id: str, error: str) -> None:
    """Keep a message that could not be read, with the reason, out of the readers' way."""
    tx.execute(
        update(raw_inbound)
        .where(raw_inbound.c.id == raw_id)
        .values(state="aside", error=error[:500], understood=False)
    )


def unread(tx: Connection, most: int | None = None) -> int:
    """How many nobody has read; counted no further than `most`."""
    new = select(raw_inbound.c.id).where(raw_inbound.c.state == "new").limit(most).subquery()
    return int(tx.execute(select(func.count()).select_from(new)).scalar_one())
