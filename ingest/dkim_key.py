"""Keys of DKIM: whether the key of a record made a signature.  RFC 6376 section 3.6.1, RFC 8463.

Pure; costs one verification by OpenSSL.  A key that is short (under 1024 bits, RFC 8301 section
3.2), withdrawn, for another use, or published as a test made nothing.  Neither did one that is so
long that verifying takes its time.
"""

from __future__ import annotations

from base64 import b64decode

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from analysis.facts import Signature
from ingest.dkim import tags

SHORTEST = 1_024
LONGEST = 4_096
"""Bits of an RSA key."""
MOST_TEXT = 4_000
"""Characters of a record."""

PublicKey = RSAPublicKey | Ed25519PublicKey


def made(signature: Signature, record: str, *, service: str) -> bool:
    """Whether the key in this TXT record made the signature of a mail of this service type."""
    try:
        held = tags(record[:MOST_TEXT].strip())
        key = _key(held)
    except (ValueError, KeyError, UnsupportedAlgorithm):
        return False
    return _is_for(held, signature, service) and _verifies(key, signature)


def _key(held: dict[str, str]) -> PublicKey:
    octets = b64decode("".join(held["p"].split()), validate=True)
    if held.get("k", "rsa").lower() == "ed25519":
        return Ed25519PublicKey.from_public_bytes(octets)
    key = load_der_public_key(octets)
    if not isinstance(key, RSAPublicKey) or not SHORTEST <= key.key_size <= LONGEST:
        raise ValueError("no key of RSA, or of no good length")
    return key


def _is_for(held: dict[str, str], signature: Signature, service: str) -> bool:
    flags = _listed(held.get("t", ""))
    return (
        held.get("v", "DKIM1") == "DKIM1"
        and held.get("k", "rsa").lower() == signature.algorithm.partition("-")[0]
        and "sha256" in _listed(held.get("h", "sha256"))
        and not _listed(held.get("s", "*")).isdisjoint({"*", "email", service})
        and "y" not in flags  # as if it were not signed: section 3.6.1
        and (signature.strict or "s" not in flags)
    )


def _verifies(key: PublicKey, signature: Signature) -> bool:
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature.value, signature.digest)
        else:
            key.verify(signature.value, signature.digest, PKCS1v15(), Prehashed(SHA256()))
    except InvalidSignature:
        return False
    return True


def _listed(text: str) -> set[str]:
    return {part.strip().lower() for part in text.split(":")}
