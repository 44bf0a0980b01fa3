"""Every table, in one place, for SQLite and PostgreSQL alike.

The tables live at the base because lookup, metrics and suppression read all of them.  Times are
Unix seconds (UTC) as double precision.  Ids are lower-case ULIDs, so that primary keys sort by
time.  Addresses are compared by `address_hash`, the SHA-256 of `analysis.address.Address.key`.

    messages 1-1 bodies, 1-n deliveries 1-n attempts, 1-n reports; raw_inbound 1-n reports
"""

from __future__ import annotations

from analysis.schema.aggregate import (
    aggregate_reports,
    dmarc_rows,
    dmarc_sources,
    tls_reports_sent,
    tls_rows,
)
from analysis.schema.columns import Json, Serial, Ulid, metadata
from analysis.schema.doctor import doctor_checks
from analysis.schema.duties import duties
from analysis.schema.engagement import engagements
from analysis.schema.incidents import (
    blocklistings,
    held_suppressions,
    incidents,
    refusals,
    reputation,
    tallies,
)
from analysis.schema.measures import cohort_changes, cohorts, counters
from analysis.schema.outbound_tls import tls_policies, tls_results
from analysis.schema.pacing import pacing_nodes
from analysis.schema.people import console_links, console_sessions
from analysis.schema.placement import canaries, placements
from analysis.schema.privacy import audit_anchor
from analysis.schema.receiving import raw_inbound, reports, unknown_replies
from analysis.schema.recipients import feedback, unsubscribe_links
from analysis.schema.records import api_keys, audit, events, idempotency
from analysis.schema.routing import warmup_counts
from analysis.schema.sending import attempts, bodies, deliveries, messages
from analysis.schema.standing import soft_bounces, suppressions
from analysis.schema.templates import templates
from analysis.schema.webhooks import webhook_calls, webhooks

__all__ = [
    "Json",
    "Serial",
    "Ulid",
    "aggregate_reports",
    "api_keys",
    "attempts",
    "audit",
    "audit_anchor",
    "blocklistings",
    "bodies",
    "canaries",
    "cohort_changes",
    "cohorts",
    "console_links",
    "console_sessions",
    "counters",
    "deliveries",
    "dmarc_rows",
    "dmarc_sources",
    "doctor_checks",
    "duties",
    "engagements",
    "events",
    "feedback",
    "held_suppressions",
    "idempotency",
    "incidents",
    "messages",
    "metadata",
    "pacing_nodes",
    "placements",
    "raw_inbound",
    "refusals",
    "reports",
    "reputation",
    "soft_bounces",
    "suppressions",
    "tallies",
    "templates",
    "tls_policies",
    "tls_reports_sent",
    "tls_results",
    "tls_rows",
    "unknown_replies",
    "unsubscribe_links",
    "warmup_counts",
    "webhook_calls",
    "webhooks",
]
