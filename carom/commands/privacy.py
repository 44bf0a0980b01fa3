"""`carom privacy`: give a person what is kept of them, or erase it, straight from the database."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from analysis import privacy
from analysis.address import Address, AddressError, address_hash, parse
from analysis.erase import erase as erase_from
from analysis.keyed_hash import NoKey
from analysis.store import Store
from carom.commands import ConfigOption
from carom.commands.suppression import user
from carom.errors import SettingsError, UsageError
from carom.opening import with_store
from carom.settings import load

AddressArgument = Annotated[str, typer.Argument(help="The person's address.")]


def export(
    address: AddressArgument,
    file: Annotated[Path | None, typer.Argument(help="Else to stdout.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write everything that is kept of an address as JSON."""
    mailbox, settings = _read(address), load(config)

    async def write(store: Store) -> None:
        with file.open("wb") if file else nullcontext(sys.stdout.buffer) as out:
            async for piece in privacy.export(store, mailbox, time.time()):
                out.write(piece)

    try:
        with_store(settings, write)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error


def erase(
    address: AddressArgument,
    why: Annotated[str, typer.Option(help="The reason, kept in the audit.")],
    config: ConfigOption = None,
) -> int:
    """Erase what is kept of an address; what withholds mail from it stays, by a keyed hash.

    Exit code 1 if mail to it is on the wire right now: erase again then.
    """
    mailbox, now = _read(address), time.time()
    hashed = address_hash(mailbox.key)
    try:
        done = with_store(
            load(config),
            lambda store: store.write(
                lambda tx: erase_from(
                    tx, hashed, now=now, actor=user(), why=why, named=mailbox.wire
                )
            ),
        )
    except NoKey as error:
        raise SettingsError(str(error)) from error
    typer.echo(
        f"erased: {done.deliveries} deliveries ({done.cancelled} cancelled);"
        f" {done.suppressions} suppressions go on withholding"
    )
    if done.in_flight:
        typer.echo(f"{done.in_flight} are on the wire right now: erase again in a while", err=True)
    return 1 if done.in_flight else 0


def _read(address: str) -> Address:
    try:
        return parse(address)
    except AddressError as error:
        raise UsageError(f"{address}: {error}") from error
