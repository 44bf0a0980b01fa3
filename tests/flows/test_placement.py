"""Seed mailboxes at a real Dovecot behind a real Postfix: probes are found where sieve put them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from analysis.schema import deliveries, events, suppressions
from carom.placing import Looks, probes
from tests.flows.house import House, carom_house, until
from tests.servers import LOOPBACK
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.postfix import Postfix

pytestmark = [pytest.mark.anyio, pytest.mark.postfix]

SEEN = "mx.seed.example; spf=pass smtp.mailfrom=x; dkim=pass header.d=example.com; dmarc=pass"
SIEVE = {
    "inbox@seed.example": f'require "editheader"; addheader "Authentication-Results" "{SEEN}";',
    "junk@seed.example": 'require "fileinto"; fileinto "Junk";',
    "folder@seed.example": ('require ["fileinto", "mailbox"]; fileinto :create "Promotions";'),
    "gone@seed.example": "discard;",
    "late@seed.example": "",
}
PROVIDERS = {
    "inbox@seed.example": "gmail",
    "junk@seed.example": "microsoft",
    "folder@seed.example": "yahoo",
    "gone@seed.example": "qq",
    "late@seed.example": "netease",
}
HOUR = 3_600.0


def seeds_of(dovecot: Dovecot, **more: Any) -> str:
    return json.dumps(
        [
            {
                "name": address.partition("@")[0],
                "address": address,
                "provider": provider,
                "imap": f"{LOOPBACK}:{dovecot.imap_port}",
                "password": PASSWORD,
                "tls": "none",
                **more,
            }
            for address, provider in PROVIDERS.items()
        ]
    )


def in_front_of(dovecot: Dovecot, start_postfix: Callable[..., Postfix]) -> Postfix:
    """A Postfix that hands mail to Dovecot, and holds what is late until it is released."""
    return start_postfix(
        hostname="mx.seed.example",
        users=list(SIEVE),
        settings={
            "virtual_transport": f"lmtp:inet:{LOOPBACK}:{dovecot.lmtp_port}",
            "smtpd_recipient_restrictions": (
                "check_recipient_access inline:{{late@seed.example = HOLD}}, permit"
            ),
        },
    )


async def all_delivered(carom: House, count: int) -> None:
    """Wait until the next host has accepted so many probes."""

    def accepted(tx: Connection) -> bool:
        states = list(tx.execute(select(deliveries.c.state)).scalars())
        return len(states) == count and set(states) == {"delivered"}

    await until(lambda: carom.books(accepted))


async def filed(dovecot: Dovecot, wanted: dict[str, dict[str, int]]) -> None:
    """Wait until the maildirs hold this."""

    async def is_it() -> bool:
        return {user: dovecot.counts(user) for user in wanted} == wanted

    await until(is_it)


async def placed(carom: House) -> dict[str, str | None]:
    answer = await carom.client.get("/v1/placement")
    assert answer.status_code == 200, answer.text
    return {one["seed"]: one["placement"] for one in answer.json()["recent"]}


async def test_probes_are_found_where_each_seed_has_filed_them(
    start_dovecot: Callable[..., Dovecot],
    start_postfix: Callable[..., Postfix],
    tmp_path: Path,
    database_url: str,
) -> None:
    dovecot = start_dovecot(users=SIEVE)
    mx = in_front_of(dovecot, start_postfix)
    settings = {"CAROM_PLACEMENT__SEEDS": seeds_of(dovecot)}
    async with carom_house(tmp_path, database_url, mx=mx.port, **settings) as carom:
        await all_delivered(carom, len(SIEVE))  # the duty sent them by itself at the start
        await filed(
            dovecot,
            {
                "inbox@seed.example": {"INBOX": 1},
                "junk@seed.example": {"Junk": 1},
                "folder@seed.example": {"Promotions": 1},
                "gone@seed.example": {},
                "late@seed.example": {},
            },
        )
        looks, now = Looks(carom.engine), time.time()
        await looks.look_through(now)
        found = {"inbox": "inbox", "junk": "junk", "folder": "other"}
        assert await placed(carom) == {**found, "gone": None, "late": None}, "not given up yet"

        await looks.look_through(now + 3 * HOUR)
        assert await placed(carom) == {**found, "gone": "missing", "late": "missing"}
        assert not any(dovecot.told(user) for user in SIEVE), "recorded probes are taken away"

        mx.release()
        await filed(dovecot, {"late@seed.example": {"INBOX": 1}})
        await looks.look_through(now + 4 * HOUR)
        assert await placed(carom) == {**found, "gone": "missing", "late": "inbox"}

        await what_is_told(carom)
        await nobody_was_counted(carom)


async def what_is_told(carom: House) -> None:
    told = (await carom.client.get("/v1/placement")).json()
    by_provider = {one["provider"]: one for one in told["providers"]}
    assert by_provider["gmail"]["ratio"] == 1.0
    assert by_provider["gmail"]["samples"] == 1
    assert by_provider["gmail"]["low"] == pytest.approx(0.2065, abs=1e-3), "one says very little"
    assert by_provider["qq"]["ratio"] == 0.0
    assert told["total"]["inbox"] == 2
    assert told["total"]["missing"] == 1
    assert told["estimate"]["known"] is False
    assert told["estimate"]["says"] == "not known"
    [seen] = [one for one in told["recent"] if one["seed"] == "inbox"]
    assert seen["authentication"] == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
    assert 0 <= seen["seconds"] < 60
    only = (await carom.client.get("/v1/placement", params={"provider": "microsoft"})).json()
    assert [one["seed"] for one in only["recent"]] == ["junk"]
    metrics = await carom.metrics()
    for line in (
        'carom_inbox_placement_ratio{provider="gmail"} 1.0',
        'carom_inbox_placement_ratio{provider="microsoft"} 0.0',
        'carom_inbox_placement_samples{provider="qq"} 1.0',
        'carom_seed_authentication_total{method="dkim",provider="gmail",result="pass"} 1.0',
        'carom_seed_authentication_total{method="dkim",provider="yahoo",result="absent"} 1.0',
        'carom_inbox_seconds_count{provider="gmail"} 1.0',
    ):
        assert line in metrics


async def nobody_was_counted(carom: House) -> None:
    """Probes are nobody's mail: no counter, no rate, no event of a user's, no suppression."""
    metrics = await carom.metrics()
    for name in (
        "carom_messages_submitted_total",
        "carom_deliveries_total",
        "carom_attempts_total",
    ):
        assert f"{name}{{" not in metrics
    stats = (await carom.client.get("/v1/stats")).json()
    assert stats["totals"]["deliveries"] == 0
    kinds = await carom.books(lambda tx: set(tx.execute(select(events.c.kind)).scalars()))
    assert kinds == {"placement"}
    assert not await carom.books(lambda tx: list(tx.execute(select(suppressions))))


async def test_what_cannot_be_read_is_counted_and_never_called_missing(
    start_dovecot: Callable[..., Dovecot],
    start_postfix: Callable[..., Postfix],
    tmp_path: Path,
) -> None:
    dovecot = start_dovecot(users=SIEVE)
    mx = in_front_of(dovecot, start_postfix)
    settings = {"CAROM_PLACEMENT__SEEDS": seeds_of(dovecot, password="wrong")}
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    async with carom_house(tmp_path, url, mx=mx.port, **settings) as carom:
        await all_delivered(carom, len(SIEVE))
        await Looks(carom.engine).look_through(time.time() + 3 * HOUR)
        assert set((await placed(carom)).values()) == {None}
        assert 'carom_seed_errors_total{reason="login"}' in await carom.metrics()


async def test_placement_of_many_equals_what_dovecot_holds(
    start_dovecot: Callable[..., Dovecot],
    start_postfix: Callable[..., Postfix],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """1,000 probes with --full, 40 without; every one is accounted for."""
    rounds = 250 if request.config.getoption("--full") else 10
    dovecot = start_dovecot(users=SIEVE)
    mx = in_front_of(dovecot, start_postfix)
    seeds = [one for one in json.loads(seeds_of(dovecot)) if one["name"] != "late"]
    settings = {
        "CAROM_PLACEMENT__SEEDS": json.dumps(seeds),
        "CAROM_PLACEMENT__REMOVE": "false",
    }
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    async with carom_house(tmp_path, url, mx=mx.port, **settings) as carom:
        await all_delivered(carom, len(seeds))
        more = probes(carom.engine)
        for _ in range(rounds - 1):
            await more.send(time.time())
        await all_delivered(carom, rounds * len(seeds))
        await filed(
            dovecot,
            {
                "inbox@seed.example": {"INBOX": rounds},
                "junk@seed.example": {"Junk": rounds},
                "folder@seed.example": {"Promotions": rounds},
            },
        )
        await Looks(carom.engine).look_through(time.time() + 3 * HOUR)
        told = (await carom.client.get("/v1/placement")).json()["providers"]
        found = {one["provider"]: one for one in told}
        held = {user: dovecot.told(user) for user in SIEVE}
        assert found["gmail"]["inbox"] == held["inbox@seed.example"]["INBOX"] == rounds
        assert found["microsoft"]["junk"] == held["junk@seed.example"]["Junk"] == rounds
        assert found["yahoo"]["other"] == held["folder@seed.example"]["Promotions"] == rounds
        assert found["qq"]["missing"] == rounds - sum(held["gone@seed.example"].values())
        assert sum(one["samples"] for one in told) == rounds * len(seeds)
