"""What is sent: a message once, a delivery for each recipient, an attempt for each claim."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    text,
)

from analysis.schema.columns import Json, Ulid, metadata

messages = Table(
    "messages",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("stream", String(64), nullable=False),
    Column("class", String(16), nullable=False),  # otp | transactional | bulk
    Column("from_address", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("header_message_id", Text, nullable=False),  # RFC 5322 section 3.6.4, the same on retry
    Column("send_at", Double),
    Column("deadline", Double, nullable=False),
    Column("size", Integer, nullable=False),  # octets of the body row
    Column("metadata", Json, nullable=False),
    Column("require_tls", Boolean, nullable=False, server_default=false()),
    Column("template", String(100)),  # `name@version` that it was made of
    Index("ix_messages_header_message_id", "header_message_id"),
    Index("ix_messages_created_at", "created_at"),
    Index(
        "ix_messages_send_at",
        "send_at",
        sqlite_where=text("send_at IS NOT NULL"),
        postgresql_where=text("send_at IS NOT NULL"),
    ),
    Index("ix_messages_subject", text("lower(substr(subject, 1, 60))"), "id"),
)

bodies = Table(
    "bodies",
    metadata,
    Column("message_id", Ulid, ForeignKey("messages.id"), primary_key=True),
    Column("content", LargeBinary, nullable=False),  # composed, CRLF, not yet signed
    postgresql_partition_by="RANGE (message_id)",  # by day, `analysis.days`
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("message_id", Ulid, ForeignKey("messages.id"), nullable=False, index=True),
    Column("recipient", Text, nullable=False),  # exactly as RCPT TO will name it
    Column("address_hash", LargeBinary(32), nullable=False),
    Column("domain", String(255), nullable=False),
    Column("stream", String(64), nullable=False),
    Column("rank", SmallInteger, nullable=False),  # 0 otp, 1 transactional, 2 bulk
    Column("state", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("next_at", Double, nullable=False),  # when it may be tried
    Column("deadline", Double, nullable=False),
    Column("attempts", Integer, nullable=False),  # tries that used up a step of the schedule
    Column("epoch", Integer, nullable=False),  # claims so far; a stale worker's epoch is lower
    Column("lease_until", Double),
    Column("node", String(64)),
    Column("provider", String(32), nullable=False),
    Column("return_path", Text, nullable=False),  # VERP, the same on every try; empty: null sender
    Column("probe", String(16)),  # placement | canary: our own mail, which counts as nobody's
    Column("settled_at", Double),  # when the state was reached that it is in, unless pending
    Column("accepted_at", Double),  # when the next host took it, whatever came later
    # the newest answer and what it means, so that explaining needs no search
    Column("code", SmallInteger),
    Column("enhanced", String(12)),
    Column("reply", Text),
    Column("category", String(32)),
    Column("fault", String(16)),
    Column("rule", String(128)),
    Index(
        "ix_deliveries_due",
        "rank",
        "next_at",
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    Index(
        "ix_deliveries_pending_deadline",
        "deadline",
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    Index(
        "ix_deliveries_leased",
        "lease_until",
        sqlite_where=text("state = 'sending'"),
        postgresql_where=text("state = 'sending'"),
    ),
    Index("ix_deliveries_address", "address_hash", "created_at"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", Ulid, ForeignKey("deliveries.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True),  # the claim it was made under
    Column("node", String(64), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),  # null: still under way, or the node died
    # accepted | refused | deferred | in_doubt | withheld | held | lost
    Column("result", String(16)),
    Column("stage", String(16)),
    Column("host", Text),
    Column("address", String(64)),
    Column("tls", String(16)),
    Column("code", SmallInteger),
    Column("enhanced", String(12)),
    Column("reply", Text),
    Column("category", String(32)),
    Column("fault", String(16)),
    Column("severity", String(8)),
    Column("rule", String(128)),
    Column("next_at", Double),  # when it was decided to try again
)
