"""Signatures of a mail: which there are and whether they fit it.  RFC 6376 and RFC 8463.

Pure.  A signature is worth a question to the DNS when all holds that needs none: its syntax, its
body hash, From among what it signs, and an algorithm that is still good (RFC 8301).  What is left
for the key (`ingest.dkim_key`) is a digest of 32 octets and the signature itself.

Refused beyond the RFC: `l=`, which lets text be appended, as RFC 8460 section 3 wants it; a mail
with several From fields.  Only the first `MOST` signatures are looked at.  dkimpy is what the tests
compare with; it does not run here, since it takes seconds for a body of blanks and raises what it
does not name.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256

from analysis.dkim_form import relaxed_body, relaxed_field, simple_body
from analysis.facts import Signature

MOST = 5
MOST_HEADER = 100_000
"""Octets of the header."""
MOST_NAMES = 200
"""Names in `h=`."""

Field = tuple[bytes, bytes]

_UNFOLDED = re.compile(rb"\r\n(?![ \t])")
_TAG = re.compile(r"[a-z][a-z0-9_]{0,30}", re.ASCII | re.IGNORECASE)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*{_LABEL}", re.ASCII)
_SIGNED_PART = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")  # section 3.7: b= is emptied
_ALGORITHMS = frozenset({"rsa-sha256", "ed25519-sha256"})
_FORMS = frozenset({"simple", "relaxed"})


def signatures(raw: bytes) -> tuple[Signature, ...]:
    """Those among the first that fit, in the order in which they stand."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if len(head) > MOST_HEADER:
        return ()
    fields = [_field(line) for line in _UNFOLDED.split(head)]
    names = [_key(field) for field in fields]
    if names.count(b"from") != 1:
        return ()

    @cache
    def body_hash(form: str) -> bytes:
        return sha256((relaxed_body if form == "relaxed" else simple_body)(body)).digest()

    these = [n for n, name in enumerate(names) if name == b"dkim-signature"][:MOST]
    found = (_read(fields, number, body_hash) for number in these)
    return tuple(signature for signature in found if signature is not None)


def tags(text: str) -> dict[str, str]:
    """A tag list (section 3.2); `ValueError` where it is none."""
    found: dict[str, str] = {}
    for item in text.removesuffix(";").split(";"):
        name, equals, value = item.partition("=")
        name = name.strip()
        if not equals or not _TAG.fullmatch(name) or name in found:
            raise ValueError("no tag list")
        found[name] = value.strip()
    return found


def _field(line: bytes) -> Field:
    name, _, value = line.partition(b":")
    return name, value


def _key(field: Field) -> bytes:
    return field[0].rstrip(b" \t").lower()


def _read(
    fields: Sequence[Field], number: int, body_hash: Callable[[str], bytes]
) -> Signature | None:
    """What a signature field says, where it fits."""
    value = fields[number][1]
    try:
        held = tags(value.decode("ascii").strip())
        bh, b = _octets(held["bh"]), _octets(held["b"])
        expires = _seconds(held["x"]) if "x" in held else None
    except (ValueError, KeyError):  # binascii.Error and UnicodeDecodeError are of the first
        return None
    header_form, _, body_form = held.get("c", "simple").lower().partition("/")
    signed = [name.strip().lower() for name in held.get("h", "").split(":", MOST_NAMES)]
    domain = held.get("d", "").lower()
    identity = held.get("i", f"@{domain}").rpartition("@")[2].lower()
    fits = (
        _is_sound(held)
        and header_form in _FORMS
        and (body_form := body_form or "simple") in _FORMS
        and (identity == domain or identity.endswith(f".{domain}"))
        and "from" in signed
        and len(signed) <= MOST_NAMES
        and bh == body_hash(body_form)
    )
    if not fits:
        return None
    digest = sha256(_signed_header(fields, number, signed, header_form)).digest()
    strict, algorithm = identity == domain, held["a"].lower()
    return Signature(domain, held["s"].lower(), algorithm, strict, expires, digest, b)


def _is_sound(held: dict[str, str]) -> bool:
    """Whether the tags themselves are such that a key can be asked for."""
    names = held.get("d", ""), held.get("s", "")
    return (
        held.get("v") == "1"
        and held.get("a", "").lower() in _ALGORITHMS
        and "l" not in held
        and all(_NAME.fullmatch(name.lower()) for name in names)
        and "dns/txt" in held.get("q", "dns/txt").lower()
    )


def _signed_header(fields: Sequence[Field], number: int, signed: Sequence[str], form: str) -> bytes:
    """What was signed: the fields that `h=` names, each from the last one up (section 5.4.2), and
    the signature field itself."""
    left: dict[bytes, list[Field]] = {}
    for at, field in enumerate(fields):
        if at != number:
            left.setdefault(_key(field), []).append(field)
    named = [there.pop() for name in signed if (there := left.get(name.encode()))]
    own = fields[number][0], _SIGNED_PART.sub(rb"\1", fields[number][1], count=1)
    return b"\r\n".join(_canonical(field, form) for field in (*named, own))


def _canonical(field: Field, form: str) -> bytes:
    return relaxed_field(_key(field), field[1]) if form == "relaxed" else b":".join(field)


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ValueError("no time")
    return float(text)


def _octets(text: str) -> bytes:
    """Base64 with white space anywhere; `ValueError`."""
    try:
        return b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error
