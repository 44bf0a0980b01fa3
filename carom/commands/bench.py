"""`carom bench`: one benchmark or all; each line a ratio measured in this run on this machine."""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import Annotated

import typer

from carom import logs
from carom.bench.figure import Figure
from carom.commands import JsonOption
from carom.errors import UsageError

BENCHES = ("classify", "submit", "send", "urgent", "ingest", "lookup", "metrics")
LONG = ("queue",)
"""Run by name only: a minute or more each."""


def bench(
    name: Annotated[str, typer.Argument(help=f"{', '.join(BENCHES + LONG)}, or all.")] = "all",
    as_json: JsonOption = False,
) -> None:
    """Measure; compare with a peer or a limit measured in the same run."""
    if name not in (*BENCHES, *LONG, "all"):
        raise UsageError(f"no benchmark {name}; there are {', '.join(BENCHES + LONG)} and all")
    logs.configure("error", "console")
    if not as_json:
        typer.echo(f"{os.cpu_count()} cores; trust ratios more than rates")
    for chosen in BENCHES if name == "all" else (name,):
        figures: list[Figure] = import_module(f"carom.bench.{chosen}").bench()
        for figure in figures:
            typer.echo(json.dumps(figure.as_json()) if as_json else str(figure))
