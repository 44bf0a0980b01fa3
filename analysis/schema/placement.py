"""What our own probes found out: where seed mailboxes file our mail, whether bounces come back."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, String, Table, Text, text

from analysis.schema.columns import Ulid, metadata

placements = Table(
    "placements",
    metadata,
    Column("id", Ulid, primary_key=True),  # in the probe's tag
    Column("message_id", Ulid, nullable=False),  # a row that retention may have taken
    Column("delivery_id", Ulid, nullable=False),
    Column("seed", String(64), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("stream", String(64), nullable=False),
    Column("sent_at", Double, nullable=False),
    # inbox | junk | other | missing | undelivered; null: still looked for
    Column("placement", String(16)),
    Column("settled_at", Double),  # when we knew
    Column("folder", Text),
    Column("arrived_at", Double),  # IMAP INTERNALDATE: when the receiver says it came
    # what the receiver said of us; null: it said nothing
    Column("spf", String(16)),
    Column("dkim", String(16)),
    Column("dmarc", String(16)),
    Column("removed_at", Double),  # when it was seen for the last time, and taken away
    Index("ix_placements_sent", "sent_at"),
    Index(
        "ix_placements_open",
        "seed",
        "sent_at",
        sqlite_where=text("removed_at IS NULL"),
        postgresql_where=text("removed_at IS NULL"),
    ),
)

canaries = Table(
    "canaries",
    metadata,
    Column("id", Ulid, primary_key=True),  # in the token of its address
    Column("sent_at", Double, nullable=False),
    Column("delivery_id", Ulid),  # null: not handed in yet
    Column("reflected_at", Double),  # when our own listener wrote its bounce
    Column("returned_at", Double),  # when the bounce was recorded as a fact
    Column("alarmed_at", Double),  # when it was told that it had not come back; null again since
    Index("ix_canaries_sent", "sent_at"),
)
