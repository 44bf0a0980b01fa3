"""Records for others: events, audit, API keys, answers kept for idempotency."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, LargeBinary, String, Table, Text, text

from analysis.schema.columns import Json, Serial, Ulid, metadata

events = Table(
    "events",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("message_id", Ulid),
    Column("delivery_id", Ulid),
    Column("data", Json, nullable=False),
    Index("ix_events_message", "message_id"),
    Index(
        "ix_events_delivery",
        "delivery_id",
        sqlite_where=text("message_id IS NULL"),
        postgresql_where=text("message_id IS NULL"),
    ),
    Index("ix_events_at", "at"),
    sqlite_autoincrement=True,  # a cursor must never be given out twice
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),  # a key's name, `carom` for our own rules, or a user
    Column("action", String(48), nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("data", Json, nullable=False),
    # the chain, `analysis.audit`; null in rows that are older than it
    Column("salt", LargeBinary(16)),  # null once erased
    Column("seal", LargeBinary(32)),  # SHA-256 of the salt and what the row says
    Column("hash", LargeBinary(32)),  # SHA-256 of the hash before and the seal
    Index("ix_audit_subject", "subject"),
    sqlite_autoincrement=True,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False),  # SHA-256 of 32 random bytes
    Column("scopes", Json, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key_hash", LargeBinary(32), primary_key=True),  # SHA-256 of API key id and key
    Column("body_hash", LargeBinary(32), nullable=False),
    Column("answer", Json, nullable=False),  # the same answer is given again
    Column("created_at", Double, nullable=False, index=True),
)
