"""Behind a domain: the sites that its mail goes to, as far as mail has been sent there.

One for each way: a route, and an address of ours.  Several sites go by one name, so that whoever
asks for a domain's site gets one answer and can hand it on.  Bounded: the ways and the domains used
longest ago are forgotten first.  Asked from other threads, told from one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sender.smtp import Route

MOST_DOMAINS = 50_000
MOST_WAYS = 8
"""Of one domain that are remembered."""

_AND = "\n"
_Way = tuple[str, str | None]
"""A relay's site, or none for the domain's own exchangers; the address of ours."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Behind:
    def __init__(self, most: int = MOST_DOMAINS) -> None:
        self._most = most
        self._ways: dict[str, dict[_Way, str]] = {}  # by domain; used longest ago first

    def site_of(self, domain: str) -> str | None:
        """The site behind a domain, or several in one name; None until mail has been sent there."""
        ways = self._ways.get(domain)
        if ways is None:
            return None
        return next(iter(ways.values())) if len(ways) == 1 else _AND.join(sorted(ways.values()))

    def learn(self, domain: str, route: Route, site: str) -> None:
        """Mail to `domain` goes by `route` to `site`."""
        ways = dict(self._ways.pop(domain, {}))  # a copy: other threads read the old one
        way = (route.site if route.by_relay else "", route.source_address)
        ways.pop(way, None)
        make_room(ways, MOST_WAYS)
        ways[way] = site
        make_room(self._ways, self._most)
        self._ways[domain] = ways


def sites_in(name: str) -> Sequence[str]:
    """The sites of a name that `site_of` gave."""
    return name.split(_AND)


def make_room(entries: dict[Key, Value], most: int) -> None:
    """Forget the first entry where there are as many as may be."""
    if len(entries) >= most:
        del entries[next(iter(entries))]
