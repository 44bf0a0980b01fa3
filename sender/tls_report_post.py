"""TLS reports handed over by HTTPS: RFC 8460 section 5.4.

The address is a stranger's word: only a public one is talked to, by a name whose certificate holds,
and nothing is followed.  Raises OSError, with plain words, where the report was not taken.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from analysis.destination import IPNetwork, refusal
from sender.https_get import Posting, Target, Unfetched, post
from sender.resolver import Resolver, addresses, check_name

SECONDS = 30.0
_ADDRESSES = 2
_KIND = "application/tlsrpt+gzip"


@dataclass(frozen=True, slots=True)
class ReportPost:
    """`allowed` are networks that a host may lie in although they are not public."""

    resolver: Resolver
    tls: ssl.SSLContext
    allowed: Sequence[IPNetwork] = ()

    async def __call__(self, url: str, report: bytes) -> None:
        host, port, path = _parts(url)
        trouble = "the host has no address that is public"
        for address in await self._addresses(host):
            target = Target(host, address, path, port)
            try:
                await post(target, self.tls, Posting(_KIND, report), seconds=SECONDS)
            except Unfetched as error:
                trouble = str(error)
                continue
            return
        raise OSError(f"{host}: {trouble}")

    async def _addresses(self, host: str) -> list[str]:
        answers = [await self.resolver.ask(host, kind) for kind in ("A", "AAAA")]
        found = addresses(answers)
        vetted = [address for address in found if refusal(address, self.allowed) is None]
        return vetted[:_ADDRESSES]


def _parts(url: str) -> tuple[str, int, str]:
    """Host, port, path with its query."""
    try:
        parts = urlsplit(url)
        host, port = check_name(parts.hostname or ""), parts.port or 443
    except ValueError as error:
        raise OSError(f"no address to post to: {error}") from error
    return host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
