"""Who takes a domain's TLS reports: the TXT record at `_smtp._tls`.  RFC 8460 section 3.

Text in, values out.  A record that is none, or two of them, asks for nothing; an address that is
none is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

import dns.rdata
from dns.rdtypes.txtbase import TXTBase

from analysis.address import Address, AddressError, parse

MOST = 3
"""Addresses of each kind that are served."""

_RECORD = re.compile(r"v=TLSRPTv1 *;(?P<fields>.*)", re.ASCII | re.DOTALL)
_URL = re.compile(r"https://[!-~]{1,500}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    mail: tuple[Address, ...] = ()
    https: tuple[str, ...] = ()


def asked(records: Iterable[dns.rdata.Rdata]) -> Asked:
    """Where the reports are wanted; nowhere unless just one record is TLS-RPT's."""
    texts = [
        b"".join(record.strings).decode("ascii", "replace")
        for record in records
        if isinstance(record, TXTBase)
    ]
    ours = [match for text in texts if (match := _RECORD.fullmatch(text))]
    if len(ours) != 1:
        return Asked()
    for field in ours[0]["fields"].split(";"):
        key, _, value = field.strip().partition("=")
        if key.strip() == "rua":
            return _read([uri.strip() for uri in value.split(",")[: 4 * MOST]])
    return Asked()


def _read(uris: list[str]) -> Asked:
    mail: list[Address] = []
    for uri in uris:
        scheme, _, rest = uri.partition(":")
        if scheme.lower() == "mailto":
            try:
                mail.append(parse(unquote(rest.partition("?")[0])))
            except AddressError:
                continue
    https = [uri for uri in uris if _URL.fullmatch(uri)]
    return Asked(tuple(mail[:MOST]), tuple(https[:MOST]))
