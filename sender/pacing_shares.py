"""Shares: what one node of several may use of a site, so that all keep to its ceiling together.

A node that was alone holds `everything`.  Among others it holds, for each site that it writes to
now, a part of the rate and so many connections; and at a site that it has not asked for, one
connection, where there are as many as nodes.  `settle` computes what a node holds from what it
wants and what the others hold and want: never more than nobody else has, whatever order nodes ask
in, and after each has asked twice a fair part (`sender.fair`).

`Cut` is what a site asked of us: less, or silence for a while.  It goes round with the shares, so
that all nodes ease when one is told.

Pure; `sender.pacing_leases` keeps it in the database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sender.fair import Want, fair, fair_whole

FREE = 1
"""Connections to a site that a node may use without asking."""
NEARLY = 0.99
"""Of a fair part of a rate that is as good as all of it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a node can use of a site: parts of its rate (None for the rest: all that there is)."""

    rate: Want
    connections: Want
    most: int  # connections that the site bears, from all nodes together
    rated: bool  # it has a rate
    in_use: int = 0  # connections, which are not given away before they end


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a site: of its rate, 0 to 1, and of its connections."""

    rate: float = 0.0
    connections: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """What a node says of a site: what it wants, and what it holds."""

    wants_rate: Want
    wants_connections: Want
    share: Share


@dataclass(frozen=True, slots=True)
class Cut:
    """A site asked for less `at` a time, so that `limit` connections were left; silence `until`."""

    at: float
    limit: float
    until: float
    why: str
    by: str  # the category of what was heard


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node whose lease runs."""

    everything: bool = False
    entries: Mapping[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holding:
    """What this node holds."""

    everything: bool = False
    shares: Mapping[str, Share] = field(default_factory=dict)
    taken: Mapping[str, int] = field(default_factory=dict)  # connections, by others who asked
    askers: Mapping[str, int] = field(default_factory=dict)  # how many others asked
    others: int = 0
    blocked: bool = False  # another was alone, and has not heard of us yet
    short: bool = False  # others have not given up yet what is fairly ours

    def changed_from(self, before: Holding, sites: Collection[str]) -> list[str]:
        """Which of these sites may have another share than before."""
        if (self.everything, self.others, self.blocked) != (
            before.everything,
            before.others,
            before.blocked,
        ):
            return list(sites)
        named = {*self.shares, *self.taken, *before.shares, *before.taken}
        return [site for site in named if site in sites]

    def settled(self, site: str) -> bool:
        """Whether what this node has of a site, much or little, is what it can have for now."""
        if self.everything:
            return True
        share = self.shares.get(site)
        return share is not None and (share.connections > 0 or not self.short)

    def of(self, site: str, most: int) -> Share:
        """This node's share of a site that bears `most` connections."""
        if self.everything:
            return Share(1.0, most)
        return self.shares.get(site) or Share(0.0, self._free(site, most))

    def _free(self, site: str, most: int) -> int:
        if self.blocked or most < self.others + 1:
            return 0
        others = self.taken.get(site, 0) + FREE * (self.others - self.askers.get(site, 0))
        return FREE if most - others >= FREE else 0


ALL = Holding(everything=True)


def settle(
    wanted: Mapping[str, Wanted], before: Holding, peers: Mapping[str, Peer], me: str
) -> tuple[Holding, dict[str, Entry]]:
    """What this node holds from now on, and what it says of it; `peers` are the others alive."""
    if not peers:
        return ALL, {}
    blocked = any(peer.everything for peer in peers.values())
    taken, askers = _count(peers.values())
    entries, shares, short = {}, {}, blocked
    for site, want in wanted.items():
        had = before.of(site, want.most)
        fairly, free = _parts(site, want, peers, me, askers.get(site, 0))
        kept = min(want.in_use, had.connections)  # given away when they end, and not before
        rate = 0.0 if blocked else max(0.0, min(fairly.rate, free.rate))
        whole = 0 if blocked else max(0, kept, min(fairly.connections, free.connections))
        shares[site] = Share(rate, whole)
        entries[site] = Entry(want.rate, want.connections, shares[site])
        short = short or rate < fairly.rate * NEARLY or whole < fairly.connections
    return Holding(False, shares, taken, askers, len(peers), blocked, short), entries


def _parts(
    site: str, want: Wanted, peers: Mapping[str, Peer], me: str, askers: int
) -> tuple[Share, Share]:
    """What is fairly ours of a site, and what no other holds."""
    theirs = {name: peer.entries[site] for name, peer in peers.items() if site in peer.entries}
    silent = len(peers) - askers
    most = want.most - (FREE * silent if want.most > len(peers) else 0)
    rates = {name: entry.wants_rate for name, entry in theirs.items()}
    wholes = {name: entry.wants_connections for name, entry in theirs.items()}
    fairly = Share(
        fair(1.0, rates | {me: want.rate})[me] if want.rated else 0.0,
        fair_whole(most, wholes | {me: want.connections})[me],
    )
    free = Share(
        1.0 - sum(entry.share.rate for entry in theirs.values()),
        most - sum(entry.share.connections for entry in theirs.values()),
    )
    return fairly, free


def _count(peers: Iterable[Peer]) -> tuple[dict[str, int], dict[str, int]]:
    taken: dict[str, int] = {}
    askers: dict[str, int] = {}
    for peer in peers:
        for site, entry in peer.entries.items():
            taken[site] = taken.get(site, 0) + entry.share.connections
            askers[site] = askers.get(site, 0) + 1
    return taken, askers
