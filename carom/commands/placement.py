"""`carom placement`: seeds with their last results, and the share of probes in the inbox.

Reads the database, so that it works with and without a running service.  `--check` logs in to each
seed and says what is wrong; exit 1 if anything is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from analysis.lookup import iso
from analysis.placement import Place, newest_by_seed
from analysis.placement_api import summary
from carom.commands import ConfigOption, JsonOption
from carom.errors import CaromError
from carom.opening import with_store
from carom.placing import account
from carom.settings import Settings, load
from carom.settings.placement import Seed
from ingest.seed_account import Reason, SeedError
from ingest.seeds import check

MENDS = {
    Reason.CONNECT: "is imap its host:port, and does the way there stand open?",
    Reason.TLS: "is tls right for this port, and the certificate valid for this name?",
    Reason.LOGIN: "most providers want IMAP switched on and an application password",
    Reason.TIMEOUT: "is a firewall in between?",
    Reason.FOLDER: "name its inbox and junk folders as they are",
    Reason.PROTOCOL: "that is no IMAP server we understand",
}


def placement(
    checking: Annotated[
        bool, typer.Option("--check", help="Log in to each seed and say what is wrong.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where seed mailboxes filed our probes."""
    settings = load(config)
    if checking:
        _check(settings.placement.seeds, as_json=as_json)
        return
    found = with_store(settings, lambda store: store.read(lambda tx: _found(tx, settings)))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _show(found)


def _found(tx: Connection, settings: Settings) -> dict[str, Any]:
    given, now = settings.placement, time.time()
    newest = newest_by_seed(tx, [seed.name for seed in given.seeds])
    seeds = [_seed(seed, newest.get(seed.name)) for seed in given.seeds]
    return {"seeds": seeds, **summary(tx, now - given.window, now, limit=0)}


def _seed(seed: Seed, row: Any) -> dict[str, Any]:
    return {
        "name": seed.name,
        "address": seed.address,
        "provider": seed.provider,
        "last": None if row is None else row.placement,
        "sent_at": None if row is None else iso(row.sent_at),
    }


def _show(found: dict[str, Any]) -> None:
    if not found["seeds"]:
        typer.echo("no seeds: give some, [[placement.seeds]]")
    for seed in found["seeds"]:
        last = f"{seed['last']}, sent {seed['sent_at']}" if seed["last"] else "no result yet"
        typer.echo(f"{seed['name']:<20} {seed['provider']:<12} {seed['address']:<32} {last}")
    for one in found["providers"]:
        typer.echo(f"{one['provider']}: {_ratio(one)}")
    estimate = found["estimate"]
    typer.echo(f"in the inbox, all in all: {estimate['says']}")
    for words in estimate["rests_on"]:
        typer.echo(f"  rests on {words}")
    for words in estimate["cautions"]:
        typer.echo(f"  but: {words}")


def _ratio(one: dict[str, Any]) -> str:
    if one["ratio"] is None:
        return f"nothing known yet, {one['waiting']} awaited"
    span = f"{one['low']:.0%} to {one['high']:.0%}"
    return f"{one['inbox']} of {one['samples']} in the inbox, so {span} of all (95 %)"


def _check(seeds: Sequence[Seed], *, as_json: bool) -> None:
    wrong = 0
    for seed in seeds:
        answer = _checked(seed)
        wrong += not answer["ok"]
        typer.echo(json.dumps(answer, ensure_ascii=False) if as_json else _line(answer))
    if wrong:
        raise CaromError(f"{wrong} of {len(seeds)} seeds cannot be read")


def _checked(seed: Seed) -> dict[str, Any]:
    try:
        folders = check(account(seed))
    except SeedError as error:
        return {
            "seed": seed.name,
            "ok": False,
            "reason": error.reason.value,
            "error": str(error),
            "mend": MENDS[error.reason],
        }
    junk = [name for place, name in folders if place is Place.JUNK]
    return {"seed": seed.name, "ok": True, "inbox": folders[0][1], "junk": junk}


def _line(answer: dict[str, Any]) -> str:
    if not answer["ok"]:
        return f"{answer['seed']}: {answer['reason']}: {answer['error']}; {answer['mend']}"
    junk = ", ".join(answer["junk"]) or "none found: name it, junk = [...]"
    return f"{answer['seed']}: ok, inbox {answer['inbox']}, junk {junk}"
