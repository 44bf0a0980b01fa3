"""Leases on shares: nodes that send divide what each site bears, by one row each and no leader.

`renew` is one small transaction for all of a node's sites: it locks one row that is nobody's, reads
what the others hold, takes what is fair and free (`sender.pacing_shares.settle`), and writes its
own row.  Since all do so one after another, parts never add up to more than the whole.  What a node
holds it holds until its lease ends; others take it `GRACE` later, so that clocks may differ by as
much.  A node that has nothing to send has no row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from analysis.schema import pacing_nodes
from analysis.store import insert_once, upsert
from sender.pacing_shares import Cut, Entry, Holding, Peer, Share, Wanted, settle

GRACE = 2.0
"""Seconds after the end of a lease until others take what it held."""
MOST_LEASE = 60.0
"""Seconds; one that runs for longer was written by a clock that has been set back since."""
_NOBODY = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a node says of itself: wants by site, and what sites asked of it."""

    wanted: Mapping[str, Wanted]
    cuts: Mapping[str, Cut]


def renew(
    tx: Connection, said: Said, before: Holding, *, node: str, now: float, lease: float
) -> tuple[Holding, dict[str, Cut]]:
    """What this node holds until `now + lease`, and the newest that other nodes were told."""
    if tx.execute(_TURN.values(lease_until=now)).rowcount == 0:
        insert_once(tx, pacing_nodes, [_row(_NOBODY, now, Holding(), {}, {})])
        tx.execute(_TURN.values(lease_until=now))
    rows = tx.execute(select(pacing_nodes).where(pacing_nodes.c.node.not_in((_NOBODY, node)))).all()
    alive = [row for row in rows if now < row.lease_until + GRACE <= now + MOST_LEASE]
    if dead := [row.node for row in rows if row not in alive]:
        tx.execute(delete(pacing_nodes).where(pacing_nodes.c.node.in_(dead)))
    peers = {row.node: Peer(row.everything, _entries(row.shares)) for row in alive}
    holding, entries = settle(said.wanted, before, peers, node)
    row = _row(node, now + lease, holding, entries, said.cuts)
    upsert(tx, pacing_nodes, [row], keys=("node",))
    return holding, _newest([row.heard for row in alive])


def leave(tx: Connection, *, gone: Callable[[str], bool]) -> None:
    """What nodes that are `gone` held is free at once."""
    names = [name for name in tx.execute(select(pacing_nodes.c.node)).scalars() if gone(name)]
    tx.execute(delete(pacing_nodes).where(pacing_nodes.c.node.in_(names)))


_TURN = update(pacing_nodes).where(pacing_nodes.c.node == _NOBODY)


def _row(
    node: str,
    until: float,
    holding: Holding,
    entries: Mapping[str, Entry],
    cuts: Mapping[str, Cut],
) -> dict[str, Any]:
    return {
        "node": node,
        "lease_until": until,
        "everything": holding.everything,
        "shares": {
            site: [e.wants_rate, e.share.rate, e.wants_connections, e.share.connections]
            for site, e in entries.items()
        },
        "heard": {site: [c.at, c.limit, c.until, c.why, c.by] for site, c in cuts.items()},
    }


def _entries(shares: Mapping[str, Any]) -> dict[str, Entry]:
    return {
        site: Entry(wants_rate, wants_connections, Share(rate, connections))
        for site, (wants_rate, rate, wants_connections, connections) in shares.items()
    }


def _newest(heard: list[Mapping[str, Any]]) -> dict[str, Cut]:
    cuts: dict[str, Cut] = {}
    for of_node in heard:
        for site, fields in of_node.items():
            cut = Cut(*fields)
            if site not in cuts or cut.at > cuts[site].at:
                cuts[site] = cut
    return cuts
