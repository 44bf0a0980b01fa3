"""Routes: the way a domain's mail takes from here, as `sender.connections` wants it.

By the domain's own mail exchangers, a fixed host, or a relay.  A `Reply` where there is no way
now.  The site groups connections: domains with the same mail exchangers share theirs.  Which of
several ways a message takes is chosen in `sender.route_choice`; `route` is what holds where
nothing chooses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.providers import provider_of
from analysis.reply import Reply
from sender.mx import Exchangers, MailExchange
from sender.smtp import Route, TlsMode
from sender.tls_terms import TlsTerms


@dataclass(frozen=True, slots=True)
class Relay:
    """A host that takes all our mail."""

    host: str
    port: int
    tls: TlsMode = TlsMode.OPPORTUNISTIC
    implicit_tls: bool = False
    username: str | None = None
    password: str | None = None
    name: str = ""  # of a route of the settings: its connections are its own

    @property
    def site(self) -> str:
        return f"relay {self.name or f'{self.host}:{self.port}'}"


class Routes:
    def __init__(
        self,
        exchange: MailExchange,
        *,
        relay: Relay | None = None,
        static: frozenset[str],
        tls: TlsTerms | None = None,
    ) -> None:
        """`static` domains keep their fixed host even where there is a relay; `*` among them
        means that the relay has nothing left to do.  `tls` finds the terms of mail exchangers;
        without it they are opportunistic."""
        self._exchange = exchange
        self._tls = tls
        self._relay = relay
        self._static = static

    async def route(self, domain: str, *, require_tls: bool = False) -> Route | Reply:
        """The route of `domain` (A-labels).  `require_tls`: only with a certificate that holds."""
        if self._relay is not None and not self._static & {domain, "*"}:
            return await self.by_relay(self._relay, domain, require_tls=require_tls)
        return await self.by_mx(domain, require_tls=require_tls)

    def undeterred(self) -> Routes:
        """The same without terms of TLS: for what must arrive although TLS fails."""
        return Routes(self._exchange, relay=self._relay, static=self._static)

    def is_fixed(self, domain: str) -> bool:
        """Whether the domain, or every domain, was given a host: that goes before all relays."""
        return bool(self._static & {domain, "*"})

    def is_named(self, domain: str) -> bool:
        """Whether `route` leads to a host that the operator named."""
        return self._relay is not None or bool(self._static & {domain, "*"})

    async def provider(self, domain: str) -> str:
        """The provider behind a domain, by its mail exchangers where the DNS tells them."""
        found = await self._exchange.route(domain)
        return provider_of(() if isinstance(found, Reply) else found.names, domain)

    async def by_mx(self, domain: str, *, require_tls: bool = False) -> Route | Reply:
        """To the domain's own mail exchangers, or its fixed host."""
        found = await self._exchange.route(domain)
        if isinstance(found, Reply):
            return replace(found, provider=provider_of((), domain))
        provider = provider_of(found.names, domain)
        if self._tls is not None and not found.static:
            secured = await self._tls.secure(found, require=require_tls)
            if isinstance(secured, Reply):
                return replace(secured, provider=provider)
            found = secured
        mode = TlsMode.VERIFIED if require_tls else TlsMode.OPPORTUNISTIC
        return Route(
            _site(found),
            found.hosts,
            tls=mode,
            provider=provider,
            domain=domain,
            fixed=found.static,
        )

    async def by_relay(
        self, relay: Relay, domain: str, *, require_tls: bool, provider: str | None = None
    ) -> Route | Reply:
        """`provider`: the one behind the domain, where that is known."""
        found = await self._exchange.fixed(relay.host, relay.port, domain=domain)
        if isinstance(found, Reply):
            return found
        return Route(
            relay.site,
            found.hosts,
            tls=TlsMode.VERIFIED if require_tls else relay.tls,
            username=relay.username,
            password=relay.password,
            implicit_tls=relay.implicit_tls,
            provider=provider or provider_of((), domain),
            fixed=True,
        )


def _site(found: Exchangers) -> str:
    """Mail exchangers by name; a fixed host by name and port."""
    if found.static:
        return f"{found.names[0]}:{found.hosts[0].port}"
    return " ".join(sorted(found.names)[:5])
