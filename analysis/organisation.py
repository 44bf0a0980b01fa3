"""The organisational domain of a name (RFC 7489 section 3.2), by the public suffix list.

The list takes a sixth of a second to read: once a process, and only where it is asked.
"""

from __future__ import annotations

from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=10_000)
def organisational_domain(name: str) -> str:
    """The registered domain that `name` belongs to; `name` itself where none is above it."""
    return str(_suffixes().privatesuffix(name) or name)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
