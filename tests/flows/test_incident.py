"""A provider turns against us, or seems to lose all its mailboxes: one incident each, and an end.

Real SMTP to a host that plays the provider; the clock is ahead of the real one by as much as the
story says, so that nobody waits for windows to pass.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from analysis import incidents, tallies
from analysis.incident_policy import shipped
from analysis.schema import events, held_suppressions
from analysis.tallies import Collected, Key, Outcome
from carom.reputation import duties
from tests.flows.house import House, carom_house, suppressed_addresses, until
from tests.peers.dns_server import DnsServer, Manner
from tests.peers.scripted_mx import Act, Say, ScriptedMX
from tests.servers import LOOPBACK

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]

NOT_WANTED = Say(
    "550 5.7.1 Mail from 192.0.2.1 is blocked here: its sending reputation is too poor"
)
NOBODY = Say("550 5.1.1 user unknown")


class Ahead:
    """A clock that is ahead of the real one."""

    def __init__(self) -> None:
        self.by = 0.0

    def __call__(self) -> float:
        return time.time() + self.by


@asynccontextmanager
async def gmail(folder: Path, *acts: Act) -> AsyncIterator[tuple[House, Ahead]]:
    """A Carom and a provider that answers its first recipients like this, and takes the rest."""
    clock = Ahead()
    url = f"sqlite:///{folder / 'carom.db'}"
    async with (
        ScriptedMX({"rcpt": list(acts)}) as mx,
        carom_house(folder, url, mx=mx.port, clock=clock) as carom,
    ):
        yield carom, clock


async def send(carom: House, state: str, *names: str) -> None:
    """A message to each at gmail, which ends in this state."""
    sent = await carom.submit_each([f"{name}@gmail.com" for name in names])
    for one in sent:
        await carom.becomes(one, state)


async def a_good_day(carom: House) -> None:
    """Gmail took a thousand messages some hours ago."""
    collected, taken = Collected(), Key("gmail", Outcome.ACCEPTED)
    for _ in range(1_000):
        collected.count(carom.engine.clock() - 7_200, taken)
    await carom.engine.store.write(lambda tx: tallies.add(tx, collected))


def people(first: str, count: int) -> list[str]:
    return [f"{first}{n}" for n in range(count)]


async def judge(carom: House) -> None:
    """What a running Carom does every ten seconds."""
    engine = carom.engine
    await engine.counting.tallying.write(engine.store)
    [duty] = [duty for duty in duties(engine) if duty.name == "incidents"]
    await duty.do(engine.clock())


async def ask(carom: House, path: str) -> Any:
    answer = await carom.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def told(carom: House) -> list[str]:
    """Incidents opened and closed, in order."""
    query = select(events.c.kind).where(events.c.kind.like("incident.%")).order_by(events.c.seq)
    return await carom.books(lambda tx: list(tx.execute(query).scalars()))


def places(carom: House) -> int:
    """How many conversations gmail is allowed."""
    [site] = [s for s in carom.engine.pacing._sites.values() if s.provider == "gmail"]
    return site.throttle.places


async def test_a_provider_blocks_us_and_takes_us_back(tmp_path: Path) -> None:
    async with gmail(tmp_path, *[NOT_WANTED] * 30) as (carom, clock):
        await send(carom, "bounced", *people("a", 30))
        before = places(carom)
        await judge(carom)
        await judge(carom)
        [incident] = (await ask(carom, "/v1/incidents"))["incidents"]
        assert (incident["kind"], incident["provider"], incident["fault"]) == (
            "reputation",
            "gmail",
            "sender",
        )
        [reply] = incident["evidence"]["replies"]
        assert reply["text"].startswith("550 5.7.1 Mail from 192.0.2.1 is blocked")
        assert reply["seen"] == 30
        assert await carom.books(suppressed_addresses) == []

        async def eased() -> bool:
            return places(carom) < before

        await until(eased)
        assert places(carom) == max(1, before // 4)
        assert 'carom_incidents_open{fault="sender",provider="gmail"} 1.0' in await carom.metrics()

        clock.by = 1_200
        await send(carom, "delivered", *people("b", 12))
        await judge(carom)
        assert (await ask(carom, "/v1/incidents"))["incidents"] == []
        [closed] = (await ask(carom, "/v1/incidents?state=closed"))["incidents"]
        assert closed["closed_why"] == "the receiver accepts again"
        assert await ask(carom, f"/v1/incidents/{incident['id']}") == closed
        assert await told(carom) == ["incident.opened", "incident.closed"]
        clock.by = 2_500
        await until(lambda: _places_are(carom, before))
        assert await carom.books(suppressed_addresses) == []


async def _places_are(carom: House, count: int) -> bool:
    return places(carom) == count


async def test_mail_that_waits_names_the_incident_it_waits_for(tmp_path: Path) -> None:
    later = Say("450 4.7.1 Mail from 192.0.2.1 is put off: its sending reputation is too poor")
    settings = {"CAROM_SENDER__SCHEDULE__TRANSACTIONAL": "1h*3"}
    async with (
        ScriptedMX({"rcpt": later}) as mx,
        carom_house(tmp_path, f"sqlite:///{tmp_path / 'c.db'}", mx=mx.port, **settings) as carom,
    ):
        waiting = await carom.submit_each([f"a{n}@gmail.com" for n in range(12)])
        [first, *_] = waiting

        async def waits() -> bool:
            found = await carom.delivery(first)
            return found["state"] == "queued" and found["last_reply"] is not None

        await until(waits)
        store = carom.engine.store
        await store.write(
            lambda tx: incidents.open_(
                tx,
                incidents.Place("reputation", "gmail"),
                shipped().kinds["reputation"].fault,
                {},
                now=time.time(),
                new_id=carom.engine.new_id,
            )
        )
        said = await ask(carom, f"/v1/explain?recipient={first.recipient}")
        assert said["verdict"] == "queued"
        assert said["incident"]["text"].startswith("Gmail refuses our mail for our reputation, si")


async def test_false_deaths_of_many_mailboxes_are_held_until_somebody_decides(
    tmp_path: Path,
) -> None:
    async with gmail(tmp_path, *[NOBODY] * 75) as (carom, clock):
        await a_good_day(carom)
        await send(carom, "bounced", *people("a", 60))
        assert len(await carom.books(suppressed_addresses)) == 60
        await judge(carom)
        assert await carom.books(suppressed_addresses) == []
        await send(carom, "bounced", *people("b", 14))
        assert await carom.books(suppressed_addresses) == []
        [incident] = (await ask(carom, "/v1/incidents"))["incidents"]
        assert (incident["kind"], incident["held_suppressions"]) == ("suppressions", 74)

        clock.by = 300  # the deaths are recent still: nothing closes it
        await send(carom, "bounced", "one-more")
        clock.by = 1_200
        await send(carom, "delivered", *people("a", 30))
        await judge(carom)
        [closed] = (await ask(carom, "/v1/incidents?state=all"))["incidents"]
        assert closed["state"] == "closed"
        dropped = await carom.client.post(f"/v1/incidents/{incident['id']}/drop?why=a+false+alarm")
        assert dropped.json() == {"incident": incident["id"], "held": 75, "suppressed": 0}
        counted = select(func.count()).select_from(held_suppressions)
        assert await carom.books(lambda tx: tx.execute(counted).scalar_one()) == 0
        assert await carom.books(suppressed_addresses) == []
        assert await told(carom) == ["incident.opened", "incident.closed"]


async def test_deaths_that_were_real_are_released(tmp_path: Path) -> None:
    async with gmail(tmp_path, *[NOBODY] * 60) as (carom, _):
        await a_good_day(carom)
        await send(carom, "bounced", *people("a", 60))
        await judge(carom)
        [incident] = (await ask(carom, "/v1/incidents"))["incidents"]
        released = await carom.client.post(f"/v1/incidents/{incident['id']}/release")
        assert released.json() == {"incident": incident["id"], "held": 60, "suppressed": 60}
        assert len(await carom.books(suppressed_addresses)) == 60
        await judge(carom)
        assert len(await carom.books(suppressed_addresses)) == 60
        [closed] = (await ask(carom, "/v1/incidents?state=all"))["incidents"]
        assert closed["state"] == "closed"


async def test_our_own_resolver_fails_and_no_provider_is_blamed(tmp_path: Path) -> None:
    clock = Ahead()
    names = [f"shop{n}.example" for n in range(12)]
    async with DnsServer() as dns, ScriptedMX({}) as mx:
        for name in (".", *names):
            dns.behave(name, Manner.SERVFAIL)
        settings = {
            "CAROM_SENDER__STATIC_MX": json.dumps({"gmail.com": f"{LOOPBACK}:{mx.port}"}),
            "CAROM_SENDER__DNS__NAMESERVERS": json.dumps([f"{LOOPBACK}:{dns.port}"]),
        }
        url = f"sqlite:///{tmp_path / 'carom.db'}"
        async with carom_house(tmp_path, url, mx=mx.port, clock=clock, **settings) as carom:
            sent = await carom.submit_each([f"ann@{name}" for name in names])

            async def all_tried() -> bool:
                return all([(await carom.delivery(one))["attempts"] for one in sent])

            await until(all_tried)
            await judge(carom)
            [incident] = (await ask(carom, "/v1/incidents"))["incidents"]
            assert (incident["kind"], incident["provider"], incident["fault"]) == (
                "resolver",
                "all",
                "sender",
            )
            assert "our own resolver" in incident["evidence"]["replies"][0]["text"]
            explained = await ask(carom, f"/v1/explain?recipient=ann@{names[0]}")
            assert explained["fault"] == "sender"
            assert explained["incident"]["kind"] == "resolver"
            assert "our own DNS resolver gave no answer" in explained["sentence"]
            assert await carom.books(suppressed_addresses) == []
