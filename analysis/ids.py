"""Ids by time: ULIDs sort as the moments they were made at, so a span of time is a span of ids."""

from __future__ import annotations

from ulid import ULID


def first_id(at: float) -> str:
    """The id that every one made at `at` (Unix seconds) or later sorts after, or is."""
    return str(ULID.from_timestamp(max(0.0, at)))[:10].lower() + "0" * 16
