"""`carom keys dkim` and `carom keys token`: keys made, taken into use with an overlap, and retired.

A DKIM key is activated only once the DNS shows its record; `--force` skips that.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import typer

from carom.commands import ConfigOption, JsonOption, group
from carom.errors import CaromError
from carom.examining import look_up
from carom.keyring import Keyring
from carom.settings import load_with_origins
from carom.setup import ascii_domain
from sender.dkim_keys import KeyKind, kind_of
from sender.doctor.finding import State
from sender.doctor.ours import PublishedKey
from sender.doctor.signatures import published

SelectorArgument = Annotated[str, typer.Argument(help="As `carom keys dkim list` shows it.")]
DomainOption = Annotated[str, typer.Option(help="Of the key; else [sender] domain.")]

app = group("Keys of DKIM signatures.")
token_app = group("Keys of return paths and unsubscribe links.")


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the keys: where they stand, and under which name they are published."""
    for key in Keyring.of(load_with_origins(config)).every():
        kind = kind_of(key.key).value
        since = None if key.since is None else _day(key.since).isoformat()
        told: dict[str, Any] = {"selector": key.selector, "domain": key.domain, "kind": kind}
        told |= {"state": key.state, "since": since, "name": key.name}
        line = f"{key.selector:12} {key.state:8} {since or '':10}  {kind:8} {key.name}"
        typer.echo(json.dumps(told) if as_json else line)


@app.command("new")
def new(
    kind: Annotated[KeyKind, typer.Option(help="RSA is read by everybody.")] = KeyKind.RSA,
    domain: DomainOption = "",
    selector: Annotated[str, typer.Option(help="Else the next free one.")] = "",
    config: ConfigOption = None,
) -> None:
    """Make a key, which waits and signs nothing, and show the record to publish."""
    loaded = load_with_origins(config)
    domain = ascii_domain("--domain", domain) if domain else ""
    made = Keyring.of(loaded).new_dkim(kind, domain, selector, _today())
    key = Keyring.of(load_with_origins(config)).find(made, domain or loaded.settings.sender.domain)
    typer.echo(f"Made {key.selector} for {key.domain}. Publish:\n")
    typer.echo(f"{key.record}\n")
    typer.echo(f"Once the DNS shows it: carom keys dkim activate {key.selector}")


@app.command("activate")
def activate(
    selector: SelectorArgument,
    domain: DomainOption = "",
    force: Annotated[bool, typer.Option("--force", help="Without looking at the DNS.")] = False,
    config: ConfigOption = None,
) -> None:
    """Sign with a key, once the DNS shows its record; the old one of its kind is retired."""
    loaded = load_with_origins(config)
    keyring = Keyring.of(loaded)
    key = keyring.find(selector, domain)
    if not force:
        _require_published(keyring, key)
    retired = keyring.activate(key, _today())
    typer.echo(f"{selector} signs for {key.domain} from the next start of `carom serve` on.")
    until = _today() + timedelta(days=loaded.settings.dkim.overlap_days)
    for one in retired:
        typer.echo(
            f"{one.selector} is retired. Keep {one.name} published until {until}: mail that it"
            f" signed may be verified until then. `carom doctor` says when to remove it."
        )


def _require_published(keyring: Keyring, key: PublishedKey) -> None:
    answer = asyncio.run(look_up(keyring.settings, key.name, "TXT"))
    there = published(key, answer)
    if there.state is not State.OK:
        raise CaromError(f"{there.seen()}; publish {key.record} or, knowing better, add --force")


@app.command("retire")
def retire(
    selector: SelectorArgument, domain: DomainOption = "", config: ConfigOption = None
) -> None:
    """Sign no more with a key; it stays published while mail that it signed is under way."""
    keyring = Keyring.of(load_with_origins(config))
    key = keyring.find(selector, domain)
    if key.state == "active" and not _others_sign(keyring, key):
        raise CaromError(
            f"{selector}: is the last key that signs for {key.domain}; activate another first"
        )
    keyring.move(key, "retired", _today())
    typer.echo(f"{selector} signs no more from the next start of `carom serve` on.")


def _others_sign(keyring: Keyring, key: PublishedKey) -> bool:
    return any(
        one.state == "active" and one.domain == key.domain and one.selector != key.selector
        for one in keyring.every()
    )


@app.command("forget")
def forget(
    selector: SelectorArgument, domain: DomainOption = "", config: ConfigOption = None
) -> None:
    """Take a retired key off the list, once its record is removed."""
    keyring = Keyring.of(load_with_origins(config))
    file = keyring.forget(keyring.find(selector, domain))
    typer.echo(f"{selector} is forgotten. Its file is left: {file}")


@token_app.command("list")
def list_tokens(config: ConfigOption = None) -> None:
    """List the token keys: the first one signs, all are believed."""
    for n, entry in enumerate(load_with_origins(config).settings.tokens.keys):
        typer.echo(f"{entry.id}  {'signs' if n == 0 else 'believed'}  {entry.file or '(settings)'}")


@token_app.command("rotate")
def rotate(config: ConfigOption = None) -> None:
    """Put a new token key in front; the old ones are believed until what they signed expires."""
    loaded = load_with_origins(config)
    made, file = Keyring.of(loaded).rotate_token(secrets.token_bytes)
    days = loaded.settings.tokens.lifetime_days
    typer.echo(f"Made token key {made}: {file}")
    typer.echo(
        "It signs from the next start on. With several nodes, copy it and keys.toml to all of them"
        " before any is restarted: a node without it refuses the bounces of the others."
    )
    typer.echo(f"Keys before it may be removed after {days} days, unsubscribe links after a year.")


def _today() -> date:
    return datetime.now(UTC).date()


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
