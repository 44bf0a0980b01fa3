"""`carom trace`: what became of a message, or of mail to an address, in plain words.

Reads the database, so that it works with and without a running service.
"""

from __future__ import annotations

import json
import re
import time
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, select

from analysis import incident_view, incidents, lookup
from analysis.address import AddressError, address_hash, parse
from analysis.explain import Language, explain
from analysis.schema import deliveries
from analysis.suppression import standing
from carom.commands import ConfigOption, JsonOption
from carom.errors import CaromError, UsageError
from carom.opening import with_store
from carom.settings import load

_ID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}", re.ASCII)
RECENT = 10

LangOption = Annotated[str, typer.Option(help="en or zh.")]


def trace(
    what: Annotated[
        str, typer.Argument(metavar="ADDRESS_OR_ID", help="An address, a message or a delivery.")
    ],
    lang: LangOption = "en",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what became of a message, or of mail to an address, with advice."""
    if lang not in ("en", "zh"):
        raise UsageError(f"--lang {lang}: expected en or zh")
    settings = load(config)
    if _ID.fullmatch(what.lower()):
        found = with_store(
            settings, lambda store: store.read(lambda tx: _message(tx, what.lower()))
        )
        show = _show_message
    else:
        hashed = _hash(what)
        now = time.time()
        found = with_store(
            settings, lambda store: store.read(lambda tx: _address(tx, what, hashed, now, lang))
        )
        show = _show_address
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        show(found)


def _message(tx: Connection, given: str) -> dict[str, Any]:
    owner = select(deliveries.c.message_id).where(deliveries.c.id == given)
    message_id = tx.execute(owner).scalar() or given
    message = lookup.message(tx, message_id)
    if message is None:
        raise CaromError(f"{given}: no such message or delivery; it may have been too long ago")
    return {"message": message, "timeline": lookup.timeline(tx, message_id)}


def _address(tx: Connection, address: str, hashed: bytes, now: float, lang: str) -> dict[str, Any]:
    entries = standing(tx, [hashed], now).get(hashed, [])
    newest = lookup.newest_delivery(tx, hashed)
    language: Language = "zh" if lang == "zh" else "en"
    told = explain(address, newest, entries, lang=language, now=now)
    told["incident"] = incident_view.told(incidents.awaited(tx, newest), language)
    return {**told, "recent": lookup.search(tx, address_hash=hashed, limit=RECENT)}


def _show_message(found: dict[str, Any]) -> None:
    message = found["message"]
    typer.echo(f"{message['subject']!r} from {message['from']}, stream {message['stream']}")
    for delivery in message["deliveries"]:
        typer.echo(f"  to {delivery['recipient']}: {delivery['state']}{_waits(delivery)}")
    typer.echo("")
    for fact in found["timeline"]:
        typer.echo(f"{fact['at']}  {_fact(fact)}")


def _waits(delivery: dict[str, Any]) -> str:
    """Why a delivery waits and until when, if it does."""
    if delivery["state"] != "queued":
        return ""
    said = f": {delivery['last_reply']['text']}" if delivery["last_reply"] else ""
    return f"{said}, next try {delivery['next_at']}"


def _fact(fact: dict[str, Any]) -> str:
    """One line: what happened, to whom, in the remote system's own words."""
    about = f" {fact['recipient']}" if fact.get("recipient") else ""
    if fact["kind"] == "accepted":
        return f"accepted for sending, stream {fact['stream']}"
    if fact["kind"] == "attempt":
        via = f" by {fact['host']} ({fact['address']})" if fact.get("host") else ""
        tls = f", {fact['tls']}" if fact.get("tls") else ""
        again = f"; next try {fact['next_at']}" if fact.get("next_at") else ""
        return f"attempt {fact['attempt']}{about}: {fact['result']}{via}{tls}{_words(fact)}{again}"
    return f"{fact['kind']}{about}{_words(fact)}{_why(fact)}"


def _words(fact: dict[str, Any]) -> str:
    said = " ".join(str(fact[k]) for k in ("code", "enhanced", "text") if fact.get(k))
    judged = f" [{fact['category']}, {fact['fault']}]" if fact.get("category") else ""
    return (f": {said}" if said else "") + judged


def _why(fact: dict[str, Any]) -> str:
    return f" ({fact['reason']})" if fact.get("reason") else ""


_AUDIENCES = {"user": "the user", "support": "support", "developer": "developers"}


def _show_address(found: dict[str, Any]) -> None:
    typer.echo(found["sentence"])
    typer.echo(f"{found['recipient']}: {found['verdict']}. {found['cause']}")
    if found["incident"]:
        typer.echo(f"  {found['incident']['text']}")
    if found["evidence"]:
        typer.echo(f"  evidence: {found['evidence']}")
    if found["next_attempt"]:
        typer.echo(f"  next try: {found['next_attempt']}")
    for audience, words in found["advice"].items():
        typer.echo(f"  for {_AUDIENCES[audience]}: {words}")
    if found["recent"]:
        typer.echo("")
    for one in found["recent"]:
        line = f"{one['created_at']}  {one['message_id']}  {one['state']:<10} {one['subject']}"
        typer.echo(line)


def _hash(address: str) -> bytes:
    try:
        return address_hash(parse(address).key)
    except AddressError as error:
        raise UsageError(f"{address}: neither an address ({error}) nor an id") from error
