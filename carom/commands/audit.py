"""`carom audit`: whether the record of who changed what still says what it said."""

from __future__ import annotations

from typing import Annotated

import typer

from analysis import audit
from analysis.store import Store
from carom.commands import ConfigOption
from carom.errors import UsageError
from carom.opening import with_store
from carom.settings import load


def verify(
    head: Annotated[str, typer.Option(help="A hash noted earlier: is it still in the chain?")] = "",
    config: ConfigOption = None,
) -> int:
    """Check every link of the audit; exit code 1 if one does not hold.

    Prints the newest hash.  Keep it elsewhere, and give it as --head next time: then not even who
    can write to the database can take rows off the end, or write all of them anew.
    """
    wanted = _hash(head)
    check, newest = with_store(load(config), lambda store: _verified(store, wanted))
    for fault in check.faults:
        typer.echo(f"row {fault.seq}: {fault.what}", err=True)
    if not check.found:
        typer.echo(f"the hash {head} is not in the chain", err=True)
    good = check.found and not check.faults
    typer.echo(
        f"{check.rows} rows, {check.erased} of them erased, {check.older} older than the chain:"
        f" {'every link holds' if good else 'the chain is broken'}"
    )
    typer.echo(f"newest hash: {newest.hex()}")
    return 0 if good else 1


async def _verified(store: Store, wanted: bytes | None) -> tuple[audit.Verifier, bytes]:
    start = await store.read(audit.anchor)
    check, after = audit.Verifier(start, looked_for=wanted), 0 if start is None else start.seq
    while rows := await store.read(
        lambda tx, after=after: audit.rows_after(tx, after, audit.PAGE)  # type: ignore[misc]
    ):
        check.read(rows)
        after = rows[-1].seq
    check.end()
    return check, check.last


def _hash(text: str) -> bytes | None:
    if not text:
        return None
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise UsageError(f"--head {text}: expected 64 hexadecimal digits, as printed by verify")
    return found
