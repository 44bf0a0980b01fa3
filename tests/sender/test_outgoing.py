"""The last touch: this delivery's own headers, and signatures that cover them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dkim import DKIM

from sender.dkim_keys import KeyKind, dns_record, generate, load
from sender.headers import read_block
from sender.outgoing import Outgoing, Unsubscribe
from sender.queue import Claim
from sender.signing import Signer
from sender.tokens import Key, Purpose, Token, Tokens
from tests.storing import DAY, NOW, hash_of

TOKENS = Tokens([Key("a", bytes(range(32)))])
SIGNED_AT = 1_700_000_000.0  # dkimpy refuses the future
DELIVERY = "0" * 25 + "7"
KEYS = {kind: load(generate(kind)) for kind in KeyKind}
CONTENT = (
    b"From: Shop <news@mail.example.com>\r\nTo: ann@example.net\r\nSubject: Offers\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello.\r\n"
)


def signers(domain: str) -> list[Signer]:
    return [Signer(domain, f"s-{kind.value}", key) for kind, key in KEYS.items()]


def claim(stream: str = "news", from_address: str = "news@mail.example.com") -> Claim:
    return Claim(
        DELIVERY,
        "0" * 26,
        1,
        "ann@example.net",
        hash_of("ann@example.net"),
        "example.net",
        stream,
        2,
        NOW,
        NOW + DAY,
        0,
        "b+x@bounces.example.com",
        from_address,
        NOW,
    )


def outgoing(*domains: str, url: str = "https://mail.example.com", default: str = "") -> Outgoing:
    return Outgoing(
        {domain: signers(domain) for domain in domains},
        default,
        Unsubscribe(TOKENS, "bounces.example.com", url, lifetime=365 * DAY),
        frozenset({"news"}),
        lambda: SIGNED_AT,
    )


def headers(content: bytes) -> dict[str, str]:
    fields, _ = read_block(content)
    return {
        name.decode().lower(): b"".join(value.split(b"\r\n")).decode() for name, value in fields
    }


def dns(name: bytes, timeout: int = 5) -> bytes:
    for kind, key in KEYS.items():
        if name.startswith(f"s-{kind.value}._domainkey.".encode()):
            return dns_record(key).encode()
    return b""


def test_only_streams_that_want_it_carry_list_unsubscribe() -> None:
    out = outgoing("example.com")
    assert "list-unsubscribe" in headers(out.finish(claim("news"), CONTENT))
    assert "list-unsubscribe" not in headers(out.finish(claim("receipts"), CONTENT))


def test_one_click_is_offered_where_there_is_a_page_and_mail_always() -> None:
    found = headers(outgoing("example.com").finish(claim(), CONTENT))
    one, mail = found["list-unsubscribe"].strip().split(", ")
    assert found["list-unsubscribe-post"].strip() == "List-Unsubscribe=One-Click"
    token = one.removeprefix("<https://mail.example.com/u/").removesuffix(">")
    proven = TOKENS.verify(Purpose.UNSUBSCRIBE, token, now=NOW + 364 * DAY)
    assert isinstance(proven, Token)
    local = mail.removeprefix("<mailto:").partition("@")[0]
    by_mail = TOKENS.read_unsubscribe_address(local, NOW + 364 * DAY)
    assert isinstance(by_mail, Token)
    assert proven.subject_id == by_mail.subject_id == DELIVERY


def test_without_a_page_there_is_no_one_click() -> None:
    found = headers(outgoing("example.com", url="").finish(claim(), CONTENT))
    assert found["list-unsubscribe"].strip().startswith("<mailto:")
    assert "list-unsubscribe-post" not in found


@pytest.mark.parametrize("index", [0, 1])
def test_the_signatures_hold_and_cover_the_unsubscribe_headers(index: int) -> None:
    """RFC 8058 section 4: a one-click header that no DKIM signature covers counts for nothing."""
    wire = outgoing("mail.example.com").finish(claim(), CONTENT)
    assert DKIM(wire).verify(idx=index, dnsfunc=dns)
    assert {"list-unsubscribe", "list-unsubscribe-post", "from"} <= covered(wire, index)


def covered(wire: bytes, index: int) -> set[str]:
    """What the signature's own h= tag says."""
    fields, _ = read_block(wire)
    signature = [value for name, value in fields if name.lower() == b"dkim-signature"][index]
    tags = dict(t.split("=", 1) for t in "".join(signature.decode().split()).split(";") if t)
    return set(tags["h"].lower().split(":"))


def test_a_body_that_deliveries_share_is_signed_in_each() -> None:
    out = outgoing("mail.example.com")
    news, receipt = claim(), claim("receipts")
    for wire in out.finish_all([(news, CONTENT), (receipt, CONTENT)]):
        assert all(DKIM(wire).verify(idx=index, dnsfunc=dns) for index in (0, 1))


def test_a_body_is_hashed_by_its_own_message() -> None:
    out = outgoing("mail.example.com")
    other = CONTENT + b"P.S.\r\n"
    for wire in out.finish_all(
        [(claim(), CONTENT), (replace(claim(), message_id="1" * 26), other)]
    ):
        assert DKIM(wire).verify(dnsfunc=dns)


def test_the_message_itself_is_not_touched() -> None:
    assert outgoing("example.com").finish(claim(), CONTENT).endswith(CONTENT)


@pytest.mark.parametrize(
    ("address", "signs"),
    [
        ("a@example.com", "example.com"),
        ("a@mail.example.com", "example.com"),
        ("a@deep.mail.example.com", "example.com"),
        ("a@own.example.com", "own.example.com"),
        ("a@sub.own.example.com", "own.example.com"),
        ("a@OWN.Example.COM", "own.example.com"),
        ("a@notexample.com", "default.example"),
        ("a@com", "default.example"),
        ('"a@example.com"@other.example', "default.example"),
    ],
)
def test_the_nearest_domain_with_keys_signs(address: str, signs: str) -> None:
    out = outgoing("example.com", "own.example.com", "default.example", default="default.example")
    assert {s.domain for s in out.signers_of(address)} == {signs}


def test_without_any_keys_the_message_goes_unsigned() -> None:
    assert outgoing().finish(claim("receipts"), CONTENT) == CONTENT
