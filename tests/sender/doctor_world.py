"""The world that the doctor looks at in tests: zones for nsd, and our own listener.

`zone(...)` is a zone in which everything is right; a case changes or takes away single lines.  A
case has a domain of its own, `NAME.example`, so that one nsd serves them all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from ipaddress import ip_network

from ingest.listener import Inbound, Listener
from ingest.recipients import Recipients
from sender.blocklists import Blocklist
from sender.dkim_keys import KeyKind, PrivateKey, dns_record, dns_strings, generate, load
from sender.doctor.calls import Errand
from sender.doctor.examine import Tools
from sender.doctor.ours import Ours, PublishedKey
from sender.doctor.transport import PolicyHost
from sender.mx import MailExchange
from sender.resolver import Resolver
from sender.sources import Source
from sender.tokens import Key, Tokens
from tests.peers.certificates import certificate_for

NOW = 1_700_000_000.0
DAY = 86_400.0
ADDRESS = "198.20.0.1"
"""Where mail is said to come from: only ever asked about, never connected to."""
REVERSE = "0.20.198.in-addr.arpa"
TOKENS = Tokens([Key("1", b"k" * 32)])
STRANGERS = Tokens([Key("1", b"x" * 32)])
Lines = Mapping[str, str | None]


@cache
def key(kind: KeyKind = KeyKind.RSA) -> PrivateKey:
    return load(generate(kind))


def quoted(text: str) -> str:
    return " ".join(f'"{part}"' for part in dns_strings(text))


def zone(name: str, changes: Lines) -> str:
    """The text of the zone NAME.example, by lines with a name each; None takes one away."""
    bounces = f"bounces.{name}.example"
    dmarc = f"v=DMARC1; p=reject; rua=mailto:dmarc-reports@{bounces}"
    right: dict[str, str | None] = {
        "mta": f"mta A {ADDRESS}",
        "mx-host": "mx A 127.0.0.1",
        "mx": f"bounces MX 10 mx.{name}.example.",
        "spf": f'bounces TXT "v=spf1 ip4:{ADDRESS} ~all"',
        "helo": f'mta TXT "v=spf1 ip4:{ADDRESS} -all"',
        "dkim": f"s1._domainkey TXT {quoted(dns_record(key()))}",
        "dmarc": f'_dmarc TXT "{dmarc}"',
        "tls-rpt": f'_smtp._tls.bounces TXT "v=TLSRPTv1; rua=mailto:tls-reports@{bounces}"',
    }
    return "\n".join(line for line in {**right, **changes}.values() if line is not None)


def ours(name: str, **changes: object) -> Ours:
    domain = f"{name}.example"
    fields: dict[str, object] = {
        "domains": (domain,),
        "bounces": f"bounces.{domain}",
        "hostname": f"mta.{domain}",
        "default": domain,
        "sources": (Source(ADDRESS),),
        "local": frozenset({"127.0.0.1"}),
        "keys": (PublishedKey(domain, "s1", key()),),
        "dmarc_reports": f"dmarc-reports@bounces.{domain}",
        "tls_reports": f"tls-reports@bounces.{domain}",
        "allowed": (ip_network("127.0.0.1/32"),),
    }
    return Ours(**{**fields, **changes})  # type: ignore[arg-type]


def tools(
    name: str,
    resolver: Resolver,
    *,
    port: int = 1,
    out: int | None = None,
    lists: tuple[Blocklist, ...] = (),
    policy_port: int = 443,
    tokens: Tokens = TOKENS,
    seconds: float = 2.0,
) -> Tools:
    """Everything that is called is on loopback: our listener at `port`, receivers at `out`."""
    bounces = f"bounces.{name}.example"
    errand = Errand(
        token=tokens.return_path("01jd000000000000000000000a", bounces, expires=NOW + DAY),
        nobody=f"no-such-address@{bounces}",
        port=port,
        seconds=seconds,
        receivers=("receiver.example",),
        local=frozenset({"127.0.0.1"}),
    )
    return Tools(
        resolver,
        MailExchange(resolver, random=lambda: 0.5, static={"*": f"127.0.0.1:{out or port}"}),
        errand,
        PolicyHost(certificate_for(f"mta-sts.{bounces}").client, policy_port, seconds),
        lists,
    )


@asynccontextmanager
async def our_listener(name: str, *, tls: bool = True) -> AsyncIterator[int]:
    """Our bounce listener for a case, on a free port."""

    async def store(inbound: Inbound) -> None:
        raise AssertionError(f"the doctor sent mail: {inbound}")

    bounces = f"bounces.{name}.example"
    listener = Listener(
        ["127.0.0.1:0"],
        hostname=f"mx.{name}.example",
        recipients=Recipients(
            bounces,
            read_return_path=TOKENS.read_return_path,
            read_unsubscribe_address=TOKENS.read_unsubscribe_address,
        ),
        store=store,
        clock=lambda: NOW,
        observe=lambda reason: None,
        tls=certificate_for("127.0.0.1").server if tls else None,
    )
    [(_, port)] = await listener.start()
    try:
        yield port
    finally:
        await listener.close(0)
