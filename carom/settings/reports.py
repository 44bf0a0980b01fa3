"""Settings of the reports that receivers send of a day."""

from __future__ import annotations

from enum import StrEnum

from carom.settings.units import Domain, Network, Section, key


class Signed(StrEnum):
    PREFER = "prefer"
    REQUIRE = "require"


class Dmarc(Section):
    domains: list[Domain] = key(
        [], "Domains of ours beside those we send as: reports about others do not count.", "domain"
    )
    sources: list[Network] = key(
        [],
        "Networks that send as us by right; those that send under our return path show it"
        " themselves.",
        "network",
    )
    signed: Signed = key(
        Signed.PREFER,
        "By DKIM, by who reports. prefer: unsigned reports count, marked, unless a signed one of "
        "the same organisation tells of the same days; many small receivers sign none. require: "
        "they are listed and not added up.",
    )


class Tlsrpt(Section):
    signed: Signed = key(
        Signed.REQUIRE,
        "The same for TLS reports: RFC 8460 section 3 wants unsigned ones ignored.",
    )
