"""What is counted and kept longer than the facts: cohorts, and counters over restarts."""

from __future__ import annotations

from sqlalchemy import Column, Double, Integer, SmallInteger, String, Table, Text

from analysis.schema.columns import Serial, metadata

cohorts = Table(
    "cohorts",
    metadata,
    Column("hour", Integer, primary_key=True),  # since 1970-01-01 UTC
    Column("stream", String(64), primary_key=True),
    Column("provider", String(32), primary_key=True),
    # a final state, or `accepted`: the next host took it, whatever came later
    Column("outcome", String(16), primary_key=True),
    Column("category", String(32), primary_key=True),  # '': none
    Column("fault", String(16), primary_key=True),
    Column("wait", SmallInteger, primary_key=True),  # of `accepted`: a step of its time
    Column("n", Integer, nullable=False),
    sqlite_with_rowid=False,  # the key is the order it is read in
)

cohort_changes = Table(  # not yet added to `cohorts`; only ever appended to, so nobody waits
    "cohort_changes",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("marks", Text, nullable=False),  # of one commit, JSON: [hour, ..., wait, n] each
)

counters = Table(
    "counters",
    metadata,
    Column("node", String(64), primary_key=True),  # the process that counts
    Column("sample", String(512), primary_key=True),  # name and labels, as JSON
    Column("value", Double, nullable=False),
    Column("at", Double, nullable=False),  # when it was written
)
