"""What is ours, by the settings: the names, addresses and keys that the world is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from analysis.destination import IPNetwork
from sender.dkim_keys import PrivateKey, dns_record, dns_strings
from sender.sources import Source

KeyState = Literal["waiting", "active", "retired"]
TTL = 3_600


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A DKIM key and where it must be published.  `since`: of its state, Unix seconds."""

    domain: str
    selector: str
    key: PrivateKey = field(repr=False)
    state: KeyState = "active"
    since: float | None = None

    @property
    def name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        return txt_record(self.name, dns_record(self.key))


@dataclass(frozen=True, slots=True)
class Ours:
    """Names in lower-case A-labels.

    `sources`: the addresses that receivers see.  `local`: other addresses of this installation,
    such as those it listens on.  `allowed`: networks that an MX of ours may lie in although they
    are not public.
    """

    domains: tuple[str, ...]  # of From
    bounces: str
    hostname: str
    default: str = ""  # signs for domains without a key of their own
    sources: tuple[Source, ...] = ()
    routed: tuple[Source, ...] = ()  # those of routes, which connections are bound to
    local: frozenset[str] = frozenset()
    keys: tuple[PublishedKey, ...] = ()
    dmarc_reports: str = ""  # the addresses that Carom reads
    tls_reports: str = ""
    offers_tls: bool = False
    sts_policy: str = ""  # that our API serves ...
    sts_id: str = ""  # ... and the id that its record must have
    allowed: tuple[IPNetwork, ...] = ()
    overlap: float = 14 * 86_400.0  # for which a retired key must stay published, seconds
    longest: float = 365 * 86_400.0  # for which a key should sign, seconds

    @property
    def addresses(self) -> frozenset[str]:
        return self.local | {source.address for source in self.sources}

    def ehlo_name(self, source: Source) -> str:
        return source.ehlo_name or self.hostname


def txt_record(name: str, value: str) -> str:
    """A TXT record as a zone file has it, in strings of 255 octets: RFC 1035 section 3.3."""
    quoted = " ".join(f'"{part}"' for part in dns_strings(value))
    return f"{name}. {TTL} IN TXT {quoted}"


def mx_record(ours: Ours) -> str:
    return f"{ours.bounces}. {TTL} IN MX 10 {ours.hostname}."


def address_type(address: str) -> str:
    """`A` or `AAAA`."""
    return "AAAA" if ":" in address else "A"


def spf_record(ours: Ours, name: str) -> str:
    """What `name`, the bounce domain or an EHLO name, should say of the sources."""
    mechanisms = " ".join(dict.fromkeys(mechanism(source.address) for source in ours.sources))
    return txt_record(name, f"v=spf1 {mechanisms or 'mx'} ~all")


def mechanism(address: str) -> str:
    return f"ip{ip_address(address).version}:{address}"


def joined(names: Sequence[str]) -> str:
    """A few of them, for people."""
    more = f" (+{len(names) - 5})" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
