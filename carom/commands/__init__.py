"""One module a command; imported only when it is asked for.  Here: what many of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Settings file; else $CAROM_CONFIG, else ./carom.toml.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON, one object a line.")]


def group(about: str) -> typer.Typer:
    """An application or a group of commands, with our habits."""
    return typer.Typer(
        help=about,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: loading rich takes longer than all the rest
        context_settings={"help_option_names": ["-h", "--help"]},
    )
