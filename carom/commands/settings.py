"""`carom settings`: the settings in force, secrets masked, with where each comes from."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from carom.commands import ConfigOption, JsonOption
from carom.settings import load_with_origins
from carom.settings.show import as_markdown, as_objects, as_toml


def settings(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Every key with default, unit and reason.")
    ] = False,
) -> None:
    """Show the settings in force, secrets masked, and where each comes from."""
    if markdown:
        typer.echo(as_markdown(), nl=False)
        return
    loaded = load_with_origins(config)
    if as_json:
        for entry in as_objects(loaded):
            typer.echo(json.dumps(entry, ensure_ascii=False))
    else:
        typer.echo(as_toml(loaded))
