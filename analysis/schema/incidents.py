"""Incidents, what they are judged by, and what is kept back while one of them is open."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
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

from analysis.schema.columns import Json, Ulid, metadata

tallies = Table(
    "tallies",
    metadata,
    Column("span", Integer, primary_key=True),  # seconds of a slot: a minute or an hour
    Column("slot", BigInteger, primary_key=True),  # Unix seconds // span
    Column("provider", String(32), primary_key=True),
    Column("outcome", String(16), primary_key=True),  # `analysis.tallies.Outcome`
    Column("fault", String(16), primary_key=True),  # empty where nothing was at fault
    Column("category", String(32), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

refusals = Table(
    "refusals",
    metadata,
    Column("provider", String(32), primary_key=True),
    Column("category", String(32), primary_key=True),
    Column("fingerprint", String(200), primary_key=True),  # what is alike in many replies
    Column("fault", String(16), nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("first_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("first_delivery", Ulid),
    Column("last_delivery", Ulid),
    Column("example", Text, nullable=False),  # the newest of them, addresses masked
    Index("ix_refusals_last", "last_at"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("kind", String(32), nullable=False),  # `analysis.incident_policy`
    Column("provider", String(32), nullable=False),  # `all`: not one provider's
    Column("subject", String(255), nullable=False),  # what is blocklisted and where, else empty
    Column("fault", String(16), nullable=False),
    Column("state", String(8), nullable=False),  # open | closed
    Column("opened_at", Double, nullable=False),
    Column("since", Double, nullable=False),  # when it was opened last
    Column("looked_at", Double, nullable=False),  # when the evidence was gathered
    Column("closed_at", Double),
    Column("closed_why", Text),
    Column("reopened", Integer, nullable=False),  # how often
    Column("muted_until", Double),  # a person knows: it is not opened again before
    Column("evidence", Json, nullable=False),
    Index(
        "uq_incidents_open",
        "kind",
        "provider",
        "subject",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    Index("ix_incidents_closed", "closed_at"),
)

held_suppressions = Table(
    "held_suppressions",
    metadata,
    Column("address_hash", LargeBinary(32), primary_key=True),
    Column("delivery_id", Ulid, primary_key=True),  # that was refused
    Column("incident_id", Ulid, nullable=False),
    Column("held_at", Double, nullable=False),
    # what would be on the list
    Column("address", Text),  # null once erased
    Column("until", Double),
    Column("evidence", Text, nullable=False),
    Column("category", String(32)),
    Column("rule", String(128)),
    Index("ix_held_suppressions_incident", "incident_id", "address_hash"),
    Index("ix_held_suppressions_held", "held_at"),
)

blocklistings = Table(
    "blocklistings",
    metadata,
    Column("list", String(64), primary_key=True),
    Column("subject", String(255), primary_key=True),  # an address of ours, or a domain
    Column("kind", String(8), nullable=False),  # ip | domain
    Column("state", String(8), nullable=False),  # listed | clear | unsure
    Column("said", Text, nullable=False),  # codes and their sense, or why nobody could say
    Column("since", Double, nullable=False),  # of this state
    Column("checked_at", Double, nullable=False),
)

reputation = Table(
    "reputation",
    metadata,
    Column("provider", String(32), primary_key=True),
    Column("measure", String(16), primary_key=True),  # complaints | bounces
    Column("numerator", BigInteger, nullable=False),
    Column("denominator", BigInteger, nullable=False),
    Column("since", Double, nullable=False),  # of the deliveries that were counted
    Column("at", Double, nullable=False),
)
