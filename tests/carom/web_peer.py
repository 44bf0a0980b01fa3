"""What the tests of the HTTP API share: an engine on an empty database, and a client to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from fastapi import FastAPI
from sqlalchemy import Connection

from carom import assembly, setup
from carom.engine import Engine
from carom.settings import load
from carom.web import create_app
from tests import moulds
from tests.carom.conforming import Conforming

T = TypeVar("T")

URL = "http://carom.example"


@dataclass(frozen=True, slots=True)
class Web:
    """A client that holds every scope, the application and the engine behind it."""

    client: httpx2.AsyncClient
    app: FastAPI
    engine: Engine
    key: str

    async def post(self, path: str, body: Any, headers: Any = None) -> httpx2.Response:
        return await self.client.post(path, json=body, headers=headers)

    async def get(self, path: str, query: Any = None) -> httpx2.Response:
        return await self.client.get(path, params=query)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What the database holds."""
        return await self.engine.store.read(work)


def on(database_url: str) -> dict[str, str]:
    """The environment that puts the settings on this database."""
    return {"CAROM_DATABASE__URL": database_url.replace("+asyncpg", "")}


def made(folder: Path, **environ: str) -> tuple[Any, str]:
    """Settings as `carom init` writes them, with the environment over them, and the API key."""
    settings = load(moulds.set_up(folder, "example.com", "bounces.example.com"), environ)
    moulds.lay_down(settings.database.url)
    return settings, (folder / setup.API_KEY).read_text().strip()


@asynccontextmanager
async def web(folder: Path, **environ: str) -> AsyncIterator[Web]:
    """The application on the settings of `made`, by ASGI, without a socket.

    Every answer is held against the OpenAPI document.
    """
    settings, key = made(folder, **environ)
    async with await assembly.build(settings) as parts:
        app = create_app(parts)
        async with httpx2.AsyncClient(
            transport=Conforming(app), base_url=URL, headers={"Authorization": f"Bearer {key}"}
        ) as client:
            yield Web(client, app, parts, key)
