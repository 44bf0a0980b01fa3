"""A whole Carom for a story: set up by `carom init`'s own hands, all roles, real ports.

    async with carom_house(tmp_path, database_url, mx=postfix.port) as carom:
        order = await carom.submit("ann@known.example")
        await carom.becomes(order, "delivered")

Every domain's mail goes to the one host on loopback that the story names.  What a story asks and
submits goes through the HTTP API, as any user's would; `books` looks into the tables, for claims
that no API makes.  Nothing sleeps: `until` asks again until the answer is yes or patience ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx
import structlog
from sqlalchemy import Connection, select

from analysis.schema import deliveries, events, raw_inbound, reports, suppressions
from carom import logs, setup
from carom.assembly import build
from carom.engine import Engine
from carom.role import ALL
from carom.roles import Bound, running
from carom.settings import Settings, load
from ingest import inbox
from tests import moulds
from tests.servers import LOOPBACK

Json = dict[str, Any]
T = TypeVar("T")

DOMAIN = "example.com"
BOUNCES = "bounces.example.com"
SHOP = "Shop <shop@example.com>"
PATIENCE = 60.0
_ASK_AGAIN_SECONDS = 0.02


async def until(ask: Callable[[], Awaitable[T]], within: float = PATIENCE) -> T:
    """The first answer that is true; TimeoutError with the last one after `within` seconds."""
    give_up = time.monotonic() + within
    while not (answer := await ask()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"still {answer!r} after {within:g} s")
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
    return answer


@dataclass(frozen=True, slots=True)
class Sent:
    """One accepted message to one recipient."""

    message_id: str
    delivery_id: str
    recipient: str
    answer: Json


@dataclass(frozen=True, slots=True)
class House:
    engine: Engine
    bound: Bound
    config: Path
    client: httpx.AsyncClient  # carries the API key

    async def submit(
        self, recipient: str, *, subject: str = "Your order", text: str = "It is on its way.\n"
    ) -> Sent:
        """One message over the API, which must accept it."""
        [sent] = await self.submit_each([recipient], subject=subject, text=text)
        return sent

    async def submit_each(self, recipients: Sequence[str], **fields: str) -> list[Sent]:
        """A message for each, over the API, at once."""
        return list(await asyncio.gather(*(self._submit(to, fields) for to in recipients)))

    async def _submit(self, recipient: str, fields: dict[str, str]) -> Sent:
        body = {"from": SHOP, "to": [recipient], "subject": "Your order", "text": "Hello.\n"}
        answer = await self.client.post("/v1/messages", json=body | fields)
        assert answer.status_code == 202, answer.text
        [delivery] = answer.json()["deliveries"]
        return Sent(answer.json()["id"], delivery["id"], recipient, delivery)

    async def delivery(self, sent: Sent) -> Json:
        """What the API says of the delivery now."""
        answer = await self.client.get(f"/v1/messages/{sent.message_id}")
        assert answer.status_code == 200, answer.text
        [found] = [d for d in answer.json()["deliveries"] if d["id"] == sent.delivery_id]
        return dict(found)

    async def state(self, sent: Sent) -> str:
        return str((await self.delivery(sent))["state"])

    async def becomes(self, sent: Sent, state: str, within: float = PATIENCE) -> Json:
        """Wait until the delivery is in this state; what the API says of it then."""

        async def is_it() -> bool:
            return await self.state(sent) == state

        try:
            await until(is_it, within)
        except TimeoutError:
            raise AssertionError(f"not {state}: {await self.delivery(sent)}") from None
        return await self.delivery(sent)

    async def suppression(self, address: str) -> Json:
        """What the API says of this address."""
        answer = await self.client.get(f"/v1/suppressions/{address}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def becomes_suppressed(self, address: str, within: float = PATIENCE) -> Json:
        async def is_it() -> Json | None:
            found = await self.suppression(address)
            return found if found["suppressed"] else None

        return await until(is_it, within) or {}

    async def books(self, work: Callable[[Connection], T]) -> T:
        """The answer of the tables themselves."""
        return await self.engine.store.read(work)

    async def return_path(self, sent: Sent) -> str:
        """The VERP address of the delivery, which only the receiving host gets to see."""
        wanted = select(deliveries.c.return_path).where(deliveries.c.id == sent.delivery_id)
        return str(await self.books(lambda tx: tx.execute(wanted).scalar_one()))

    async def reported(self, count: int, within: float = PATIENCE) -> list[Json]:
        """Wait until `count` facts were read from mail that came back; these, in order."""

        async def are_there() -> list[Json]:
            found = await self.books(_reports)
            return found if len(found) >= count else []

        return await until(are_there, within)

    async def all_read(self) -> None:
        """Wait until everything that the listener took was read."""

        async def is_it() -> bool:
            return await self.books(inbox.unread) == 0

        await until(is_it)

    async def metrics(self) -> str:
        """What Prometheus would scrape now."""
        answer = await self.client.get(f"http://{LOOPBACK}:{self.bound.metrics}/metrics")
        assert answer.status_code == 200, answer.text
        return str(answer.text)


def _reports(tx: Connection) -> list[Json]:
    return [dict(row._mapping) for row in tx.execute(select(reports).order_by(reports.c.at))]


def events_of(tx: Connection, delivery_id: str) -> list[str]:
    """The kinds of events about a delivery, in order."""
    of = select(events.c.kind).where(events.c.delivery_id == delivery_id).order_by(events.c.seq)
    return list(tx.execute(of).scalars())


def suppressed_addresses(tx: Connection) -> list[str]:
    """Every address on the list, once for each reason."""
    found = tx.execute(select(suppressions.c.address).order_by(suppressions.c.address))
    return list(found.scalars())


def stored(tx: Connection) -> list[str]:
    """The recipients of everything the listener took."""
    return list(tx.execute(select(raw_inbound.c.recipient).order_by(raw_inbound.c.id)).scalars())


def environment(database_url: str, *, mx: int, ingest: int = 0, api: int = 0) -> dict[str, str]:
    """Settings of a story: its database, its one mail host, its ports; waits of tenths."""
    return {
        "CAROM_DATABASE__URL": database_url,
        "CAROM_SENDER__STATIC_MX": json.dumps({"*": f"{LOOPBACK}:{mx}"}),
        "CAROM_SENDER__SCHEDULE__TRANSACTIONAL": "0.2s*3, 0.5s*20",
        "CAROM_INGEST__LISTEN": f"{LOOPBACK}:{ingest}",
        "CAROM_API__LISTEN": f"{LOOPBACK}:{api}",
        "CAROM_API__METRICS_LISTEN": f"{LOOPBACK}:0",
        "CAROM_SUBMISSION__LISTEN": f"{LOOPBACK}:0",
        "CAROM_DOCTOR__EVERY": "0s",  # it would call the world
    }


def set_up(folder: Path) -> tuple[Path, str]:
    """The settings file of a fresh set-up and its API key, as `carom init` writes them."""
    config = moulds.set_up(folder / "carom", DOMAIN, BOUNCES)
    return config, (config.parent / setup.API_KEY).read_text().strip()


@asynccontextmanager
async def carom_house(
    folder: Path,
    database_url: str,
    *,
    mx: int,
    ingest: int = 0,
    node: str = "",
    troubled: bool = False,
    clock: Callable[[], float] = time.time,
    **more: str,
) -> AsyncIterator[House]:
    """A Carom whose mail all goes to port `mx`; `ingest` 0 takes any port for the listener.

    `more` are settings as the environment names them.  Leaves no task, thread or socket behind,
    and logs no error unless the story is a `troubled` one.  `clock` may be ahead of the real one.
    """
    config, key = set_up(folder)
    settings = load(config, environ={**environment(database_url, mx=mx, ingest=ingest), **more})
    moulds.lay_down(database_url)
    before = _alive()
    with _logging_to(folder / "carom.log", troubled=troubled):
        async with _serving(settings, config, key, node, clock) as house:
            yield house
    left = _alive() - before
    assert node or not left, f"left behind: {left}"  # a named node has another one beside it
    gc.collect()  # what was not closed warns here, in the test that did not close it


@contextmanager
def _logging_to(file: Path, *, troubled: bool) -> Iterator[None]:
    """Log as `carom serve` does; a story that fails shows what was logged."""
    root = logging.getLogger()
    before, configured = (root.handlers[:], root.level), structlog.get_config()
    try:
        with file.open("w") as stream:
            logs.configure("warning", "json", stream)
            yield
        errors = [line for line in file.read_text().splitlines() if '"level":"error"' in line]
        assert troubled or not errors
    except BaseException:
        print(file.read_text()[-20_000:])
        raise
    finally:
        root.handlers[:], root.level = before
        structlog.configure(**configured)


def _alive() -> set[object]:
    """Tasks and threads, but for the pools of the loop and of AnyIO, which end with the loop."""
    pools = ("asyncio_", "AnyIO worker thread")
    threads = {t for t in threading.enumerate() if not t.name.startswith(pools)}
    return {*asyncio.all_tasks(), *threads}


@asynccontextmanager
async def _serving(
    settings: Settings, config: Path, key: str, node: str, clock: Callable[[], float]
) -> AsyncIterator[House]:
    made = await build(settings, machine=node, clock=clock)
    async with made as engine, running(engine, ALL) as state:
        client = httpx.AsyncClient(
            base_url=f"http://{LOOPBACK}:{state.bound.api}",
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=PATIENCE,
        )
        async with client:
            yield House(engine, state.bound, config, client)
