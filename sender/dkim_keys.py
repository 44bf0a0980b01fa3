"""DKIM keys: made, loaded, and published in DNS.

Owns the two kinds that are signed with, RSA-2048 (RFC 6376, RFC 8301) and Ed25519 (RFC 8463), as
unencrypted PEM, and the TXT record that tells receivers the public half.  A PEM is read in any
line ends, PKCS#1 or PKCS#8.  Refuses with `KeyRefused` what could not be used: other kinds,
encrypted or public PEM, RSA under 2048 bits (weak, though RFC 8301 section 3.2 still tolerates
1024) or over 4096 (which receivers need not verify).
"""

from __future__ import annotations

import base64
from enum import StrEnum
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096
_MAX_STRING = 255  # RFC 1035 section 3.3: one <character-string>


class KeyKind(StrEnum):
    """The values of `k=`, RFC 6376 section 3.6.1 and RFC 8463 section 4."""

    RSA = "rsa"
    ED25519 = "ed25519"


class KeyRefused(ValueError):
    """The text is no key that mail can be signed with; the message says why and what would be."""


def generate(kind: KeyKind) -> bytes:
    """Make a private key, as PKCS#8 PEM.  The randomness is OpenSSL's own."""
    key: PrivateKey = (
        generate_private_key(public_exponent=65537, key_size=MIN_RSA_BITS)
        if kind is KeyKind.RSA
        else Ed25519PrivateKey.generate()
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load(pem: bytes) -> PrivateKey:
    """Read a private key from PEM, or raise `KeyRefused`.  Costs milliseconds: do it once."""
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise KeyRefused("the key is encrypted: store it without a passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefused(_unreadable(pem)) from error
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey):
        raise KeyRefused("the key is neither RSA nor Ed25519, the two kinds DKIM knows")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise KeyRefused(
            f"the RSA key has {key.key_size} bits: {MIN_RSA_BITS} to {MAX_RSA_BITS} are needed"
        )
    return key


def _unreadable(pem: bytes) -> str:
    if b"PUBLIC KEY" in pem:
        return "this is a public key: the private one is needed"
    if b"PRIVATE KEY" not in pem:
        return "this is no PEM private key (-----BEGIN PRIVATE KEY-----)"
    return "the PEM private key is damaged"


def kind_of(key: PrivateKey) -> KeyKind:
    return KeyKind.RSA if isinstance(key, RSAPrivateKey) else KeyKind.ED25519


def dns_record(key: PrivateKey) -> str:
    """The TXT value to publish at `<selector>._domainkey.<domain>`, `v=DKIM1; k=rsa; p=...`.

    RSA is published as SubjectPublicKeyInfo (RFC 6376 section 3.6.1), Ed25519 as its 32 bare
    octets (RFC 8463 section 4).
    """
    if isinstance(key, RSAPrivateKey):
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k={kind_of(key)}; p={base64.b64encode(public).decode()}"


def dns_strings(record: str) -> tuple[str, ...]:
    """Cut a TXT value into strings of at most 255 octets, which receivers join again.

    RFC 6376 section 3.6.2.2.
    """
    return tuple(record[at : at + _MAX_STRING] for at in range(0, len(record), _MAX_STRING))
