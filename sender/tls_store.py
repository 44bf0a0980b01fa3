"""What of outbound TLS outlives a process: MTA-STS policies, and the counts that RFC 8460 reports.

`serve` is the housekeeping of both: counts are added to the day's rows every minute, policies in
force are renewed before they are a day older, what is over is forgotten.  Any number of nodes may
do it at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from analysis.pause import pause
from analysis.schema import tls_policies, tls_reports_sent, tls_results
from analysis.store import Store, StoreUnavailable, chunks, upsert
from sender.mta_sts import MAX_AGE, Mode, Policy
from sender.sts_policies import Kept, StsPolicies
from sender.tls_report import DAY, Failing, Kind, Row, TlsReport

log = structlog.get_logger()

STORE_EVERY = 60.0
RENEW_EVERY = 3_600.0
KEEP_DAYS = 14
"""Reports go out for the day before; two weeks let an operator look back."""
_MOST_RENEWED = 500


@dataclass(frozen=True, slots=True)
class PolicyShelf:
    """`sender.sts_policies.Shelf` in the database."""

    store: Store

    async def load(self, domain: str) -> Kept | None:
        return await self.store.read(lambda tx: load(tx, domain))

    async def save(self, domain: str, kept: Kept) -> None:
        await self.store.write(lambda tx: save(tx, domain, kept))

    async def stale(self, before: float, now: float) -> list[str]:
        return await self.store.read(lambda tx: stale(tx, before, now))


def load(tx: Connection, domain: str) -> Kept | None:
    row = tx.execute(select(tls_policies).where(tls_policies.c.domain == domain)).one_or_none()
    if row is None:
        return None
    return Kept(Policy(Mode(row.mode), tuple(row.mx), row.max_age), row.record, row.fetched_at)


def save(tx: Connection, domain: str, kept: Kept) -> None:
    row: dict[str, Any] = {
        "domain": domain,
        "record": kept.record,
        "mode": kept.policy.mode.value,
        "mx": list(kept.policy.mx),
        "max_age": kept.policy.max_age,
        "fetched_at": kept.fetched_at,
    }
    upsert(tx, tls_policies, [row], keys=("domain",))


def stale(tx: Connection, before: float, now: float) -> list[str]:
    query = (
        select(tls_policies.c.domain)
        .where(
            tls_policies.c.fetched_at < before,
            tls_policies.c.fetched_at + tls_policies.c.max_age > now,
            tls_policies.c.mode != Mode.NONE.value,
        )
        .order_by(tls_policies.c.fetched_at)
        .limit(_MOST_RENEWED)
    )
    return list(tx.execute(query).scalars())


def add_results(tx: Connection, rows: Mapping[Row, int]) -> None:
    """Add counts to those of their day; in the order of keys, so that writers never form a ring."""
    values = sorted(
        (row.day, row.domain, row.kind.value, row.mx, row.result.value, count)
        for row, count in rows.items()
    )
    names = ("day", "domain", "kind", "mx", "result", "sessions")
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(tls_results)
    added = tls_results.c.sessions + statement.excluded.sessions
    statement = statement.on_conflict_do_update(
        index_elements=list(names[:-1]), set_={"sessions": added}
    )
    for chunk in chunks(values, 500):
        tx.execute(statement, [dict(zip(names, each, strict=True)) for each in chunk])


def results(tx: Connection, day: int, domain: str | None = None) -> dict[Row, int]:
    """What was counted on a day, of one domain where it is named, for the reports of it."""
    query = select(tls_results).where(tls_results.c.day == day)
    if domain is not None:
        query = query.where(tls_results.c.domain == domain)
    rows = tx.execute(query)
    return {
        Row(row.day, row.domain, Kind(row.kind), row.mx, Failing(row.result)): row.sessions
        for row in rows
    }


def forget(tx: Connection, now: float) -> None:
    """Take out the results of long ago, and policies that have been over for as long as they lasted
    at most, which is when nobody can ask about them any more."""
    day = int(now // DAY) - KEEP_DAYS
    tx.execute(delete(tls_results).where(tls_results.c.day < day))
    tx.execute(delete(tls_reports_sent).where(tls_reports_sent.c.day < day))
    tx.execute(delete(tls_policies).where(tls_policies.c.fetched_at < now - MAX_AGE))


@dataclass(frozen=True, slots=True)
class TlsKeeping:
    store: Store
    report: TlsReport
    policies: StsPolicies | None
    clock: Callable[[], float]

    async def serve(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; what was counted by then is stored."""
        renew_at = self.clock() + RENEW_EVERY
        while not stop.is_set():
            await pause(stop, STORE_EVERY)
            await self.put_down()
            if not stop.is_set() and self.clock() >= renew_at:
                await self._renew()
                renew_at = self.clock() + RENEW_EVERY

    async def put_down(self) -> None:
        """Store what was counted; what cannot be is counted on."""
        if not (rows := self.report.drain()):
            return
        try:
            await self.store.write(lambda tx: add_results(tx, rows))
        except StoreUnavailable as error:
            self.report.restore(rows)
            log.warning("results of TLS wait: the database is unavailable", error=str(error))

    async def _renew(self) -> None:
        try:
            if self.policies is not None:
                await self.policies.renew()
            await self.store.write(lambda tx: forget(tx, self.clock()))
        except StoreUnavailable as error:
            log.warning("MTA-STS policies wait: the database is unavailable", error=str(error))
