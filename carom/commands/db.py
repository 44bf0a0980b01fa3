"""`carom db upgrade`: bring the database to the newest schema.  `carom serve` does so by itself."""

from __future__ import annotations

import typer

from analysis.migrate import newest
from analysis.store import Store
from carom.commands import ConfigOption
from carom.opening import with_store
from carom.settings import load
from carom.settings.keys import mask_url


def upgrade(config: ConfigOption = None) -> None:
    """Bring the database to the newest schema."""
    settings = load(config)

    async def nothing(_: Store) -> None:
        """Opening it was all there was to do."""

    with_store(settings, nothing)
    typer.echo(f"{mask_url(settings.database.url)} is at revision {newest()}")
