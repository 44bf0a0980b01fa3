"""People at the console: who is signed in, and the links that let one in once.

Neither table holds anything to sign in with: cookies and links are kept as their SHA-256.
"""

from __future__ import annotations

from sqlalchemy import Column, Double, LargeBinary, String, Table, Text

from analysis.schema.columns import Json, metadata

console_sessions = Table(
    "console_sessions",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),  # SHA-256 of the cookie
    Column("actor", Text, nullable=False),  # as the audit names who this is
    Column("key_id", String(32)),  # the API key behind it; null: a link let them in
    Column("scopes", Json, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),  # however busy
)

console_links = Table(
    "console_links",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),  # SHA-256 of the link's last part
    Column("actor", Text, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
)
