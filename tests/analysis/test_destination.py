"""No stranger's word leads us to our own machine, our network or a metadata service."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.destination import refusal


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::1a",
        "2001:200::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_public_addresses_pass(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("169.254.1.1", "link-local"),
        ("169.254.169.254", "a metadata address"),
        ("168.63.129.16", "a metadata address"),
        ("100.100.100.200", "a metadata address"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("203.0.113.9", "for documentation"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("2606:4700::1111%eth0", "link-local"),
        ("fc00::1", "private"),
        ("fd00:ec2::254", "a metadata address"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "for documentation"),
        ("::127.0.0.1", "not global unicast"),
        ("::ffff:0:127.0.0.1", "not global unicast"),
        ("64:ff9b:1::a00:1", "not global unicast"),
        ("100::1", "not global unicast"),
        ("4000::1", "not global unicast"),
        ("::ffff:127.0.0.1", "loopback inside IPv6"),
        ("::ffff:169.254.169.254", "a metadata address inside IPv6"),
        ("64:ff9b::7f00:1", "loopback inside IPv6"),
        ("64:ff9b::a9fe:a9fe", "a metadata address inside IPv6"),
        ("2002:7f00:1::", "loopback inside IPv6"),
        ("2002:a00:1::1", "private inside IPv6"),
        ("2001:0:808:808::f5ff:fffe", "a Teredo tunnel"),
    ],
)
def test_everything_else_is_refused_with_the_reason(address: str, why: str) -> None:
    assert refusal(address) == why


@given(st.ip_addresses(v=4))
def test_wrapping_never_launders_an_address(inner: IPv4Address) -> None:
    number = int(inner)
    for wrapped in (
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(0x64FF9B << 96 | number),
        IPv6Address(0x2002 << 112 | number << 80 | 1),
    ):
        plain = refusal(inner)
        assert refusal(wrapped) == (plain and f"{plain} inside IPv6")


@given(st.ip_addresses(v=6))
def test_ipv6_outside_global_unicast_is_refused(address: IPv6Address) -> None:
    if int(address) >> 125 != 1 and int(address) >> 32 not in (0xFFFF, 0x64FF9B << 64):
        assert refusal(address) is not None


def test_an_operator_may_allow_networks() -> None:
    lan = [ip_network("10.0.0.0/8"), ip_network("fd00:1::/32")]
    assert refusal("10.1.2.3", lan) is None
    assert refusal("::ffff:10.1.2.3", lan) is None
    assert refusal("fd00:1::5", lan) is None
    assert refusal("192.168.0.1", lan) == "private"
    assert refusal("fd00:2::5", lan) == "private"


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "010.0.0.1", "0x7f.0.0.1", "[::1]"])
def test_text_that_is_no_address_raises(text: str) -> None:
    with pytest.raises(ValueError):
        refusal(text)
