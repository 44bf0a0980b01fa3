"""TLSA records (RFC 6698) as mail uses them (RFC 7672): which are usable, what each one matches.

Pure octets: a certificate is taken apart as far as its public key and no further, so that one
which strict readers refuse can still be pinned.  Of the four usages mail uses two: DANE-TA (2), an
authority that the domain names, and DANE-EE (3), the host's own certificate or key.  The others
lean on public authorities and are unusable (RFC 7672 section 3.1.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import dns.rdata
from dns.rdtypes.ANY.TLSA import TLSA


class Usage(IntEnum):
    DANE_TA = 2
    DANE_EE = 3


_WHOLE, _KEY = 0, 1  # selectors, RFC 6698 section 2.1.2
_DIGESTS: dict[int, Callable[[bytes], bytes]] = {
    1: lambda octets: hashlib.sha256(octets).digest(),
    2: lambda octets: hashlib.sha512(octets).digest(),
}


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A usable record."""

    usage: Usage
    selector: int  # 0 the whole certificate, 1 its public key
    matching: int  # 0 all octets, 1 SHA-256, 2 SHA-512
    data: bytes = field(repr=False)

    def matches(self, certificate: bytes) -> bool:
        """Whether this record means `certificate` (DER)."""
        try:
            chosen = certificate if self.selector == _WHOLE else public_key(certificate)
        except ValueError:
            return False
        if self.matching in _DIGESTS:
            chosen = _DIGESTS[self.matching](chosen)
        return chosen == self.data


def usable(records: Iterable[dns.rdata.Rdata]) -> tuple[Tlsa, ...]:
    """The records that mail can use, without digests that a stronger one stands beside.

    RFC 7672 section 5: of the digests published for one usage and selector only the strongest is
    believed, so that a weak one cannot open what a strong one closes.
    """
    known = [tlsa for record in records if (tlsa := _read(record))]
    strongest = {
        (one.usage, one.selector): max(
            other.matching
            for other in known
            if (other.usage, other.selector) == (one.usage, one.selector)
        )
        for one in known
    }
    return tuple(one for one in known if one.matching in (0, strongest[one.usage, one.selector]))


def _read(record: dns.rdata.Rdata) -> Tlsa | None:
    if not isinstance(record, TLSA) or record.usage not in (Usage.DANE_TA, Usage.DANE_EE):
        return None
    if record.selector not in (_WHOLE, _KEY) or not record.cert:
        return None
    if record.mtype not in (0, *_DIGESTS):
        return None
    return Tlsa(Usage(record.usage), record.selector, record.mtype, bytes(record.cert))


def public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a DER certificate, octet for octet.  RFC 5280 section 4.1.

    Raises ValueError where there is none.
    """
    _, start, _ = _element(certificate, 0)
    _, at, end = _element(certificate, start)  # tbsCertificate
    tag, _, after = _element(certificate, at)
    if tag == 0xA0:  # the version, left out in version 1
        at = after
    for _ in range(5):  # serial number, algorithm, issuer, validity, subject
        _, _, at = _element(certificate, at)
    tag, _, after = _element(certificate, at)
    if tag != 0x30 or after > end:
        raise ValueError("no public key where a certificate has one")
    return certificate[at:after]


def _element(octets: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start of the content and end of the DER element at `at`."""
    if at + 2 > len(octets):
        raise ValueError("a certificate that ends early")
    tag, size, start = octets[at], octets[at + 1], at + 2
    if size >= 0x80:
        wide = size & 0x7F
        if not 1 <= wide <= 4 or start + wide > len(octets):
            raise ValueError("a certificate with an impossible length")
        size, start = int.from_bytes(octets[start : start + wide]), start + wide
    if start + size > len(octets):
        raise ValueError("a certificate that ends early")
    return tag, start, start + size
