"""What the doctor found last: kept check by check, told when a check turns.

Each check is one row, so that a reader sees the state, since when, and the findings behind it.  A
turn (`doctor.turned`), into failure or out of it, is announced once, by the transaction that saw
it.  `unknown` is no turn, and a failure that cannot be looked at stays one: a DNS that is away for
an hour neither mends anything nor rings twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from analysis.events import announce, event
from analysis.lookup import iso
from analysis.schema import doctor_checks
from analysis.store import upsert

CHECKS = (
    "mx",
    "listener",
    "outbound",
    "spf",
    "dkim",
    "dmarc",
    "mta_sts",
    "tls_rpt",
    "reverse_dns",
    "blocklists",
    "clock",
    "limits",
    "database",
    "settings",
)
STATES = ("ok", "warning", "unknown", "failure")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Examined:
    """The state of a check, and its findings as JSON values."""

    state: str
    findings: list[Json]


@dataclass(frozen=True, slots=True)
class Turn:
    check: str
    before: str
    now: str


def follow(tx: Connection, found: Mapping[str, Examined], *, now: float) -> list[Turn]:
    """Record an examination; what turned since the last one that knew."""
    before = {row.name: row for row in tx.execute(select(doctor_checks))}
    found = {name: _remembering(one, before.get(name)) for name, one in found.items()}
    rows = [_row(name, one, before.get(name), now) for name, one in found.items()]
    turns = [
        Turn(name, before[name].state if name in before else "", one.state)
        for name, one in found.items()
        if _turned(before.get(name), one)
    ]
    upsert(tx, doctor_checks, rows, keys=("name",))
    announce(tx, [_event(turn, found[turn.check], now) for turn in turns])
    return turns


def _remembering(one: Examined, before: Any) -> Examined:
    if one.state == "unknown" and before is not None and before.state == "failure":
        return Examined("failure", one.findings)
    return one


def _row(name: str, one: Examined, before: Any, now: float) -> Json:
    lasting = before is not None and before.state == one.state
    return {
        "name": name,
        "state": one.state,
        "since": before.since if lasting else now,
        "checked_at": now,
        "findings": one.findings,
    }


def _turned(before: Any, one: Examined) -> bool:
    """Between failing and not failing; what never failed before is no news when it is fine."""
    was = before.state if before is not None else "ok"
    return (was == "failure") != (one.state == "failure")


def _event(turn: Turn, one: Examined, now: float) -> Json:
    amiss = [found for found in one.findings if found["state"] == "failure"]
    data = {"check": turn.check, "before": turn.before or None, "state": turn.now}
    return event("doctor.turned", at=now, data={**data, "findings": amiss[:5]})


def newest(tx: Connection) -> list[Json]:
    """The checks in their order, as JSON values."""
    rows = {row.name: row for row in tx.execute(select(doctor_checks))}
    return [
        {
            "check": name,
            "state": rows[name].state,
            "since": iso(rows[name].since),
            "checked_at": iso(rows[name].checked_at),
            "findings": rows[name].findings,
        }
        for name in CHECKS
        if name in rows
    ]


def states(tx: Connection) -> tuple[dict[str, str], float]:
    """The state of each check, and when they were looked at last (0: never)."""
    c = doctor_checks.c
    rows = list(tx.execute(select(c.name, c.state, c.checked_at)))
    return {row.name: row.state for row in rows}, max((row.checked_at for row in rows), default=0.0)
