"""A domain's route: its own mail exchangers, a fixed host, or the relay."""

from __future__ import annotations

import pytest

from analysis.reply import Reply
from sender.mx import Exchangers
from sender.routes import Relay, Routes
from sender.smtp import Host, Route, TlsMode

pytestmark = pytest.mark.anyio

MX = (Host("mx1.example.net", "192.0.2.1"), Host("mx2.example.net", "192.0.2.2"))
RELAY = Relay("relay.example", 587, tls=TlsMode.VERIFIED, username="u", password="p")


class Exchange:
    """Mail exchangers by domain; a fixed host answers for itself."""

    def __init__(self, answer: Exchangers | Reply) -> None:
        self._answer = answer

    async def route(self, domain: str) -> Exchangers | Reply:
        return self._answer

    async def fixed(self, host: str, port: int, *, domain: str = "") -> Exchangers:
        return Exchangers(domain, (Host(host, "127.0.0.1", port),), (host,), static=True)


def found(*names: str, static: bool = False) -> Exchangers:
    return Exchangers("example.net", MX, names, static=static)


async def way(answer: Exchangers | Reply, domain: str = "example.net", **terms: object) -> Route:
    route = await Routes(Exchange(answer), **({"static": frozenset()} | terms)).route(domain)  # type: ignore[arg-type]
    assert isinstance(route, Route)
    return route


async def test_domains_with_the_same_exchangers_share_a_site() -> None:
    one = await way(found("mx1.example.net", "mx2.example.net"))
    other = await way(found("mx2.example.net", "mx1.example.net"), "example.org")
    assert one.site == other.site
    assert one.hosts == MX


async def test_the_provider_is_known_by_its_exchangers() -> None:
    assert (await way(found("gmail-smtp-in.l.google.com"))).provider == "gmail"
    assert (await way(found("mx.example.net"))).provider == "other"


async def test_what_the_dns_says_comes_back_as_a_reply() -> None:
    reply = Reply(None, "5.1.10", "takes no mail")
    assert await Routes(Exchange(reply), static=frozenset()).route("example.net") == reply  # type: ignore[arg-type]


async def test_a_relay_takes_everything_with_its_own_terms() -> None:
    route = await way(found("mx.example.net"), relay=RELAY)
    assert [host.name for host in route.hosts] == ["relay.example"]
    assert (route.tls, route.username, route.password) == (TlsMode.VERIFIED, "u", "p")


@pytest.mark.parametrize("static", ["example.net", "*"])
async def test_a_fixed_host_goes_before_the_relay(static: str) -> None:
    route = await way(found("test.example", static=True), relay=RELAY, static=frozenset({static}))
    assert route.hosts == MX
    assert route.username is None
