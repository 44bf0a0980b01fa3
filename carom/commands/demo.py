"""`carom demo`: everything in one process, on a throw-away database, against real SMTP."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from carom import logs
from carom.demo.run import demo as run
from carom.errors import CaromError
from carom.paper import paper


def demo(
    messages: Annotated[int, typer.Option(help="How many.", min=1, max=100_000)] = 1_000,
    serve: Annotated[bool, typer.Option("--serve", help="Stay up afterwards.")] = False,
) -> int:
    """Send, bounce, understand, suppress, measure: on loopback, with misbehaving providers."""
    logs.configure("error", "console", sys.stderr)
    try:
        return 0 if asyncio.run(run(messages, serve, paper())) else 1
    except asyncio.CancelledError:
        raise CaromError("the demo was stopped before its end") from None
