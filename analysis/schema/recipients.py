"""What recipients may tell us by links in their mail: it did not come; no more of this."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, LargeBinary, SmallInteger, String, Table

from analysis.schema.columns import Ulid, metadata

feedback = Table(
    "feedback",
    metadata,
    Column("delivery_id", Ulid, primary_key=True),
    Column("first_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("times", SmallInteger, nullable=False),  # that were counted
    Column("source", String(8), nullable=False),  # api | link: the newest
    Column("state", String(16), nullable=False),  # of the delivery, then
    Column("probe_id", Ulid),  # the message that tried the address again
    Index("ix_feedback_last", "last_at"),
)

unsubscribe_links = Table(  # of deliveries that retention has taken: their links live longer
    "unsubscribe_links",
    metadata,
    Column("delivery_id", Ulid, primary_key=True),
    Column("address_hash", LargeBinary(32), nullable=False, index=True),
    Column("stream", String(64), nullable=False),
)
