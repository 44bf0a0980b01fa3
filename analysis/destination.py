"""Which addresses of the network we may be sent to by somebody else's word.

Names in DNS and URLs of webhooks are chosen by strangers: they must not lead us to our own
machine, our own network or a cloud's metadata service.  `refusal` says why an address is out of
bounds, or None.  `ipaddress.is_global` is no such filter (on 3.11.7 it calls NAT64 loopback,
`224.0.0.1` and `fec0::1` global), so the bounds are written down here, from the IANA
special-purpose address registries (RFC 6890).

IPv6 is the other way round: only global unicast `2000::/3` is in bounds.  IPv4 addresses inside
IPv6 ones (v4-mapped, NAT64, 6to4, Teredo) are taken out and judged themselves.  Networks that an
operator allows pass, wrapped or not.  Whoever connects must use the very address that was judged:
asking DNS again would undo it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_DENIED_4 = tuple(
    (IPv4Network(network), why)
    for network, why in (
        ("168.63.129.16/32", "a metadata address"),  # Azure's, in the middle of public space
        ("169.254.169.254/32", "a metadata address"),
        ("100.100.100.200/32", "a metadata address"),  # Alibaba Cloud's
        ("192.0.0.192/32", "a metadata address"),  # Oracle Cloud's
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_DENIED_6 = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fd00:ec2::254/128", "a metadata address"),  # Amazon's
        ("fd20:ce::254/128", "a metadata address"),  # Google's
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "for documentation"),
        ("3fff::/20", "for documentation"),
        ("2001::/32", "a Teredo tunnel"),
        ("2001::/23", "reserved"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")


def refusal(address: str | IPAddress, allowed: Sequence[IPNetwork] = ()) -> str | None:
    """Say in a few words why nobody may send us to `address`, or None where it is in bounds.

    Text that is no address raises ValueError.
    """
    outer = ip_address(address) if isinstance(address, str) else address
    layers = [outer, *_inside(outer)]
    if any(layer in network for layer in layers for network in allowed):
        return None
    for layer in layers:
        if why := _why(layer):
            return why if layer is outer else f"{why} inside IPv6"
    return None


def _inside(address: IPAddress) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if address in _MAPPED or address in _NAT64:  # RFC 4291 section 2.5.5.2, RFC 6052 section 2.1
        yield IPv4Address(number & 0xFFFF_FFFF)
    elif address in _SIX_TO_FOUR:  # RFC 3056 section 2
        yield IPv4Address(number >> 80 & 0xFFFF_FFFF)
    elif address in _TEREDO:  # RFC 4380 section 4: the server, and the client with bits inverted
        yield IPv4Address(number >> 64 & 0xFFFF_FFFF)
        yield IPv4Address(~number & 0xFFFF_FFFF)


def _why(address: IPAddress) -> str | None:
    if isinstance(address, IPv4Address):
        return next((why for network, why in _DENIED_4 if address in network), None)
    if address.scope_id is not None:
        return "link-local"
    if address in _MAPPED or address in _NAT64:
        return None  # what is inside decides
    if why := next((why for network, why in _DENIED_6 if address in network), None):
        return why
    return None if address in _GLOBAL_UNICAST else "not global unicast"
