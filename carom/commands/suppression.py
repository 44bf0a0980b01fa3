"""`carom suppression`: the list of addresses not to write to, straight from the database.

Works with and without a running service.  Every change is audited under the name of the user.
"""

from __future__ import annotations

import asyncio
import csv
import getpass
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import typer
from rich.progress import Progress

from analysis import exchange
from analysis import suppression as listing
from analysis.address import AddressError, address_hash, parse
from analysis.lookup import suppression_view
from analysis.store import Store
from analysis.suppression import EVERY_STREAM, Lift, Reason, Suppression
from carom.commands import ConfigOption, JsonOption
from carom.errors import CaromError, UsageError
from carom.opening import with_store
from carom.paper import paper
from carom.settings import load

ReasonOption = Annotated[
    Reason | None,
    typer.Option(metavar="REASON", help=f"Only what is there for this: {', '.join(Reason)}."),
]
PAGE = 1_000
BATCH = 10_000
"""Lines of a file in one transaction."""

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
        actor=user(),
    )
    with_store(load(config), lambda store: store.write(lambda tx: listing.suppress(tx, [entry])))
    typer.echo(f"{address} is suppressed from now on")


def remove(
    address: Annotated[str, typer.Argument(help="The address to write to again.")],
    why: Annotated[str, typer.Option(help="The reason, kept in the audit.")],
    reason: ReasonOption = None,
    stream: StreamOption = None,
    config: ConfigOption = None,
) -> None:
    """Take an address off the list."""
    order = Lift(
        _hash(address),
        actor=user(),
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
    reason: ReasonOption = None,
    limit: Annotated[int, typer.Option(help="Most lines.", min=1)] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List entries, those that have run out too."""

    async def show(store: Store) -> None:
        shown = 0
        async for page in _pages(store, reason, min(limit, PAGE)):
            part = page[: limit - shown]
            shown += len(part)
            for line in exchange.lines(part, "ndjson" if as_json else "csv").decode().splitlines():
                typer.echo(line)
            if shown == limit:
                break

    with_store(load(config), show)


def export(
    file: Annotated[Path | None, typer.Argument(help="CSV or .ndjson; else CSV to stdout.")] = None,
    reason: ReasonOption = None,
    config: ConfigOption = None,
) -> None:
    """Write the whole list."""

    kind = _kind(file)

    async def write(store: Store, out: BinaryIO) -> int:
        out.write(exchange.header(kind))
        count = 0
        async for page in _pages(store, reason, PAGE):
            out.write(exchange.lines(page, kind))
            count += len(page)
        return count

    with file.open("wb") if file else nullcontext(sys.stdout.buffer) as out:
        count = with_store(load(config), lambda store: write(store, out))
    if file:
        typer.echo(f"{count} entries written to {file}")


def import_(
    file: Annotated[Path, typer.Argument(help="CSV, NDJSON or JSON, ours or of another service.")],
    format_: Annotated[
        str, typer.Option("--format", help=f"One of {', '.join(exchange.FORMATS)}.")
    ] = "auto",
    stream: Annotated[
        str, typer.Option("--stream", help="For lines that say none; `*`: every stream.")
    ] = EVERY_STREAM,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check only.")] = False,
    rejects: Annotated[
        Path | None, typer.Option(help="CSV of the lines refused; else to stderr.")
    ] = None,
    config: ConfigOption = None,
) -> int:
    """Put many addresses on the list; each line that cannot be taken is named.

    What SES, Postmark, SendGrid, Mailgun, SparkPost and Postal export is recognised by its columns;
    of others: address (or email), and if wanted reason, stream, until, evidence, as exported.
    """
    if format_ not in exchange.FORMATS:
        raise UsageError(f"--format {format_}: expected one of {', '.join(exchange.FORMATS)}")
    settings = load(config)
    terms = exchange.Terms(time.time(), user(), settings.suppression_limits(), _stream(stream))
    try:
        with (
            file.open("rb") as source,
            rejects.open("w", newline="") if rejects else nullcontext() as refused,
        ):
            tell = _told(file) if refused is None else _written(refused)
            intake = Intake(source, file.stat().st_size, terms, format_, tell)
            if dry_run:
                asyncio.run(intake.read(None))
            else:
                with_store(settings, intake.read)
    except OSError as error:
        raise UsageError(f"{error.filename or file}: {error.strerror}") from error
    done = "would be imported" if dry_run else "imported"
    typer.echo(f"{intake.taken} {done}, {intake.refused} refused")
    return 1 if intake.refused else 0


@dataclass(slots=True)
class Intake:
    """A file on its way onto the list, with a bar that shows how far it is."""

    source: BinaryIO
    size: int  # octets
    terms: exchange.Terms
    format_: str
    tell: Callable[[exchange.Refusal], None]
    taken: int = 0
    refused: int = 0

    async def read(self, store: Store | None) -> None:
        """Put the entries on the list; without a store only read them."""
        screen = paper(stderr=True)
        with Progress(transient=True, console=screen, disable=not screen.is_terminal) as progress:
            bar = progress.add_task("reading", total=self.size)
            found = exchange.read_list(self.source, self.terms, self.format_)
            for part in exchange.batches(found, BATCH):
                entries = [one for one in part if isinstance(one, Suppression)]
                for refusal in part:
                    if isinstance(refusal, exchange.Refusal):
                        self.refused += 1
                        self.tell(refusal)
                if store is not None:
                    await store.write(
                        lambda tx, new=entries: listing.suppress(tx, new, at=self.terms.now)  # type: ignore[misc]
                    )
                self.taken += len(entries)
                progress.update(bar, completed=self.source.tell())


def _told(file: Path) -> Callable[[exchange.Refusal], None]:
    return lambda one: typer.echo(f"{file}: line {one.line}: {one.why}", err=True)


def _written(out: TextIO) -> Callable[[exchange.Refusal], None]:
    table = csv.writer(out)
    table.writerow(["line", "error"])
    return lambda one: table.writerow([one.line, one.why])


def _stream(name: str) -> str:
    try:
        return exchange.checked_stream(name)
    except ValueError as error:
        raise UsageError(f"--stream {name}: {error}") from error


async def _pages(
    store: Store, reason: Reason | None, size: int
) -> AsyncIterator[list[Suppression]]:
    after = (b"", "", "")
    while page := await store.read(
        lambda tx, after=after: listing.browse(  # type: ignore[misc]
            tx, after=after, reason=reason and reason.value, limit=size
        )
    ):
        yield page
        last = page[-1]
        after = (last.address_hash, last.stream, last.reason.value)


def _kind(file: Path | None) -> str:
    return "ndjson" if file is not None and file.suffix == ".ndjson" else "csv"


def _hash(address: str) -> bytes:
    try:
        return address_hash(parse(address).key)
    except AddressError as error:
        raise UsageError(f"{address}: {error}") from error


def user() -> str:
    """Who acts, for the audit."""
    return f"{getpass.getuser()} (command line)"
