"""Addresses are read from fields and found in sentences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import addresses
from tests.growth import assert_linear


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("rfc822; user@example.com", "user@example.com"),
        ("RFC822;<User@Example.com>", "User@Example.com"),
        ("rfc822; user@example.com (some comment)", "user@example.com"),
        ("rfc/822;user@example.com", "user@example.com"),
        ("<user@example.com>", "user@example.com"),
        ("user@example.com", "user@example.com"),
        ("utf-8; 用户@例子.example", "用户@例子.example"),
        ("utf-8-addr-xtext; \\x{7528}@example.com", "用@example.com"),
        ("rfc822; @relay.example:user@example.com", "user@example.com"),
        ("rfc822; user+3Dtag@example.com", "user=tag@example.com"),
        ('rfc822; "two words"@example.com', '"two words"@example.com'),
        ("rfc822; user@[192.0.2.1]", "user@[192.0.2.1]"),
        ("rfc822; user+tag@example.com", "user+tag@example.com"),
        ("rfc822; user@example.com.", "user@example.com"),
        ("x-unix; |/usr/bin/procmail", ""),
        ("rfc822; /var/mail/user", ""),
        ("rfc822; @example.com", ""),
        ("", ""),
    ],
)
def test_a_typed_field_gives_its_address(field: str, address: str) -> None:
    assert addresses.from_field(field) == address


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            "Your mail to <a@example.com>, 'b@example.net' failed.",
            ["a@example.com", "b@example.net"],
        ),
        ("550 5.1.1 user@example.com... User unknown", ["user@example.com"]),
        ("no address here", []),
        ("收件人：user@example.com，不存在", ["user@example.com"]),
        ("@ @example.com user@", []),
    ],
)
def test_addresses_are_found_in_a_line(line: str, found: list[str]) -> None:
    assert addresses.find_all(line) == found


def test_role_mailboxes_are_known() -> None:
    assert addresses.is_role("Postmaster@example.com")
    assert not addresses.is_role("post@example.com")


@pytest.mark.parametrize("read", [addresses.find_all, addresses.from_field])
@pytest.mark.parametrize(("piece", "end"), [("a", ""), ("a@", ""), ("@", ""), (". ", "@")])
def test_hostile_lines_are_read_in_linear_time(
    read: Callable[[str], object], piece: str, end: str
) -> None:
    assert_linear(read, lambda size: piece * (size // len(piece)) + end, 100_000)


@given(st.text(max_size=200))
def test_any_text_gives_addresses_or_none(text: str) -> None:
    for address in [*addresses.find_all(text), addresses.from_field(text)]:
        assert address == "" or "@" in address[1:-1]


@given(st.text(alphabet='a@.\0\x1b\x85\ud800\udfff"<>+', max_size=60))
def test_an_address_can_be_stored(text: str) -> None:
    """PostgreSQL takes no NUL, no driver takes a lone surrogate."""
    for address in [*addresses.find_all(text), addresses.from_field(text)]:
        assert address.isprintable()
