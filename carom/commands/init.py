"""`carom init`: a set-up that runs as it is, and the DNS records that take it into the world."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from carom import setup
from carom.records import listing, records
from carom.settings import load
from carom.settings.keyfiles import dkim_keys


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write to; made if missing.")
    ],
    domain: Annotated[str, typer.Option(help="What mail is from, such as example.com.")],
    bounce_domain: Annotated[
        str, typer.Option(help="Where bounces come back to; bounces.DOMAIN if not given.")
    ] = "",
    hostname: Annotated[
        str, typer.Option(help="This host's public name; mta.DOMAIN if not given.")
    ] = "",
) -> None:
    """Write settings, DKIM keys, a token key and an API key; show the DNS records to publish."""
    names = setup.plan(domain, bounce_domain, hostname)
    file = setup.write(directory, names, secrets.token_bytes)
    settings = load(file, environ={})
    typer.echo(f"Written: {file}, with its keys beside it.")
    typer.echo(f"The API key, with every scope: {directory / setup.API_KEY}\n")
    typer.echo("DNS records to publish:\n")
    typer.echo(listing(records(settings, dkim_keys(settings))))
    typer.echo("Next:")
    typer.echo(f"  1. Start it, on loopback:  carom serve --config {file}")
    typer.echo(f"  2. Publish the records; as a zone file:  carom dns --zone --config {file}")
    typer.echo(f"  3. See whether all is well:  carom doctor --config {file}")
