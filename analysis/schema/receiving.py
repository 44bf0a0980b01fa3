"""What comes back: raw mail as it came, the facts read in it, replies that no rule took."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from analysis.schema.columns import Ulid, metadata

raw_inbound = Table(
    "raw_inbound",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("received_at", Double, nullable=False),
    Column("peer", String(64), nullable=False),
    Column("helo", Text, nullable=False),
    Column("mail_from", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column(
        "purpose", String(16), nullable=False
    ),  # bounce | fbl | unsubscribe | abuse | postmaster | dmarc | tls
    Column("subject_id", Ulid),  # the delivery that the recipient's token vouches for
    Column("content", LargeBinary, nullable=False),
    Column("state", String(8), nullable=False),  # new | read | aside
    Column("tries", SmallInteger, nullable=False),
    Column("lease_until", Double, nullable=False),  # who reads it holds it until then
    Column("node", String(64)),  # who reads it, or did last
    Column("kind", String(20)),
    Column("understood", Boolean),  # false: kept for a better rule or reader
    Column("error", Text),
    Index(
        "ix_raw_inbound_new",
        "lease_until",
        sqlite_where=text("state = 'new'"),
        postgresql_where=text("state = 'new'"),
    ),
    Index(
        "ix_raw_inbound_puzzling",
        "id",
        sqlite_where=text("understood = 0"),
        postgresql_where=text("understood = false"),
    ),
    Index("ix_raw_inbound_received", "received_at"),
    # by what erasure looks for
    Index(
        "ix_raw_inbound_subject",
        "subject_id",
        sqlite_where=text("subject_id IS NOT NULL"),
        postgresql_where=text("subject_id IS NOT NULL"),
    ),
    Index(
        "ix_raw_inbound_mail_from",
        text("lower(mail_from)"),
        sqlite_where=text("mail_from <> ''"),
        postgresql_where=text("mail_from <> ''"),
    ),
    postgresql_partition_by="RANGE (id)",  # by day, `analysis.days`
)

reports = Table(
    "reports",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("at", Double, nullable=False),
    Column("raw_id", Ulid, nullable=False, index=True),  # a row that retention may have taken
    Column("delivery_id", Ulid),  # null: not about anything we can prove we sent
    Column("kind", String(20), nullable=False),
    Column("identity", LargeBinary(32), nullable=False),  # equal for the same fact reported again
    Column("address", Text),  # as the report names it: evidence, never identity
    Column("action", String(16)),
    Column("status", String(12)),
    Column("code", SmallInteger),
    Column("reply", Text),
    Column("category", String(32)),
    Column("fault", String(16)),
    Column("severity", String(8)),
    Column("rule", String(128)),
    Column("feedback_type", String(32)),
    Index("uq_reports_identity", "identity", unique=True),
    Index("ix_reports_delivery", "delivery_id"),
    Index(
        "ix_reports_address",
        text("lower(address)"),
        sqlite_where=text("address IS NOT NULL"),
        postgresql_where=text("address IS NOT NULL"),
    ),
)

unknown_replies = Table(
    "unknown_replies",
    metadata,
    Column("fingerprint", String(200), primary_key=True),  # what is alike in many replies
    Column("provider", String(32), primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("seen", Integer, nullable=False),  # how often
    Column("first_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    # the newest of them, addresses masked
    Column("code", SmallInteger),
    Column("enhanced", String(12)),
    Column("example", Text, nullable=False),
    Column("delivery_id", Ulid),
    Index("ix_unknown_replies_seen", "seen", "last_at"),
)
