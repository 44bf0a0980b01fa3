"""One module a command; imported only when it is asked for.  Here: what many of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

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


_PLACEHOLDERS = {"str": "TEXT", "path": "FILE", "int": "N", "float": "N"}
_PLACEHOLDERS |= {f"{kind} range": "N" for kind in ("int", "float")}


class Plain(TyperCommand):
    """A command whose help names values as man pages do: `--to TEXT`, `FILE`."""

    def get_params(self, ctx: Any) -> list[Any]:
        found: list[Any] = list(super().get_params(ctx))
        for one in found:
            if one.metavar is None and (shown := one.display_type(ctx)):
                kind = shown.strip("<>").removeprefix("list[").rstrip("]>").lower()
                name = one.name if one.param_type_name == "argument" else kind
                if kind in _PLACEHOLDERS:
                    one.metavar = _PLACEHOLDERS.get(name, name.upper())
        return found


def group(about: str) -> typer.Typer:
    """An application or a group of commands, with our habits."""
    return typer.Typer(
        help=about,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: loading rich takes longer than all the rest
        context_settings={"help_option_names": ["-h", "--help"]},
    )
