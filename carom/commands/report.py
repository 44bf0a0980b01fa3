"""`carom report`: how mail did, against the week before; in the terminal, or as a page with plots.

Reads the database, so that it works with and without a running service.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from carom.commands import ConfigOption
from carom.commands.replay import moment
from carom.console.words import DEFAULT, LANGUAGES
from carom.errors import UsageError
from carom.opening import with_store
from carom.paper import paper
from carom.report import terminal
from carom.report.figures import DAY, gather
from carom.report.page import page
from carom.settings import load

LONGEST = 400 * DAY


def report(
    since: Annotated[
        str, typer.Option(metavar="T", help="A date or time (ISO 8601, UTC) or how long ago.")
    ] = "7d",
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with plots.")
    ] = None,
    lang: Annotated[str, typer.Option(help=f"Of the page: {' or '.join(LANGUAGES)}.")] = DEFAULT,
    config: ConfigOption = None,
) -> None:
    """Show how mail did: rates, bounces, times, complaints, against the week before."""
    if lang not in LANGUAGES:
        raise UsageError(f"--lang {lang}: expected {' or '.join(LANGUAGES)}")
    now = time.time()
    start = moment(since, now)
    if not now - LONGEST <= start < now:
        raise UsageError(f"--since {since}: expected a time in the last 400 days")
    figures = with_store(load(config), lambda store: store.read(lambda tx: gather(tx, start, now)))
    if html is None:
        terminal.show(figures, paper(highlight=False))
        return
    try:
        html.write_text(page(figures, lang), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--html {html}: cannot be written: {error.strerror}") from error
    typer.echo(f"{html}: {terminal.headline(figures)}")
