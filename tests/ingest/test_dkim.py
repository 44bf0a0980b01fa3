"""Signatures that dkimpy makes hold here; whatever is done to the mail afterwards breaks them."""

from __future__ import annotations

import base64
from dataclasses import replace
from random import Random

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.facts import Signature
from ingest.dkim import MOST, signatures
from ingest.dkim_key import made
from sender.dkim_keys import load
from sender.signing import Signer, sign
from tests.growth import assert_linear
from tests.ingest.signed import House, ed25519, rsa

HOUSE = House("example.net")
MODERN = House("example.net", "e1", ed25519())
MAIL = (
    b"From: Reports <dmarc@example.net>\r\nTo: dmarc-reports@bounces.example.com\r\n"
    b"Subject: Report  Domain: example.com\r\n\tSubmitter: example.net\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: application/gzip;\r\n  name=r.gz\r\n\r\nH4sI  \t\r\n AAA\r\n\r\n\r\n"
)


def holds(content: bytes, house: House = HOUSE, *, service: str = "email", **tags: str) -> bool:
    """Whether one of the signatures fits, and the house's key made it."""
    record = house.record(**tags)
    return any(made(one, record, service=service) for one in signatures(content))


@pytest.mark.parametrize("house", [HOUSE, MODERN], ids=["rsa", "ed25519"])
@pytest.mark.parametrize("header", [b"relaxed", b"simple"])
@pytest.mark.parametrize("body", [b"relaxed", b"simple"])
def test_a_genuine_signature_holds_in_every_form(house: House, header: bytes, body: bytes) -> None:
    content = house.signed(MAIL, canonicalize=(header, body))
    assert holds(content, house)
    [one] = signatures(content)
    assert (one.domain, one.selector, one.strict) == ("example.net", house.selector, True)


lines = st.lists(
    st.one_of(st.sampled_from([b"", b" ", b"\t", b"a  b ", b".", b"\xe4"]), st.binary(max_size=6)),
    max_size=8,
).map(
    lambda found: b"".join(
        b"".join(one.split(b"\r")).replace(b"\n", b"") + b"\r\n" for one in found
    )
)
forms = st.sampled_from([b"relaxed", b"simple"])


@given(lines, forms, forms)
@settings(max_examples=80, deadline=None)
def test_any_body_that_dkimpy_signs_holds(body: bytes, header: bytes, form: bytes) -> None:
    head = MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert holds(HOUSE.signed(head + body, canonicalize=(header, form)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"AAA", b"AAB"),
        (b"Domain: example.com", b"Domain: example.org"),
        (b"<dmarc@example.net>", b"<other@example.net>"),
        (b"H4sI", b"H4sI\r\nextra"),
        (b"To: dmarc", b"From: Evil <evil@example.org>\r\nTo: dmarc"),
        (b"name=r.gz", b"name=s.gz"),
        (b" d=example.net", b" d=sub.example.net"),
        (b"a=rsa-sha256", b"a=rsa-sha1"),
        (b"a=rsa-sha256", b"a=ed25519-sha256"),
    ],
)
def test_a_mail_that_was_changed_is_not_signed(before: bytes, after: bytes) -> None:
    content = HOUSE.signed(MAIL)
    assert before in content
    assert not holds(content.replace(before, after, 1))


def test_the_body_of_another_signed_mail_proves_nothing() -> None:
    head = HOUSE.signed(MAIL).partition(b"\r\n\r\n")[0]
    assert signatures(head + b"\r\n\r\nanother report\r\n") == ()


def test_a_signature_that_lets_text_be_appended_counts_for_nothing() -> None:
    content = HOUSE.signed(MAIL, length=True)
    assert dkim.verify(content, dnsfunc=lambda *_, **__: HOUSE.record().encode())
    assert signatures(content) == ()


def test_a_signature_that_does_not_sign_the_author_counts_for_nothing() -> None:
    content = HOUSE.signed(MAIL)
    assert holds(content)
    assert signatures(content.replace(b"from :", b"x :", 1).replace(b"h=from", b"h=x", 1)) == ()


@pytest.mark.parametrize("bits", [1_024, 4_096])
def test_keys_of_usual_length_are_good(bits: int) -> None:
    house = House("example.net", "s1", rsa(bits))
    assert holds(house.signed(MAIL), house)


def test_a_key_that_can_be_broken_makes_nothing() -> None:
    [one] = signatures(HOUSE.signed(MAIL))
    for bits, good in ((1_024, True), (768, False)):
        record, value = by_hand(bits, one.digest)
        assert made(replace(one, value=value), record, service="email") is good


