"""Settings of `[[sender.routes]]`: ways out by stream, class, domain and provider."""

from __future__ import annotations

from datetime import date
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator

from carom.settings.units import Domain, Duration, Listen, Section, key, parse_domain
from carom.settings.words import Class, ProviderName, RelayTls, StreamName
from sender.route_choice import DEFAULT
from sender.warmup import parse_steps


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _source(value: Any) -> Any:
    return {"address": value} if isinstance(value, str) else value


def _steps(text: str) -> str:
    parse_steps(text)
    return text


def _suffix(text: str) -> str:
    """`example.net`, or `.example.net` (also written `*.example.net`) for what is below it."""
    text = text.strip().removeprefix("*")
    dot = "." if text.startswith(".") else ""
    if not (domain := parse_domain(text.removeprefix("."))):
        raise ValueError("expected a domain, or .domain for what is below it")
    return dot + domain


DomainOrSuffix = Annotated[str, AfterValidator(_suffix)]


class Source(Section):
    """An address of this machine."""

    address: IPv4Address | IPv6Address = key(..., "Connections go out from it.", "IP address")
    hostname: Domain = key(
        "", "Said in EHLO from it; it must resolve to it. Empty: [sender] hostname.", "host name"
    )


class Warmup(Section):
    ladder: Annotated[str, AfterValidator(_steps)] = key(
        ...,
        "To each provider from each source address: of the first day, the second, and so on; "
        "then no bound. The rest goes by the next route.",
        "messages a day",
    )
    since: date = key(..., "The first day, UTC.", "date")


class RouteKind(Section):
    """Where a route leads, and how one signs in there."""

    name: StreamName = key(..., "In logs, in metrics and where something waits.")
    host: Listen | None = key(
        None, "A relay that takes the mail; unset: direct to the mail exchangers.", "host:port"
    )
    kind: Annotated[str, AfterValidator(str.lower)] | None = key(
        None, "Follows from host; may be said.", "mx, relay", pattern="^(?:mx|relay)$"
    )
    user: str = key("", "For AUTH; empty: none.")
    password: SecretStr = key(SecretStr(""), "For AUTH.")
    tls: RelayTls = key(
        RelayTls.OPPORTUNISTIC, "A password is only ever sent over verified TLS or loopback."
    )

    @model_validator(mode="after")
    def _sensible(self) -> RouteKind:
        if self.name == DEFAULT:
            raise ValueError(f"expected another name than {DEFAULT}, what no route is for goes by")
        if bool(self.user) != bool(self.password.get_secret_value()):
            raise ValueError("expected user and password together")
        if self.kind == "relay" and self.host is None:
            raise ValueError("expected the host of this relay")
        if self.host is None and self.user:
            raise ValueError("expected a host to sign in to")
        if self.kind == "mx" and self.host is not None:
            raise ValueError("expected no host for a route to mail exchangers")
        return self


class Route(RouteKind):
    stream: Annotated[list[StreamName], BeforeValidator(_listed)] = key(
        [], "Only mail of these; empty: all."
    )
    class_: Annotated[list[Class], BeforeValidator(_listed)] = key(
        [], "Only mail of these; empty: all.", "otp, transactional, bulk", alias="class"
    )
    domain: Annotated[list[DomainOrSuffix], BeforeValidator(_listed)] = key(
        [], "Only to these; .example.net is everything below example.net; empty: all.", "domain"
    )
    provider: Annotated[list[ProviderName], BeforeValidator(_listed)] = key(
        [], "Only to these, known by their mail exchangers; empty: all."
    )
    share: float | None = key(
        None,
        "Of the deliveries that this and others with a share match; the same one at every try.",
        "weight",
        gt=0,
        le=1e6,
    )
    failover: bool = key(True, "While it is out, its mail goes by the next route that matches.")
    source: Annotated[
        list[Annotated[Source, BeforeValidator(_source)]], BeforeValidator(_listed)
    ] = key([], "Addresses to send from, the same one at every try; empty: the system's choice.")
    warmup: Warmup | None = key(None, "Builds up the reputation of new addresses.")
    failures: int = key(3, "In a row, in connecting or signing in, that take it out.", ge=1, le=100)
    window: Duration = key(60.0, "Within which they count.", "duration")
    probe: Duration = key(
        30.0, "Out for this long before one delivery probes it; doubles up to 5m.", "duration"
    )


def named(value: Any) -> Any:
    """`[sender.routes.NAME]` tables as the list that `[[sender.routes]]` gives."""
    if not isinstance(value, dict):
        return value
    return [
        {"name": name, **route} if isinstance(route, dict) else route
        for name, route in value.items()
    ]


def distinct(routes: list[Route]) -> list[Route]:
    names = [route.name for route in routes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"expected a name for each route; {twice} is given twice")
    return routes


RouteList = Annotated[list[Route], BeforeValidator(named), AfterValidator(distinct)]
