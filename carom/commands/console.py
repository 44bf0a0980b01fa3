"""`carom console link`: a link that lets one person into the console, once, within ten minutes."""

from __future__ import annotations

import secrets
import time
from getpass import getuser
from typing import Annotated

import typer
from sqlalchemy import Connection

from analysis import sessions
from analysis.keys import SCOPES
from analysis.sessions import Guest
from carom.commands import ConfigOption
from carom.errors import UsageError
from carom.opening import with_store
from carom.settings import Settings, load


def link(
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help=f"One of {', '.join(SCOPES)}; may be repeated."),
    ] = None,
    scopes: Annotated[
        str, typer.Option(help="The same, separated by commas; without any: read, suppress, send.")
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Print a link that lets one person into the console, once, within ten minutes."""
    settings = load(config)
    if not settings.console.enabled:
        raise UsageError("[console] enabled: the console is turned off in the settings")
    named = [one.strip() for one in scopes.split(",") if one.strip()]
    wanted = frozenset([*(scope or []), *named]) or frozenset({"read", "suppress", "send"})
    guest = Guest(f"link of {_who()}", wanted)
    token = sessions.new_token(secrets.token_bytes)
    now = time.time()
    try:
        with_store(settings, lambda store: store.write(lambda tx: _make(tx, token, guest, now)))
    except ValueError as error:
        raise UsageError(str(error)) from error
    typer.echo(f"{where(settings)}/console/link/{token}")


def where(settings: Settings, port: int | None = None) -> str:
    """Where people reach the service: the public URL, or the listener itself."""
    listen = settings.api.listen
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    if host in ("0.0.0.0", "[::]"):  # noqa: S104  nobody listens here, it is only shown
        host = "127.0.0.1"
    scheme = "http" if settings.api.tls is None else "https"
    return settings.api.public_url.rstrip("/") or f"{scheme}://{host}:{port or listen.port}"


def _make(tx: Connection, token: str, guest: Guest, now: float) -> None:
    sessions.make_link(tx, token, guest, now=now)


def _who() -> str:
    try:
        return getuser()
    except (OSError, KeyError):  # a user without a name, as in a container
        return "the operator"
