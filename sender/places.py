"""Places: how many deliveries one claim may take to each domain and each site.

A domain has its share, and so has the site behind it, once it is known: a thousand domains behind
one slow site must not take all the places.  What is `Held` is not taken at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from analysis.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing may be sent there before `until`.  `verdict.evidence` says why, for people."""

    until: float
    verdict: Verdict


class Sites(Protocol):
    """What pacing knows of domains.  Asked from other threads: reads only, and never blocks."""

    def site_of(self, domain: str) -> str | None:
        """The site behind a domain; None until mail has been sent there."""

    def share(self, site: str, now: float) -> int | Held:
        """Deliveries that may be under way to a site, those that await their turn included."""


class Places:
    def __init__(
        self, per_domain: int, under_way: Mapping[str, int], sites: Sites | None, now: float
    ) -> None:
        """`under_way`: domain to deliveries that have a place already."""
        self._per_domain = per_domain
        self._sites = sites
        self._now = now
        self._domains = Counter(under_way)
        self._at: Counter[str] = Counter()
        self._shares: dict[str, int | Held] = {}
        for domain, count in under_way.items():
            if (site := self._site(domain)) is not None:
                self._at[site] += count
        self.full = {domain for domain in under_way if not self._room(domain)}
        """Domains known to have no place left."""

    def held(self, domain: str) -> Held | None:
        site = self._site(domain)
        share = self._share(site) if site is not None else None
        return share if isinstance(share, Held) else None

    def take(self, domain: str) -> bool:
        """Take a place for a delivery to `domain`; False if there is none."""
        if not self._room(domain):
            self.full.add(domain)
            return False
        self._domains[domain] += 1
        if (site := self._site(domain)) is not None:
            self._at[site] += 1
        return True

    def _room(self, domain: str) -> bool:
        if self._domains[domain] >= self._per_domain:
            return False
        site = self._site(domain)
        share = self._share(site) if site is not None else None
        return not isinstance(share, int) or self._at[site or ""] < share

    def _site(self, domain: str) -> str | None:
        return None if self._sites is None else self._sites.site_of(domain)

    def _share(self, site: str) -> int | Held:
        if site not in self._shares:
            assert self._sites is not None
            self._shares[site] = self._sites.share(site, self._now)
        return self._shares[site]
