"""Which roles there are: `sender` sends, `ingest` listens and reads, `api` takes and answers."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    SENDER = "sender"
    INGEST = "ingest"
    API = "api"


ALL = frozenset(Role)
