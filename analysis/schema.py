"""Every table, in one place, for SQLite and PostgreSQL alike.

The tables live at the base because lookup, metrics and suppression read all of them.  Times are
Unix seconds (UTC) as double precision.  Ids are lower-case ULIDs, so that primary keys sort by
time.  Addresses are compared by `address_hash`, the SHA-256 of `analysis.address.Address.key`.

    messages 1-1 bodies, 1-n deliveries 1-n attempts, 1-n reports; raw_inbound 1-n reports
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Ulid = String(26)
Json = JSON().with_variant(JSONB(), "postgresql")
Serial = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts only INTEGER keys

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
    Index("ix_messages_header_message_id", "header_message_id"),
)

bodies = Table(
    "bodies",
    metadata,
    Column("message_id", Ulid, ForeignKey("messages.id"), primary_key=True),
    Column("content", LargeBinary, nullable=False),  # composed, CRLF, not yet signed
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
    Column("return_path", Text, nullable=False),  # VERP, the same on every try
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
    ),  # bounce | fbl | unsubscribe | abuse | postmaster
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
    Index("ix_raw_inbound_received", "received_at"),
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
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("address_hash", LargeBinary(32), primary_key=True),
    Column("stream", String(64), primary_key=True),  # '*': every stream
    Column(
        "reason", String(16), primary_key=True
    ),  # one row a reason: lifting one keeps the others
    Column("address", Text),  # null once erased; the hash still withholds
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
)

soft_bounces = Table(
    "soft_bounces",
    metadata,
    Column("address_hash", LargeBinary(32), primary_key=True),
    Column("day", Integer, primary_key=True),  # days since 1970-01-01 UTC
    # said in a bounce: the next host's acceptance, which went before it, does not contradict it
    Column("late", Boolean, primary_key=True, default=False),
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

tls_policies = Table(
    "tls_policies",
    metadata,
    Column("domain", String(255), primary_key=True),
    Column("record", String(32), nullable=False),  # the id in the DNS it was fetched under
    Column("mode", String(8), nullable=False),  # enforce | testing | none
    Column("mx", Json, nullable=False),  # patterns
    Column("max_age", Integer, nullable=False),  # seconds that it binds from the fetch on
    Column("fetched_at", Double, nullable=False),
    Index("ix_tls_policies_fetched", "fetched_at"),
)

tls_results = Table(
    "tls_results",
    metadata,
    Column("day", Integer, primary_key=True),  # days since 1970-01-01 UTC
    Column("domain", String(255), primary_key=True),  # of the recipients
    Column("kind", String(16), primary_key=True),  # sts | tlsa | no-policy-found
    Column("mx", String(255), primary_key=True),  # empty: it never came to a host
    Column("result", String(32), primary_key=True),  # ok, or as in RFC 8460 section 4.3
    Column("sessions", Integer, nullable=False),
)

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
