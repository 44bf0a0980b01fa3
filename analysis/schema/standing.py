"""Whom not to write to, and the soft bounces that may lead there."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from analysis.schema.columns import Ulid, metadata

suppressions = Table(
    "suppressions",
    metadata,
    # SHA-256 of the address; once erased the HMAC of that, `analysis.keyed_hash`
    Column("address_hash", LargeBinary(32), primary_key=True),
    Column("stream", String(64), primary_key=True),  # '*': every stream
    Column(
        "reason", String(16), primary_key=True
    ),  # one row a reason: lifting one keeps the others
    Column("address", Text),  # null once erased; the hash still withholds
    Column("erased_by", String(16)),  # the mark of the key that its HMAC was made with
    Column("since", Double, nullable=False),
    Column("until", Double),  # null: until lifted
    Column("evidence", Text, nullable=False),
    Column("category", String(32)),
    Column("rule", String(128)),
    Column("delivery_id", Ulid),
    Column("actor", Text, nullable=False),
    Column("probed_at", Double),  # when a login code was last let through ...
    Column("probed_by", Ulid),  # ... by this delivery
    Index("ix_suppressions_since", "since", "address_hash"),
    Index("ix_suppressions_reason", "reason", "since", "address_hash"),
    Index(
        "ix_suppressions_erased",
        "address_hash",
        sqlite_where=text("erased_by IS NOT NULL"),
        postgresql_where=text("erased_by IS NOT NULL"),
    ),
)

soft_bounces = Table(
    "soft_bounces",
    metadata,
    Column("address_hash", LargeBinary(32), primary_key=True),
    Column("day", Integer, primary_key=True),  # days since 1970-01-01 UTC
    # said in a bounce: the next host's acceptance, which went before it, does not contradict it
    Column("late", Boolean, primary_key=True, default=False),
)
