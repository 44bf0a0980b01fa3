"""Routes: the way a domain's mail takes from here, as `sender.connections` wants it.

One relay for everything, or the domain's own mail exchangers.  A `Reply` where there is no way
now.  The site groups connections: domains with the same mail exchangers share theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.providers import provider_of
from analysis.reply import Reply
from sender.mx import Exchangers, MailExchange
from sender.smtp import Route, TlsMode


@dataclass(frozen=True, slots=True)
class Relay:
    """A host that takes all our mail."""

    host: str
    port: int
    tls: TlsMode = TlsMode.OPPORTUNISTIC
    implicit_tls: bool = False
    username: str | None = None
    password: str | None = None


class Routes:
    def __init__(
        self, exchange: MailExchange, *, relay: Relay | None = None, static: frozenset[str]
    ) -> None:
        """`static` domains keep their fixed host even where there is a relay; `*` among them
        means that the relay has nothing left to do."""
        self._exchange = exchange
        self._relay = relay
        self._static = static

    async def route(self, domain: str) -> Route | Reply:
        """The route of `domain` (A-labels)."""
        if self._relay is not None and not self._static & {domain, "*"}:
            return await self._by_relay(self._relay, domain)
        found = await self._exchange.route(domain)
        if isinstance(found, Reply):
            return replace(found, provider=provider_of((), domain))
        return Route(_site(found), found.hosts, provider=provider_of(found.names, domain))

    async def _by_relay(self, relay: Relay, domain: str) -> Route | Reply:
        found = await self._exchange.fixed(relay.host, relay.port, domain=domain)
        if isinstance(found, Reply):
            return found
        return Route(
            f"relay {relay.host}:{relay.port}",
            found.hosts,
            tls=relay.tls,
            username=relay.username,
            password=relay.password,
            implicit_tls=relay.implicit_tls,
            provider=provider_of((), domain),
        )


def _site(found: Exchangers) -> str:
    """Mail exchangers by name; a fixed host by name and port."""
    if found.static:
        return f"{found.names[0]}:{found.hosts[0].port}"
    return " ".join(sorted(found.names)[:5])
