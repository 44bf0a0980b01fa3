"""Who is told of events, and what of it is under way or done."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from analysis.schema.columns import Json, Ulid, metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("kinds", Json, nullable=False),  # of events; empty: all
    Column("state", String(8), nullable=False),  # active | paused | disabled
    Column("why", Text),  # it is disabled
    Column("secret", Text, nullable=False),  # signs; in full, since a hash cannot
    Column("old_secret", Text),  # signs beside it ...
    Column("old_until", Double),  # ... until then
    Column("cursor", BigInteger, nullable=False),  # events up to this one were handed over
    Column("created_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),  # by a person, or by being disabled
    Column("succeeded_at", Double),
    Column("failed_at", Double),
)

webhook_calls = Table(
    "webhook_calls",
    metadata,
    Column("webhook_id", Ulid, primary_key=True),
    Column("seq", BigInteger, primary_key=True),  # of an event that retention may have taken
    Column("state", String(8), nullable=False),  # waiting | done | failed
    Column("handed_at", Double, nullable=False),  # when it was handed over, or replayed
    Column("next_at", Double, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    Column("epoch", Integer, nullable=False),  # claims so far; a stale node's epoch is lower
    Column("lease_until", Double),
    # of the newest try
    Column("tried_at", Double),
    Column("seconds", Double),
    Column("result", String(12)),  # `analysis.webhooks.Result`
    Column("status", SmallInteger),  # of HTTP
    Column("answer", Text),  # the beginning of what the endpoint said, or why there is none
    Index(
        "ix_webhook_calls_due",
        "webhook_id",
        "next_at",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_webhook_calls_ended",
        "tried_at",
        sqlite_where=text("state <> 'waiting'"),
        postgresql_where=text("state <> 'waiting'"),
    ),
)
