"""The machine: limits, clock and database, as values that were measured; the judgement is pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sender.doctor.finding import Finding, found

SPARE_FILES = 200
"""Beside connections: the database, logs, DNS questions, listeners."""
DISK_LOW, DISK_FULL = 5_000_000_000, 1_000_000_000
"""Octets."""
CLOCK_OFF, CLOCK_WRONG = 2.0, 60.0
"""Seconds."""
OLDEST = {"sqlite": (3, 35), "postgresql": (14,)}


@dataclass(frozen=True, slots=True)
class Limits:
    """None: not known on this system.  `disk`: the folder and what is free there, in octets."""

    files: int | None
    connections: int  # that the settings allow, in and out
    ports: int | None
    sending: int  # connections out at once
    disk: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds that our clock is ahead of another's; or the trouble in asking it."""

    against: str
    offset: float | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Database:
    kind: str  # sqlite, postgresql
    version: tuple[int, ...] = ()
    revision: str = ""  # of its schema
    needed: str = ""
    careless: str = ""  # settings that lose what was committed
    trouble: str = ""
    missing: str = ""  # the file that does not exist yet


def judge_limits(limits: Limits) -> Iterator[Finding]:
    need = limits.connections + SPARE_FILES
    if limits.files is None:
        yield found("limits.unknown", "open files", trouble="not known on this system")
    elif limits.files < need:
        yield found("limits.files", have=limits.files, need=need)
    else:
        yield found("limits.ok", "open files", have=limits.files)
    if limits.disk is not None:
        yield _disk(*limits.disk)
    wanted = limits.sending * 10
    if limits.ports is not None and limits.ports < wanted:
        yield found("limits.ports", have=limits.ports, need=wanted)


def _disk(folder: str, free: int) -> Finding:
    have = f"{free / 1e9:.1f} GB"
    if free < DISK_FULL:
        return found("limits.disk_full", folder, have=have)
    return found("limits.disk_low" if free < DISK_LOW else "limits.ok", folder, have=have)


def judge_clock(clock: Clock) -> Finding:
    if clock.offset is None:
        return found("clock.unknown", against=clock.against, trouble=clock.trouble)
    offset = f"{clock.offset:+.2f}"
    if abs(clock.offset) > CLOCK_WRONG:
        return found("clock.wrong", against=clock.against, offset=offset)
    code = "clock.off" if abs(clock.offset) > CLOCK_OFF else "clock.ok"
    return found(code, against=clock.against, offset=offset)


def judge_database(database: Database) -> Iterator[Finding]:
    if database.missing:
        yield found("database.none", have=database.missing)
        return
    if database.trouble:
        yield found("database.unreachable", trouble=database.trouble)
        return
    amiss = list(_amiss(database))
    yield from amiss
    if not amiss:
        have = f"{database.kind} {_dotted(database.version)}, schema {database.revision}"
        yield found("database.ok", have=have)


def _amiss(database: Database) -> Iterator[Finding]:
    if database.careless:
        yield found("database.careless", have=database.careless)
    if database.revision != database.needed:
        newer = database.revision > database.needed
        told = {"have": database.revision or "-", "need": database.needed}
        yield found("database.ahead" if newer else "database.behind", **told)
    if database.version < OLDEST[database.kind]:
        have = f"{database.kind} {_dotted(database.version)}"
        yield found("database.old", have=have, need=_dotted(OLDEST[database.kind]))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
