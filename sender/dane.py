"""Whether the certificate that a host presented is the one its TLSA records promise.

RFC 7672 section 3.1.  With DANE-EE the record alone decides: names and dates are not looked at.
With DANE-TA the chain must lead, by signatures and within its dates, to the authority that the
record names, and the host's certificate must name the host or the recipient's domain.

`failure` says in a few words why not, with the kind for reports, or None.  It never raises for what
a host presents.  The caller sees to it that the records came by DNSSEC.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sender.tls_report import Failing
from sender.tlsa import Tlsa, Usage

MAX_CHAIN = 10
"""Certificates of a chain that are looked at; real ones have two to four."""

_BAD = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)
"""What reading and checking a hostile certificate may raise."""


@dataclass(frozen=True, slots=True)
class Failure:
    kind: Failing
    why: str


def presented(session: ssl.SSLObject) -> list[bytes]:
    """The chain that the host sent, its own certificate first, as DER.

    Python 3.13 has a method for it; before, only the object behind `SSLObject` has.  Without
    either there is the host's own certificate, which is all that DANE-EE needs.
    """
    inner: Any = session if hasattr(session, "get_unverified_chain") else session._sslobj  # type: ignore[attr-defined]
    chain: Iterable[Any] = getattr(inner, "get_unverified_chain", tuple)() or ()
    found = [one if isinstance(one, bytes) else _octets(one) for one in chain]
    if not found and (own := session.getpeercert(binary_form=True)):
        found = [own]
    return found[:MAX_CHAIN]


def _octets(certificate: Any) -> bytes:
    """The DER of `_ssl.Certificate`."""
    return ssl.PEM_cert_to_DER_cert(certificate.public_bytes())


def failure(
    chain: Sequence[bytes], records: Sequence[Tlsa], *, names: Sequence[str], now: float
) -> Failure | None:
    """Why no record is met by `chain` (DER, the host's own first), or None where one is.

    `names`: any of them will do, for DANE-TA.  `now`: Unix seconds.
    """
    if not chain:
        return Failure(Failing.VALIDATION, "the host presented no certificate")
    if any(tlsa.usage is Usage.DANE_EE and tlsa.matches(chain[0]) for tlsa in records):
        return None
    authorities = [tlsa for tlsa in records if tlsa.usage is Usage.DANE_TA]
    if not authorities:
        return Failure(Failing.NOT_TRUSTED, "its certificate is not the one its TLSA records name")
    try:
        return _by_authority(chain, authorities, names, now)
    except _BAD:
        return Failure(Failing.NOT_TRUSTED, "its certificates cannot be read")


def _by_authority(
    chain: Sequence[bytes], records: Sequence[Tlsa], names: Sequence[str], now: float
) -> Failure | None:
    path = _path(chain, records)
    if path is None:
        return Failure(Failing.NOT_TRUSTED, "no certificate of its chain is one its TLSA names")
    when = datetime.datetime.fromtimestamp(now, datetime.UTC)
    if any(not one.not_valid_before_utc <= when <= one.not_valid_after_utc for one in path):
        return Failure(Failing.EXPIRED, "a certificate of its chain is outside its dates")
    if not any(covers(pattern, name) for pattern in _dns_names(path[0]) for name in names):
        return Failure(Failing.HOST_MISMATCH, f"its certificate does not name {names[0]}")
    return None


def _path(chain: Sequence[bytes], records: Sequence[Tlsa]) -> list[x509.Certificate] | None:
    """The host's certificate and those above it, up to an authority of the records.

    An authority may be left out of what is presented where the record holds all of it (matching
    type 0): a certificate, or a bare key.
    """
    path: list[x509.Certificate] = []
    for octets in chain:
        one = x509.load_der_x509_certificate(octets)
        if path and not _issued(path[-1], one):
            return None
        path.append(one)
        if len(path) > 1 and any(tlsa.matches(octets) for tlsa in records):
            return path
        if (above := _outside(one, records)) is not None:
            return [*path, *above]
    return None


def _outside(below: x509.Certificate, records: Sequence[Tlsa]) -> list[x509.Certificate] | None:
    """The issuer of `below` that a record holds whole, as far as it has dates: a bare key has none.

    None where no record holds its issuer.
    """
    for tlsa in records:
        try:
            if tlsa.matching == 0 and tlsa.selector == 1:
                _check_signature(below, load_der_public_key(tlsa.data))
                return []
            if tlsa.matching == 0:
                issuer = x509.load_der_x509_certificate(tlsa.data)
                if _issued(below, issuer):
                    return [issuer]
        except _BAD:
            continue
    return None


def _check_signature(certificate: x509.Certificate, key: PublicKeyTypes) -> None:
    """Raise InvalidSignature, or ValueError for other kinds of key, unless `key` signed it."""
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    terms, digest = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
    match key, terms:
        case rsa.RSAPublicKey(), (padding.PKCS1v15() | padding.PSS()) if digest is not None:
            key.verify(signature, signed, terms, digest)
        case ec.EllipticCurvePublicKey(), ec.ECDSA():
            key.verify(signature, signed, terms)
        case ((ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey()), _):
            key.verify(signature, signed)
        case _:
            raise ValueError("a key of another kind")


def _issued(below: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` is an authority that signed `below`.  RFC 5280 section 6.1."""
    try:
        below.verify_directly_issued_by(issuer)
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints)
    except _BAD:
        return False
    return constraints.value.ca


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)


def covers(pattern: str, name: str) -> bool:
    """Whether a name of a certificate, or of an MTA-STS policy, covers a host's name.

    `*` stands for exactly one label, the leftmost.  RFC 6125 section 6.4.3, RFC 8461 section 4.1.
    """
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if pattern.startswith("*."):
        first, dot, rest = name.partition(".")
        return bool(first and dot) and rest == pattern[2:]
    return pattern == name
