"""S6: crowds of clients who only hold their places, against a `carom serve` of its own.

Meanwhile genuine hosts bring their reports and genuine applications their messages; the service
stays small, and every place comes back although the attackers never let go by themselves.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.amounts import Amount
from tests.faults import hostile
from tests.faults.hostile import Siege
from tests.flows.house import SHOP, environment, set_up, until
from tests.flows.mortal import Fate, mortal
from tests.ingest.letters import group, report
from tests.peers.certificates import certificate_for
from tests.peers.counting_sink import Copy, CountingSink
from tests.peers.smtp_client import dial
from tests.servers import LOOPBACK, free_port

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc"),
]

MB = 1_048_576
PATIENCE = 300.0
GROWTH = 150.0  # MB
SLOWEST = 2.0  # seconds, for 99 of 100 genuine clients; asked of the full form alone
SPARE = 5  # descriptors: the pool of the database and the like


@dataclass(frozen=True, slots=True)
class Service:
    pid: int
    api: int
    listener: int
    client: httpx.AsyncClient  # opens a connection for each request

    def family(self) -> list[int]:
        """The process and what it started."""
        found, rest = [self.pid], [self.pid]
        while rest:
            children = Path(f"/proc/{rest.pop()}/task").glob("*/children")
            born = [int(pid) for file in children for pid in _text(file).split()]
            found += born
            rest += born
        return found

    def resident(self) -> float:
        """MB, of all of them."""
        return sum(_resident(pid) for pid in self.family())

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    async def post(self, recipient: str) -> bool:
        body = {"from": SHOP, "to": [recipient], "subject": "Your order", "text": "Hello.\n"}
        try:
            answer = await self.client.post("/v1/messages", json=body)
        except httpx.TransportError:
            return False
        assert answer.status_code in (202, 503), answer.text
        return answer.status_code == 202

    async def hand_in(self, copy: Copy) -> bool:
        about = group(
            final_recipient=f"rfc822; {copy.recipient}",
            action="failed",
            status="5.2.2",
            diagnostic_code="smtp; 552 5.2.2 Mailbox full",
        )
        try:
            async with dial(self.listener, greet=False) as wire:
                if not (await wire.reply()).startswith("220 "):
                    return False
                await wire.say("EHLO mx.example.org")
                await wire.say("MAIL FROM:<>")
                await wire.say(f"RCPT TO:<{copy.return_path}>")
                if not (await wire.say("DATA")).startswith("354 "):
                    return False
                wire.write(report(about) + b"\r\n.\r\n")
                return (await wire.reply()).startswith("250 ")
        except ConnectionError:
            return False


def _resident(pid: int) -> float:
    status = _text(Path(f"/proc/{pid}/status"))
    line = next((line for line in status.splitlines() if line.startswith("VmRSS:")), "x 0")
    return int(line.split()[1]) * 1_024 / MB


def _text(file: Path) -> str:
    """Nothing where the process has just gone."""
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


async def test_who_only_holds_places_keeps_nobody_out(
    tmp_path: Path, amount: Amount, seen: Callable[[str], None]
) -> None:
    smtp, http, genuine = amount(72, 2_000), amount(20, 500), amount(10, 300)
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(CountingSink())
        service = await _serving(stack, tmp_path, sink.port, smtp, http, quick=not amount.full)
        await served([lambda n=n: service.post(f"warm{n}@known.example") for n in range(3)])  # type: ignore[misc]
        await until(lambda: _at_least(sink, 3), PATIENCE)
        await served([lambda: service.hand_in(sink.copies[0])])
        before, open_ = service.resident(), service.descriptors()

        drip = hostile.drips_a_message(sink.copies[1].return_path)
        sieges = [
            Siege(service.listener, (*hostile.SMTP, drip)),
            Siege(service.api, hostile.HTTP),
        ]
        for siege, count in zip(sieges, (smtp, http), strict=True):
            siege.begin(count)
            stack.push_async_callback(siege.end)
        await until(lambda: _inside(service, open_ + (smtp + http) // 2), PATIENCE)

        waited: list[float] = []
        most = service.resident()
        for number in range(genuine):
            to = f"user{number}@known.example"
            waited += await served(
                [lambda to=to: service.post(to), lambda: service.hand_in(sink.copies[2])]  # type: ignore[misc]
            )
            most = max(most, service.resident())
        held = sum(siege.held for siege in sieges)

        for siege in sieges:
            siege.come_no_more()
        await until(lambda: _outside(service, open_ + SPARE), PATIENCE)
        await served([lambda: service.post("after@known.example")])
        await until(lambda: _at_least(sink, genuine + 4), PATIENCE)
        slowest = sorted(waited)[len(waited) * 99 // 100]
        assert most - before <= GROWTH
        assert slowest <= SLOWEST or not amount.full, f"{slowest:.1f} s"
    visits = sum(siege.visits for siege in sieges)
    seen(
        f"{smtp} SMTP and {http} HTTP attackers, {visits} connections, {held} of them held at the "
        f"end: RSS +{most - before:.0f} MB, {len(waited)} genuine clients all served, "
        f"p99 {slowest:.2f} s, every slot came back"
    )


async def _serving(
    stack: AsyncExitStack, folder: Path, mx: int, smtp: int, http: int, *, quick: bool
) -> Service:
    """Room for all attackers and a few more, so that nobody is turned away at the door."""
    config, key = set_up(folder)
    tls = certificate_for("mx.example.com")
    for name, pem in (("cert", tls.chain_pem), ("key", tls.key_pem)):
        (folder / f"{name}.pem").write_bytes(pem)
    api, listener = free_port(), free_port()
    patience = {
        "CAROM_INGEST__LIMITS__COMMAND": "3s",
        "CAROM_INGEST__LIMITS__BUSY_COMMAND": "3s",
        "CAROM_INGEST__LIMITS__SESSION": "8s",
        "CAROM_API__REQUEST_DEADLINE": "3s",
    }
    settings = {
        **environment(f"sqlite:///{folder / 'carom.db'}", mx=mx, ingest=listener, api=api),
        "CAROM_INGEST__LIMITS__CONNECTIONS": str(smtp + 50),
        "CAROM_API__CONNECTIONS": str(http + 50),
        "CAROM_INGEST__TLS__CERT": str(folder / "cert.pem"),
        "CAROM_INGEST__TLS__KEY": str(folder / "key.pem"),
        **(patience if quick else {}),
    }
    fate = Fate([])
    await stack.enter_async_context(mortal(folder, config, settings, fate))
    client = httpx.AsyncClient(
        base_url=f"http://{LOOPBACK}:{api}",
        headers={"Authorization": f"Bearer {key}", "Connection": "close"},
        trust_env=False,
        timeout=60.0,
    )
    await stack.enter_async_context(client)
    await until(lambda: _listens(client), PATIENCE)
    assert fate.process is not None
    return Service(fate.process.pid, api, listener, client)


async def served(asked: list[Callable[[], Awaitable[bool]]]) -> list[float]:
    """Seconds that each of these clients took, at once, coming again where it was put off."""

    async def one(ask: Callable[[], Awaitable[bool]]) -> float:
        began = time.monotonic()
        await until(ask, PATIENCE)
        return time.monotonic() - began

    return list(await asyncio.gather(*(one(ask) for ask in asked)))


async def _listens(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def _at_least(sink: CountingSink, count: int) -> bool:
    return len(sink.copies) >= count


async def _inside(service: Service, descriptors: int) -> bool:
    return service.descriptors() >= descriptors


async def _outside(service: Service, descriptors: int) -> bool:
    return service.descriptors() <= descriptors
