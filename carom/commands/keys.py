"""`carom keys`: API keys, made, listed and revoked.  A key is shown once, when it is made."""

from __future__ import annotations

import secrets
import time
from typing import Annotated

import typer
from sqlalchemy import Connection

from analysis import audit, keys
from analysis.keys import SCOPES
from carom.commands import ConfigOption
from carom.commands.suppression import user
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

    def work(tx: Connection) -> None:
        keys.add(tx, made.key, now=now)
        _note(tx, "key.add", made.key.id, now, {"name": name, "scopes": sorted(made.key.scopes)})

    with_store(load(config), lambda store: store.write(work))
    typer.echo(made.text)


def list_(config: ConfigOption = None) -> None:
    """List the keys that stand: those of the settings, and those of the database."""
    settings = load(config)
    found = with_store(settings, lambda store: store.read(keys.standing))
    for fixed in settings.api.keys:
        typer.echo(f"{fixed.id}  {fixed.name}  {' '.join(sorted(fixed.scopes))}  (settings)")
    for key in sorted(found.values(), key=lambda key: key.name):
        typer.echo(f"{key.id}  {key.name}  {' '.join(sorted(key.scopes))}")


def revoke(
    key_id: Annotated[str, typer.Argument(help="The id, as `carom keys list` shows it.")],
    config: ConfigOption = None,
) -> None:
    """Revoke a key; it is refused within seconds."""
    settings, now = load(config), time.time()
    if key_id in {key.id for key in settings.api.keys}:
        raise CaromError(
            f"key {key_id} stands in the settings: take its line out of [api] keys, start again"
        )

    def work(tx: Connection) -> bool:
        gone = keys.revoke(tx, key_id, now=now)
        if gone:
            _note(tx, "key.revoke", key_id, now, {})
        return gone

    if not with_store(settings, lambda store: store.write(work)):
        raise CaromError(f"no key {key_id} stands in the database; see `carom keys list`")
    typer.echo(f"revoked {key_id}")


def _note(tx: Connection, action: str, key_id: str, now: float, data: dict[str, object]) -> None:
    row = {"at": now, "actor": user(), "action": action, "subject": key_id}
    audit.note(tx, [{**row, "reason": "on the command line", "data": data}])
