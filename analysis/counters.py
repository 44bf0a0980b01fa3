"""Counters that go on where a process of this machine left off.

Prometheus copes with a counter that begins again at zero, but not with what was counted between its
last scrape and a crash, nor with a counter that has passed its old value before the next scrape.
So every process keeps its counters in the database, each under its own name and nobody else's, and
a process that starts takes over those of the dead ones of its machine: to Prometheus nothing
happened.  Several processes never share a row, so that they add up.  A crash loses at most what
was counted since the last `keep`; the cohorts, counted in the transactions themselves, lose
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, delete, func, insert, select

from analysis.schema import counters
from analysis.store import upsert

MOST = 4_000
"""Samples that are taken over: more than a process exposes."""
LASTS = 30 * 86_400.0
"""Seconds after which the counters of a machine that never came back are dropped."""


def keep(tx: Connection, node: str, samples: Mapping[str, float], now: float) -> None:
    """Write the value of this process's samples as they are now."""
    rows = [{"node": node, "sample": s, "value": v, "at": now} for s, v in samples.items()]
    upsert(tx, counters, rows, keys=("node", "sample"))


def take_over(
    tx: Connection, node: str, gone: Callable[[str], bool], now: float
) -> dict[str, float]:
    """The samples of processes known to be dead, added up; they are this process's from now on."""
    c = counters.c
    tx.execute(delete(counters).where(c.at < now - LASTS))
    named = tx.execute(select(c.node).distinct()).scalars()
    dead = sorted(name for name in named if name != node and gone(name))
    if not dead:
        return {}
    rows = tx.execute(delete(counters).where(c.node.in_(dead)).returning(c.sample, c.value))
    sums: dict[str, float] = {}
    for sample, value in rows:
        if len(sums) < MOST or sample in sums:
            sums[sample] = sums.get(sample, 0.0) + value
    if sums:
        values = [{"node": node, "sample": s, "value": v, "at": now} for s, v in sums.items()]
        tx.execute(insert(counters), values)
    return sums


def kept(tx: Connection, node: str) -> int:
    """How many samples a process has written."""
    query = select(func.count()).where(counters.c.node == node)
    return int(tx.execute(query).scalar_one())