@pytest.mark.parametrize(
    ("tags", "service", "good"),
    [
        ({"s": "*"}, "email", True),
        ({"s": "email"}, "tlsrpt", True),
        ({"s": "tlsrpt"}, "tlsrpt", True),
        ({"s": "tlsrpt"}, "email", False),
        ({"s": "other"}, "email", False),
        ({"t": "y"}, "email", False),
        ({"t": "s"}, "email", True),
        ({"h": "sha1"}, "email", False),
        ({"h": "sha1:sha256"}, "email", True),
        ({"v": "DKIM2"}, "email", False),
        ({"k": "ed25519"}, "email", False),
        ({"n": "a note"}, "email", True),
    ],
)
def test_a_key_is_for_what_its_record_says(tags: dict[str, str], service: str, good: bool) -> None:
    assert holds(HOUSE.signed(MAIL), service=service, **tags) is good


def test_a_key_for_the_domain_alone_signs_for_none_below_it() -> None:
    content = HOUSE.signed(MAIL, identity=b"@sub.example.net")
    assert holds(content)
    assert not holds(content, t="s")


@pytest.mark.parametrize(
    "record", ["", "p=", "v=DKIM1; p=", "v=DKIM1; k=rsa; p=AAAA", "p=%%%", "nothing", "p=a;p=b"]
)
def test_a_record_without_a_key_makes_nothing(record: str) -> None:
    [one] = signatures(HOUSE.signed(MAIL))
    assert not made(one, record, service="email")


def test_only_the_first_signatures_are_looked_at() -> None:
    content = MAIL
    for _ in range(MOST + 3):
        content = HOUSE.signed(content)
    assert len(signatures(content)) == MOST


def test_expiry_is_told() -> None:
    [one] = signatures(HOUSE.signed(MAIL))
    assert one.expires is None
    [one] = signatures(expiring(HOUSE, 1_700_000_100))
    assert one.expires == 1_700_000_100.0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        b"DKIM-Signature:",
        b"From: a@b\r\nDKIM-Signature: v=1; a=rsa-sha256; d=" + b"a." * 200 + b"\r\n\r\n",
        b"From: a@b\r\nDKIM-Signature: v=1; bh=%; b=%\r\n\r\n",
        b"From: a@b\r\nDKIM-Signature: v=1; bh=; b=; x=" + b"9" * 5_000 + b"\r\n\r\n",
        b"From: a@b\r\nDKIM-Signature: \xff\xfe=1\r\n\r\n",
        b"From: a@b\r\nDKIM-Signature: v=1; b=; b=\r\n\r\n",
        b"DKIM-Signature: " + b"=" * 200_000 + b"\r\n\r\n",
    ],
)
def test_no_octets_are_taken_for_a_signature_or_trip_the_reader(content: bytes) -> None:
    assert signatures(content) == ()


@given(st.binary(max_size=200), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_a_signature_that_noise_got_into_never_raises(noise: bytes, at: int) -> None:
    content = HOUSE.signed(MAIL)
    assert all(
        isinstance(one, Signature) for one in signatures(content[:at] + noise + content[at:])
    )


def test_a_body_of_blanks_takes_time_in_proportion_to_its_length() -> None:
    """dkimpy takes the square of it."""
    head = HOUSE.signed(MAIL).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert_linear(signatures, lambda size: head + b" \t" * size, 2_000_000)


def expiring(house: House, at: int, content: bytes = MAIL) -> bytes:
    """The mail with a signature that ends then: dkimpy makes none that do."""
    signer = Signer(house.domain, house.selector, load(house.keys.private))
    return sign(content, [signer], now=at - 100, lifetime=100) + content


def by_hand(bits: int, digest: bytes) -> tuple[str, bytes]:
    """A record and a signature (RFC 8017 section 9.2) of a key so short that nobody makes one."""
    chance = Random(bits)
    p, q = (prime(chance, bits // 2) for _ in range(2))
    n, size = p * q, bits // 8
    info = bytes.fromhex("3031300d060960864801650304020105000420") + digest
    padded = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
    private = pow(65_537, -1, (p - 1) * (q - 1))
    key = RSAPublicNumbers(65_537, n).public_key()
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signature = pow(int.from_bytes(padded), private, n).to_bytes(size)
    return f"v=DKIM1; p={base64.b64encode(public).decode()}", signature


def prime(chance: Random, bits: int) -> int:
    while True:
        number = chance.getrandbits(bits) | 3 << bits - 2 | 1
        if pow(2, number - 1, number) == 1:
            return number
