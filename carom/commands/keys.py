"""`carom keys`: API keys, made, listed and revoked.  A key is shown once, when it is made."""

from __future__ import annotations

import secrets
import time
from typing import Annotated

import typer

from analysis import keys
from analysis.keys import SCOPES
from carom.commands import ConfigOption
from carom.errors import CaromError, UsageError
from carom.opening import with_store
from carom.settings import load


def add(
    name: Annotated[str, typer.Argument(help="Who will use it; shown in the audit.")],
    scope: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(SCOPES)}; may be repeated.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make an API key and show it, for the only time."""
    try:
        made = keys.make(name, scope or ["send", "read"], secrets.token_bytes)
    except ValueError as error:
        raise UsageError(str(error)) from error
    now = time.time()
    with_store(load(config), lambda store: store.write(lambda tx: keys.add(tx, made.key, now=now)))
    typer.echo(made.text)


def list_(config: ConfigOption = None) -> None:
    """List the keys of the database that stand; those of the settings are in the file."""
    found = with_store(load(config), lambda store: store.read(keys.standing))
    for key in sorted(found.values(), key=lambda key: key.name):
        typer.echo(f"{key.id}  {key.name}  {' '.join(sorted(key.scopes))}")


def revoke(
    key_id: Annotated[str, typer.Argument(help="The id, as `carom keys list` shows it.")],
    config: ConfigOption = None,
) -> None:
    """Revoke a key; it is refused within seconds."""
    now = time.time()
    gone = with_store(
        load(config),
        lambda store: store.write(lambda tx: keys.revoke(tx, key_id, now=now)),
    )
    if not gone:
        raise CaromError(f"no key {key_id} stands in the database; see `carom keys list`")
    typer.echo(f"revoked {key_id}")
