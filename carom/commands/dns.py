"""`carom dns`: the records to publish, for people, as a zone fragment or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from carom import policy_host
from carom.commands import ConfigOption, JsonOption
from carom.errors import SettingsError
from carom.records import listing, records
from carom.records import zone as as_zone
from carom.settings import load
from carom.settings.keyfiles import published_keys


def dns(
    config: ConfigOption = None,
    zone: Annotated[bool, typer.Option("--zone", help="A fragment for a zone file.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the DNS records to publish."""
    settings = load(config)
    if not settings.sender.domain:
        raise SettingsError("[sender] domain: is not set; `carom init` writes a set-up with it")
    found = records(settings, published_keys(settings))
    if as_json:
        for record in found:
            typer.echo(json.dumps(asdict(record), ensure_ascii=False))
    elif zone:
        typer.echo(as_zone(found), nl=False)
    else:
        typer.echo(listing(found))
        where = f"https://{policy_host.host(settings)}{policy_host.PATH}"
        typer.echo(f"{where}  (optional; served by the API, with the _mta-sts record)")
        lines = policy_host.policy(settings).splitlines()
        typer.echo("".join(f"    {line}\n" for line in lines), nl=False)
