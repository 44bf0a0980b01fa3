"""Keys that can be signed with are made, read and published; all others are refused by reason."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from sender.dkim_keys import (
    KeyKind,
    KeyRefused,
    PrivateKey,
    dns_record,
    dns_strings,
    generate,
    kind_of,
    load,
)

RSA = load(generate(KeyKind.RSA))
ED25519 = load(generate(KeyKind.ED25519))


def pem(
    key: PrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def test_made_keys_are_of_the_kind_and_size_asked_for() -> None:
    assert isinstance(RSA, RSAPrivateKey)
    assert RSA.key_size == 2048
    assert (kind_of(RSA), kind_of(ED25519)) == (KeyKind.RSA, KeyKind.ED25519)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_both_pem_forms_are_read_in_any_line_ends(form: PrivateFormat, line_end: bytes) -> None:
    """dkimpy refuses a PEM with CRLF; files that passed through Windows have it."""
    assert dns_record(load(pem(RSA, form).replace(b"\n", line_end))) == dns_record(RSA)


def test_rsa_record_holds_the_public_key() -> None:
    record = dns_record(RSA)
    assert record.startswith("v=DKIM1; k=rsa; p=")
    public = load_der_public_key(base64.b64decode(record.partition("p=")[2], validate=True))
    assert public == RSA.public_key()


def test_ed25519_record_holds_32_bare_octets() -> None:
    """RFC 8463 section 4."""
    record = dns_record(ED25519)
    assert record.startswith("v=DKIM1; k=ed25519; p=")
    raw = ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert base64.b64decode(record.partition("p=")[2], validate=True) == raw
    assert dns_strings(record) == (record,)


def test_rfc_8463_example_key_gives_the_published_record() -> None:
    """RFC 8463 appendix A.1."""
    seed = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = load(pem(Ed25519PrivateKey.from_private_bytes(seed)))
    assert dns_record(key).endswith("p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")


def test_long_record_is_cut_at_255_octets_and_joins_again() -> None:
    strings = dns_strings(dns_record(RSA))
    assert [len(part) <= 255 for part in strings] == [True, True]
    assert "".join(strings) == dns_record(RSA)


def public_pem() -> bytes:
    return RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def encrypted_pem() -> bytes:
    return RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no PEM private key"),
        (b"p=MIIB", "no PEM private key"),
        (public_pem(), "public key"),
        (encrypted_pem(), "encrypted"),
        (pem(RSA)[:300] + b"\n-----END PRIVATE KEY-----\n", "damaged"),
        (pem(rsa.generate_private_key(65537, 1024)), "1024 bits: 2048 to 4096"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "neither RSA nor Ed25519"),
        (pem(dsa.generate_private_key(1024)), "neither RSA nor Ed25519"),
    ],
    ids=["empty", "record", "public", "encrypted", "damaged", "short", "elliptic", "dsa"],
)
def test_unusable_key_is_refused_by_its_reason(text: bytes, reason: str) -> None:
    with pytest.raises(KeyRefused, match=reason):
        load(text)
