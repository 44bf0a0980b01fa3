"""Every table, in one place, for SQLite and PostgreSQL alike.

The tables live at the base because lookup, metrics and suppression read all of them.  Times are
Unix seconds (UTC) as double precision.  Ids are lower-case ULIDs, so that primary keys sort by
time.  Addresses are compared by `address_hash`, the SHA-256 of `analysis.address.Address.key`.

    messages 1-1 bodies, 1-n deliveries 1-n attempts, 1-n reports; raw_inbound 1-n reports
"""

from __future__ import annotations

from analysis.schema.columns import Json, Serial, Ulid, metadata
from analysis.schema.duties import duties
from analysis.schema.outbound_tls import tls_policies, tls_results
from analysis.schema.receiving import raw_inbound, reports, unknown_replies
from analysis.schema.records import api_keys, audit, events, idempotency
from analysis.schema.sending import attempts, bodies, deliveries, messages
from analysis.schema.standing import soft_bounces, suppressions

__all__ = [
    "Json",
    "Serial",
    "Ulid",
    "api_keys",
    "attempts",
    "audit",
    "bodies",
    "deliveries",
    "duties",
    "events",
    "idempotency",
    "messages",
    "metadata",
    "raw_inbound",
    "reports",
    "soft_bounces",
    "suppressions",
    "tls_policies",
    "tls_results",
    "unknown_replies",
]
