"""`carom suppression`: the list of addresses not to write to, straight from the database.

Works with and without a running service.  Every change is audited under the name of the user.
"""

from __future__ import annotations

import csv
import getpass
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from analysis import suppression as listing
from analysis.address import AddressError, address_hash, parse
from analysis.lookup import iso, suppression_view
from analysis.store import Store, chunks
from analysis.suppression import EVERY_STREAM, Lift, Reason, Suppression
from carom.commands import ConfigOption, JsonOption
from carom.errors import CaromError, UsageError
from carom.opening import with_store
from carom.settings import load

PAGE = 1_000

StreamOption = Annotated[
    str | None, typer.Option("--stream", help="In this stream only; else in all.")
]


def check(
    address: Annotated[str, typer.Argument(help="The address to ask about.")],
    stream: StreamOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """May Carom write to this address?  Exit code 1 if not."""
    hashed = _hash(address)
    now = time.time()
    found = with_store(
        load(config), lambda store: store.read(lambda tx: listing.standing(tx, [hashed], now))
    )
    view = suppression_view(found.get(hashed, []), stream)
    if as_json:
        typer.echo(json.dumps({"address": address, **view}, ensure_ascii=False))
    elif view["suppressed"]:
        until = f" until {view['until']}" if view["until"] else ""
        typer.echo(f"{address} is suppressed{until}: {view['reason']}, {view['evidence']}")
    else:
        typer.echo(f"{address} is not suppressed")
    return 1 if view["suppressed"] else 0


def add(
    address: Annotated[str, typer.Argument(help="The address not to write to.")],
    why: Annotated[str, typer.Option(help="The reason, kept as evidence and in the audit.")],
    stream: StreamOption = None,
    days: Annotated[float | None, typer.Option(help="For so many days; else until lifted.")] = None,
    config: ConfigOption = None,
) -> None:
    """Put an address on the list."""
    now = time.time()
    entry = Suppression(
        address_hash=_hash(address),
        stream=stream or EVERY_STREAM,
        reason=Reason.MANUAL,
        address=parse(address).wire,
        since=now,
        until=None if days is None else now + days * 86_400,
        evidence=why,
        actor=_user(),
    )
    with_store(load(config), lambda store: store.write(lambda tx: listing.suppress(tx, [entry])))
    typer.echo(f"{address} is suppressed from now on")


def remove(
    address: Annotated[str, typer.Argument(help="The address to write to again.")],
    why: Annotated[str, typer.Option(help="The reason, kept in the audit.")],
    reason: Annotated[
        Reason | None, typer.Option(help="Lift only what was suppressed for this reason.")
    ] = None,
    stream: StreamOption = None,
    config: ConfigOption = None,
) -> None:
    """Take an address off the list."""
    order = Lift(
        _hash(address),
        actor=_user(),
        why=why,
        at=time.time(),
        reasons=frozenset(Reason) if reason is None else frozenset({reason}),
        stream=stream,
    )
    lifted = with_store(load(config), lambda store: store.write(lambda tx: listing.lift(tx, order)))
    if not lifted:
        raise CaromError(f"{address} is not on the list; see `carom suppression check`")
    typer.echo(f"{address}: lifted {', '.join(entry.reason.value for entry in lifted)}")


def list_(
    reason: Annotated[Reason | None, typer.Option(help="Only this reason.")] = None,
    limit: Annotated[int, typer.Option(help="Most lines.", min=1)] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List entries, those that have run out too."""

    async def show(store: Store) -> None:
        shown = 0
        async for entry in _entries(store, reason):
            if shown == limit:
                break
            shown += 1
            typer.echo(json.dumps(_row(entry)) if as_json else "  ".join(_row(entry).values()))

    with_store(load(config), show)


def export(
    file: Annotated[Path | None, typer.Argument(help="CSV or .ndjson; else CSV to stdout.")] = None,
    reason: Annotated[Reason | None, typer.Option(help="Only this reason.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write the whole list."""

    async def write(store: Store) -> int:
        with file.open("w", newline="") if file else sys.stdout as out:
            plain = file is not None and file.suffix == ".ndjson"
            table = csv.DictWriter(out, FIELDS)
            if not plain:
                table.writeheader()
            count = 0
            async for entry in _entries(store, reason):
                count += 1
                if plain:
                    out.write(json.dumps(_row(entry)) + "\n")
                else:
                    table.writerow(_row(entry))
            return count

    count = with_store(load(config), write)
    if file:
        typer.echo(f"{count} entries written to {file}")


def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a header line, or .ndjson.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check only.")] = False,
    config: ConfigOption = None,
) -> int:
    """Put many addresses on the list; each line that cannot be taken is named.

    Columns: address (or email), and if wanted reason, stream, until, evidence, as exported.
    """
    good: list[Suppression] = []
    bad = 0
    now, user = time.time(), _user()
    with Progress(transient=True) as progress:
        bar = progress.add_task("reading", total=None)
        for number, row in enumerate(_rows(file), start=1):
            progress.advance(bar)
            try:
                good.append(_entry(row, now, user))
            except (AddressError, ValueError) as error:
                bad += 1
                typer.echo(f"{file}: entry {number}: {error}", err=True)
    if not dry_run:
        with_store(load(config), lambda store: _write_all(store, good))
    done = "would be imported" if dry_run else "imported"
    typer.echo(f"{len(good)} {done}, {bad} refused")
    return 1 if bad else 0


FIELDS = ("address", "hash", "stream", "reason", "since", "until", "evidence", "actor")


async def _write_all(store: Store, entries: list[Suppression]) -> None:
    with Progress(transient=True) as progress:
        bar = progress.add_task("writing", total=len(entries))
        for chunk in chunks(entries, 5_000):
            await store.write(lambda tx, chunk=chunk: listing.suppress(tx, chunk))  # type: ignore[misc]
            progress.advance(bar, len(chunk))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        if file.suffix == ".ndjson":
            yield from (json.loads(line) for line in lines if line.strip())
        else:
            yield from csv.DictReader(lines)


def _entry(row: dict[str, Any], now: float, user: str) -> Suppression:
    given = (row.get("address") or row.get("email") or "").strip()
    address = parse(given[1:] if given.startswith(_MADE_HARMLESS) else given)
    reason = row.get("reason") or Reason.MANUAL.value
    if reason not in set(Reason):
        raise ValueError(f"reason {reason!r}: expected one of {', '.join(Reason)}")
    return Suppression(
        address_hash=address_hash(address.key),
        stream=row.get("stream") or EVERY_STREAM,
        reason=Reason(reason),
        address=address.wire,
        since=now,
        until=_time(row.get("until")),
        evidence=row.get("evidence") or "imported",
        actor=user,
    )


def _time(text: Any) -> float | None:
    """Unix seconds, or ISO 8601 as `export` writes it; empty for no end."""
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(str(text)).timestamp()


async def _entries(store: Store, reason: Reason | None) -> AsyncIterator[Suppression]:
    after = (b"", "", "")
    while page := await store.read(
        lambda tx, after=after: listing.browse(  # type: ignore[misc]
            tx, after=after, reason=reason and reason.value, limit=PAGE
        )
    ):
        for entry in page:
            yield entry
        last = page[-1]
        after = (last.address_hash, last.stream, last.reason.value)


def _row(entry: Suppression) -> dict[str, str]:
    return {
        "address": _harmless(entry.address or ""),
        "hash": entry.address_hash.hex(),
        "stream": entry.stream,
        "reason": entry.reason.value,
        "since": iso(entry.since) or "",
        "until": iso(entry.until) or "",
        "evidence": _harmless(entry.evidence),
        "actor": _harmless(entry.actor),
    }


_FORMULA = ("=", "+", "-", "@")
_MADE_HARMLESS = tuple(f"'{first}" for first in _FORMULA)


def _harmless(text: str) -> str:
    """A cell that a spreadsheet would run as a formula is made text.  One line."""
    text = " ".join(text.split())
    return f"'{text}" if text.startswith(_FORMULA) else text


def _hash(address: str) -> bytes:
    try:
        return address_hash(parse(address).key)
    except AddressError as error:
        raise UsageError(f"{address}: {error}") from error


def _user() -> str:
    return f"{getpass.getuser()} (command line)"
