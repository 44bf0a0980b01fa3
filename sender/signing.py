"""DKIM signatures (RFC 6376) by RSA-2048 and Ed25519 (RFC 8463), relaxed/relaxed.

The rules are dkimpy's, which verifies in the tests everything that is signed here.  The work is
not: OpenSSL signs an order of magnitude faster, keys are parsed once, and canonicalisation is
linear where dkimpy's is quadratic in trailing spaces.

The body is hashed once for a message (`body_hash`), the headers for each delivery, because
List-Unsubscribe differs and RFC 8058 section 4 wants it signed.  Fields that people see, that lead
their answer elsewhere or that say how the body is to be read are named in `h=` once more than they
occur, so that a first or second one added on the way breaks the signature (RFC 6376 section 8.15):
else whoever got one message could send it to others as ours with a `Reply-To` of theirs, or with a
`Content-Type` that makes another text of the body.  No `l=`: it would let text be appended.

Everything is a pure function of its arguments and safe to call from several threads.
Refuses with `ValueError`: content whose line ends are not all CRLF, since the next hop would
change them and break the signature, and a header block that cannot be read.
"""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from analysis.dkim_form import relaxed_body, relaxed_field
from sender.dkim_keys import PrivateKey, kind_of
from sender.headers import read_block

SIGNED = (
    "From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To",
    "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Auto-Submitted",
    "Feedback-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
)  # fmt: skip
"""Fields that are signed where they are present, each occurrence."""
OVERSIGNED = frozenset({
    "From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
})  # fmt: skip
"""Not Sender nor List-*: a mailing list adds those to mail that it does not otherwise touch."""
_SIGNED = [(name, name.lower().encode(), name in OVERSIGNED) for name in SIGNED]

_LINE = 76
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class BodyHash:
    """The `bh=` of a body: SHA-256 of its relaxed form, in base64."""

    value: str


@dataclass(frozen=True, slots=True)
class Signer:
    """A key and the name it is published under: `<selector>._domainkey.<domain>`."""

    domain: str  # d=, lower-case A-labels
    selector: str  # s=
    key: PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        for what, name in (("domain", self.domain), ("selector", self.selector)):
            if len(name) > 253 or not _DNS_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no {what} in lower-case ASCII")

    @property
    def algorithm(self) -> str:
        return f"{kind_of(self.key)}-sha256"

    def signature(self, data: bytes) -> bytes:
        """Sign `data`: RSASSA-PKCS1-v1_5, or Ed25519 over its SHA-256 (RFC 8463 section 3)."""
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(sha256(data).digest())
        return self.key.sign(data, PKCS1v15(), SHA256())


def sign(
    content: bytes,
    signers: Sequence[Signer],
    *,
    now: int,
    hashed: BodyHash | None = None,
    lifetime: int | None = None,
) -> bytes:
    """Return one DKIM-Signature field for each signer, to be put in front of `content`.

    `now` is Unix seconds (`t=`); with `lifetime` seconds receivers may distrust the signature
    afterwards (`x=`).  `hashed` is `body_hash` of this or of any content with the same body.
    """
    fields, end = _split(content)
    names, head = _signed_headers(fields)
    body = hashed or _hashed(content, end)
    times = f"t={now};" + (f" x={now + lifetime};" if lifetime else "")
    return b"".join(_field(signer, times, names, head, body) for signer in signers)


def body_hash(content: bytes) -> BodyHash:
    """Hash the body of a message; holds as long as the body is not touched."""
    return _hashed(content, _split(content)[1])


def _hashed(content: bytes, end: int) -> BodyHash:
    _require_crlf(content)
    digest = sha256(relaxed_body(content[end + 2 :])).digest()
    return BodyHash(base64.b64encode(digest).decode())


def _split(content: bytes) -> tuple[list[tuple[bytes, bytes]], int]:
    fields, end = read_block(content)
    if not fields or content[end : end + 2] not in (b"\r\n", b""):
        raise ValueError("the message has no header block that can be read")
    return fields, end


def _require_crlf(content: bytes) -> None:
    if not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
        raise ValueError("the message has a bare CR or LF: line ends must be CRLF to be signed")


def _signed_headers(fields: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[str, ...], bytes]:
    """The names for `h=` and the canonical fields they stand for, last occurrence first."""
    present: dict[bytes, list[bytes]] = defaultdict(list)
    for written, value in fields:
        present[written.lower()].append(relaxed_field(written, value))
    names: list[str] = []
    lines: list[bytes] = []
    for name, key, once_more in _SIGNED:
        found = present.get(key, ())
        names += [name] * (len(found) + once_more)
        lines += reversed(found)
    return tuple(names), b"".join([line + b"\r\n" for line in lines])


def _field(
    signer: Signer, times: str, names: tuple[str, ...], head: bytes, body: BodyHash
) -> bytes:
    value = (
        f" v=1; a={signer.algorithm}; c=relaxed/relaxed;\r\n"
        f" d={signer.domain}; s={signer.selector};\r\n"
        f" {times}\r\n{_folded_names(names)}\r\n bh={body.value};\r\n b="
    ).encode()
    # The field signs itself with an empty b= and without its line end, RFC 6376 section 3.7.
    signature = signer.signature(head + relaxed_field(b"DKIM-Signature", value))
    text = base64.b64encode(signature)
    cuts = [text[at : at + _LINE - 3] for at in range(0, len(text), _LINE - 3)]
    return b"DKIM-Signature:" + value + b"\r\n ".join(cuts) + b"\r\n"


@lru_cache(64)  # messages of one stream have the same names
def _folded_names(names: tuple[str, ...]) -> str:
    lines = [" h="]
    for at, name in enumerate(names):
        token = name + (":" if at + 1 < len(names) else ";")
        if len(lines[-1]) + len(token) > _LINE:
            lines.append(" ")
        lines[-1] += token
    return "\r\n".join(lines)
