"""Reports signed as receivers sign them, by dkimpy, which shares no code with what reads them.

google = House("example.net")
server.add(*google.record)
google.signed(mail(...))
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

NAMES = [b"from", b"to", b"subject", b"date", b"mime-version", b"content-type"]


@dataclass(frozen=True, slots=True)
class Keys:
    """A private key as dkimpy takes it, and its public one in a record."""

    private: bytes = field(repr=False)
    public: str
    algorithm: bytes = b"rsa-sha256"

    @property
    def kind(self) -> str:
        return self.algorithm.partition(b"-")[0].decode()


@cache
def rsa(bits: int = 2_048, _number: int = 0) -> Keys:
    """One key for each number."""
    key = generate_private_key(65_537, bits)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Keys(private, base64.b64encode(public).decode())


@cache
def ed25519() -> Keys:
    key = Ed25519PrivateKey.generate()
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Keys(base64.b64encode(raw), base64.b64encode(public).decode(), b"ed25519-sha256")


@dataclass(frozen=True, slots=True)
class House:
    """A domain that signs."""

    domain: str
    selector: str = "s1"
    keys: Keys = field(default_factory=rsa)

    @property
    def name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    def record(self, **tags: str) -> str:
        """The TXT record, `tags` before its key."""
        given = {"v": "DKIM1", "k": self.keys.kind, **tags, "p": self.keys.public}
        return "; ".join(f"{name}={value}" for name, value in given.items())

    def zone(self, **tags: str) -> tuple[str, str, str]:
        """What `DnsServer.add` takes; in strings of 255 octets at most."""
        text = self.record(**tags)
        parts = [text[at : at + 250] for at in range(0, len(text), 250)]
        return self.name, "TXT", " ".join(f'"{part}"' for part in parts)

    def signed(self, content: bytes, **how: Any) -> bytes:
        """The mail with a signature in front; `how` are dkimpy's own arguments."""
        given: dict[str, Any] = {
            "signature_algorithm": self.keys.algorithm,
            "include_headers": NAMES,
            "canonicalize": (b"relaxed", b"relaxed"),
        }
        field = dkim.sign(
            content,
            self.selector.encode(),
            self.domain.encode(),
            self.keys.private,
            **(given | how),
        )
        return bytes(field) + content
