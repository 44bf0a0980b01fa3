"""Settings of the reports that receivers send of a day."""

from __future__ import annotations

from carom.settings.units import Domain, Network, Section, key


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
