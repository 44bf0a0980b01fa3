"""`carom incidents`: trouble with receivers, and decisions about what the breaker held back.

Reads and writes the database, so that it works with and without a running service.  Decisions are
audited under the name of the user.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer
from sqlalchemy import Connection

from analysis import held, incident_api, incidents
from analysis.incident_api import decide, shown
from analysis.incident_view import view
from analysis.problem import Problem
from carom.commands import ConfigOption, JsonOption
from carom.commands.suppression import user
from carom.errors import CaromError, UsageError
from carom.opening import with_store
from carom.settings import load

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `carom incidents list` says it.")]
WhyOption = Annotated[str, typer.Option(help="The reason, kept in the audit.")]


def list_(
    state: Annotated[str, typer.Option(help="open, closed or all.")] = "open",
    limit: Annotated[int, typer.Option(help="Most lines.", min=1)] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List incidents, the newest first."""
    if state not in ("open", "closed", "all"):
        raise UsageError(f"--state {state}: expected open, closed or all")
    wanted = None if state == "all" else state

    def work(tx: Connection) -> list[dict[str, Any]]:
        rows = incidents.browse(tx, state=wanted, limit=limit)
        return [view(row, held=held.count(tx, row.id)) for row in rows]

    found = with_store(load(config), lambda store: store.read(work))
    for one in found:
        typer.echo(json.dumps(one, ensure_ascii=False) if as_json else _line(one))
    if not found and not as_json:
        typer.echo("no incident is open" if state == "open" else "there are none")


def show(
    incident_id: IdArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an incident: what it rests on, and what to do."""
    with _told(incident_id):
        found = with_store(
            load(config), lambda store: store.read(lambda tx: shown(tx, incident_id.lower()))
        )
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    typer.echo(_line(found))
    typer.echo(f"  {found['advice']['en']}")
    for window in found["evidence"].get("windows", ()):
        told = ", ".join(f"{name} {value}" for name, value in window.items())
        typer.echo(f"  within {told}")
    for reply in found["evidence"].get("replies", ()):
        typer.echo(f"  {reply['seen']} times: {reply['text']} [{reply['category']}]")


def release(incident_id: IdArgument, why: WhyOption = "", config: ConfigOption = None) -> None:
    """Suppress the addresses that are held back: the refusals were right."""
    done = _decide(incident_id, "release", why, config)
    typer.echo(f"{done['suppressed']} of {done['held']} held addresses are suppressed now")


def drop(incident_id: IdArgument, why: WhyOption = "", config: ConfigOption = None) -> None:
    """Forget the suppressions that are held back: the refusals were wrong."""
    done = _decide(incident_id, "drop", why, config)
    typer.echo(f"{done['held']} held suppressions are forgotten")


def close(incident_id: IdArgument, why: WhyOption = "", config: ConfigOption = None) -> None:
    """End an incident by hand; it does not open again for a day."""
    reason = why or "closed on the command line"
    with _told(incident_id):
        with_store(
            load(config),
            lambda store: store.write(
                lambda tx: incident_api.close(
                    tx, incident_id.lower(), actor=user(), why=reason, now=time.time()
                )
            ),
        )
    typer.echo(f"{incident_id} is closed")


@contextmanager
def _told(incident_id: str) -> Iterator[None]:
    """A problem as an error of the command line."""
    try:
        yield
    except Problem as problem:
        raise CaromError(
            f"{incident_id}: {problem.detail}; see `carom incidents list --state all`"
        ) from problem


def _decide(
    incident_id: str, what: Literal["release", "drop"], why: str, config: Any
) -> dict[str, int]:
    with _told(incident_id):
        return with_store(
            load(config),
            lambda store: decide(
                store,
                incident_id.lower(),
                what,
                actor=user(),
                why=why or f"{what} on the command line",
                now=time.time(),
            ),
        )


def _line(one: dict[str, Any]) -> str:
    end = f", closed {one['closed_at']}: {one['closed_why']}" if one["state"] == "closed" else ""
    again = f", opened again {one['reopened']} times" if one["reopened"] else ""
    kept = f", {one['held_suppressions']} held" if one["held_suppressions"] else ""
    return f"{one['id']}  {one['since']}  {one['title']['en']}{again}{kept}{end}"
