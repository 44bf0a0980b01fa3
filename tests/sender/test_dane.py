"""TLSA records decide by themselves which certificate a host may show: RFC 7672 section 3."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sender.dane import MAX_CHAIN, Failure, covers, failure
from sender.tls_report import Failing
from sender.tlsa import Tlsa, public_key, usable
from tests.peers.certificates import Certificate, certificate_for

NAME = "mx.example.net"
NOW = time.time()
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def records(*texts: str) -> tuple[Tlsa, ...]:
    parsed = [dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TLSA, text) for text in texts]
    return usable(parsed)


def text_of(usage: int, selector: int, matching: int, certificate: bytes) -> str:
    """A TLSA record made with another library than the one that reads it."""
    chosen = certificate if selector == 0 else spki(certificate)
    digest: dict[int, Callable[[bytes], bytes]] = {
        0: lambda octets: octets,
        1: lambda octets: hashlib.sha256(octets).digest(),
        2: lambda octets: hashlib.sha512(octets).digest(),
    }
    return f"{usage} {selector} {matching} {digest[matching](chosen).hex()}"


def spki(certificate: bytes) -> bytes:
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def check(chain: list[bytes], *texts: str, name: str = NAME) -> Failure | None:
    return failure(chain, records(*texts), names=(name, "example.net"), now=NOW)


def kind(found: Failure | None) -> Failing | None:
    return found.kind if found else None


@pytest.fixture(scope="module")
def good() -> Certificate:
    return certificate_for(NAME)


@pytest.fixture(scope="module")
def other() -> Certificate:
    return certificate_for("other.example.net")


@pytest.fixture(scope="module")
def expired() -> Certificate:
    return certificate_for(NAME, expired=True)


FORMS = [(selector, matching) for selector in (0, 1) for matching in (0, 1, 2)]


@pytest.mark.parametrize(("selector", "matching"), FORMS)
def test_an_end_entity_record_is_met_by_its_certificate_alone(
    good: Certificate, other: Certificate, selector: int, matching: int
) -> None:
    record = text_of(3, selector, matching, good.der)
    assert check([good.der], record) is None
    assert kind(check([other.der], record)) is Failing.NOT_TRUSTED
    assert kind(check([other.der, good.der], record)) is Failing.NOT_TRUSTED


def test_an_end_entity_record_asks_for_neither_name_nor_date(
    other: Certificate, expired: Certificate
) -> None:
    """RFC 7672 section 3.1.1."""
    for one in (other, expired):
        assert check([one.der], text_of(3, 1, 1, one.der)) is None


@pytest.mark.parametrize(("selector", "matching"), FORMS)
def test_an_authority_s_record_wants_a_chain_that_leads_there(
    good: Certificate, other: Certificate, selector: int, matching: int
) -> None:
    record = text_of(2, selector, matching, good.authority_der)
    assert check([good.der, good.authority_der], record) is None
    assert check([other.der, other.authority_der], record) is not None
    stolen = [other.der, good.authority_der]  # the right authority, which did not sign it
    assert kind(check(stolen, record)) is Failing.NOT_TRUSTED


@pytest.mark.parametrize("selector", [0, 1])
def test_an_authority_that_the_record_holds_whole_need_not_be_presented(
    good: Certificate, other: Certificate, selector: int
) -> None:
    record = text_of(2, selector, 0, good.authority_der)
    assert check([good.der], record) is None
    assert kind(check([other.der], record)) is Failing.NOT_TRUSTED
    digest = text_of(2, selector, 1, good.authority_der)
    assert kind(check([good.der], digest)) is Failing.NOT_TRUSTED


def test_an_authority_s_record_asks_for_name_and_date(
    other: Certificate, expired: Certificate
) -> None:
    """RFC 7672 section 3.1.2: of names the host's or the recipient's domain."""
    named = check([other.der, other.authority_der], text_of(2, 0, 1, other.authority_der))
    assert kind(named) is Failing.HOST_MISMATCH
    late = check([expired.der, expired.authority_der], text_of(2, 0, 1, expired.authority_der))
    assert kind(late) is Failing.EXPIRED
    domain = certificate_for("example.net")
    assert check([domain.der, domain.authority_der], text_of(2, 0, 1, domain.authority_der)) is None


def test_an_authority_s_record_is_not_met_by_the_host_s_own_certificate(good: Certificate) -> None:
    record = text_of(2, 0, 1, good.der)
    assert kind(check([good.der, good.authority_der], record)) is Failing.NOT_TRUSTED


def test_one_record_of_several_is_enough(good: Certificate, other: Certificate) -> None:
    """A key is rolled over with both published."""
    both = text_of(3, 1, 1, other.der), text_of(3, 1, 1, good.der)
    assert check([good.der], *both) is None
    mixed = text_of(2, 0, 1, other.authority_der), text_of(3, 1, 1, good.der)
    assert check([good.der], *mixed) is None


def test_a_leaf_is_no_authority() -> None:
    """Whoever has a certificate for one name must not make them for others."""
    authority, intruder = Signer("root"), Signer("leaf")
    leaf = authority.sign(intruder, ca=False)
    forged = intruder.sign(Signer(NAME), ca=False, names=[NAME])
    chain = [forged, leaf, authority.sign(authority, ca=True)]
    assert kind(check(chain, text_of(2, 0, 1, chain[-1]))) is Failing.NOT_TRUSTED


@pytest.mark.parametrize("make", ["ec", "rsa", "rsa-pss", "ed25519"])
def test_a_chain_with_an_intermediate_and_keys_of_every_kind(make: str) -> None:
    root, middle, host = Signer("root", make), Signer("middle", make), Signer(NAME, make)
    chain = [
        middle.sign(host, ca=False, names=["*.example.net"]),
        root.sign(middle, ca=True),
        root.sign(root, ca=True),
    ]
    for authority in (chain[1], chain[2]):
        assert check(chain, text_of(2, 1, 1, authority)) is None
        assert check(chain, text_of(2, 1, 0, authority)) is None
    assert check(chain[:2], text_of(2, 1, 0, chain[2])) is None  # a bare key, not presented
    broken = [chain[0], Signer("middle", make).sign(middle, ca=True), chain[2]]
    assert check(broken, text_of(2, 0, 1, chain[2])) is not None


@pytest.mark.parametrize(
    "text",
    [
        "0 0 1 " + "00" * 32,
        "1 1 1 " + "00" * 32,
        "3 2 1 " + "00" * 32,
        "3 1 3 " + "00" * 32,
        "2 255 0 00",
        "255 0 0 00",
    ],
)
def test_records_that_mail_cannot_use_are_left_out(text: str) -> None:
    assert records(text) == ()


def test_only_the_strongest_digest_counts(good: Certificate, other: Certificate) -> None:
    """RFC 7672 section 5: by usage and selector."""
    weak, strong = text_of(3, 1, 1, good.der), text_of(3, 1, 2, other.der)
    assert [one.matching for one in records(weak, strong)] == [2]
    assert check([good.der], weak, strong) is not None
    assert check([good.der], text_of(3, 0, 1, good.der), strong) is None


def test_the_key_is_cut_out_octet_for_octet() -> None:
    for make in ("ec", "rsa", "ed25519"):
        one = Signer(NAME, make)
        certificate = one.sign(one, ca=False)
        assert public_key(certificate) == spki(certificate)


@given(st.binary(max_size=300))
def test_any_octets_are_a_certificate_or_refused(octets: bytes) -> None:
    with contextlib.suppress(ValueError):
        public_key(octets)
    for usage in ("2 1 1 ", "3 1 1 ", "2 0 1 "):
        assert check([octets] * MAX_CHAIN, usage + "00" * 32) is not None


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
@example(11, b"\x01")  # a version that does not exist
def test_a_damaged_chain_never_holds(at: int, noise: bytes) -> None:
    good = _GOOD
    leaf = bytearray(good.der)
    leaf[at : at + len(noise)] = noise
    damaged = [bytes(leaf), good.authority_der]
    found = check(damaged, text_of(2, 0, 1, good.authority_der))
    assert (found is None) == (bytes(leaf) == good.der)


_GOOD = certificate_for(NAME)


def test_no_certificate_at_all_is_a_failure(good: Certificate) -> None:
    assert kind(check([], text_of(3, 1, 1, good.der))) is Failing.VALIDATION


def test_a_star_in_a_certificate_is_one_label() -> None:
    assert covers("*.example.net", NAME)
    assert not covers("*.example.net", "a.mx.example.net")
    assert not covers("*.example.net", "example.net")
    assert not covers("*", NAME)


@dataclass
class Signer:
    """A name and a key that sign certificates."""

    name: str
    make: str = "ec"

    def __post_init__(self) -> None:
        makers: dict[str, Callable[[], Key]] = {
            "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
            "rsa": lambda: rsa.generate_private_key(65_537, 2_048),
            "rsa-pss": lambda: rsa.generate_private_key(65_537, 2_048),
            "ed25519": ed25519.Ed25519PrivateKey.generate,
        }
        self.key = makers[self.make]()

    def sign(self, subject: Signer, *, ca: bool, names: list[str] | None = None) -> bytes:
        day, now = datetime.timedelta(days=1), datetime.datetime.fromtimestamp(NOW, datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(subject.name))
            .issuer_name(_named(self.name))
            .public_key(subject.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        signed = builder.sign(
            self.key,
            None if self.make == "ed25519" else hashes.SHA256(),
            rsa_padding=pss if self.make == "rsa-pss" else None,
        )
        return signed.public_bytes(Encoding.DER)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
