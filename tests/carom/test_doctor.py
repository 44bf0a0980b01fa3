"""`carom doctor` and its rounds: from `carom init` to a set-up that the world can trust."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from analysis import examined
from analysis.examined import Examined
from analysis.schema import events
from analysis.store import Store
from carom import rounds
from carom.__main__ import main
from carom.settings import load
from sender.doctor import machine, measuring
from sender.doctor.finding import Finding
from sender.doctor.machine import Clock, Database, Limits
from tests.flows.house import BOUNCES, DOMAIN, carom_house, until
from tests.peers.dns_server import DnsServer
from tests.peers.scripted_mx import ScriptedMX
from tests.servers import free_port
from tests.servers.signed_dns import SignedDns

pytestmark = pytest.mark.anyio

ADDRESS = "198.20.0.1"
NOW = 1_700_000_000.0


def environment(dns_port: int, ingest: int, mx: int) -> dict[str, str]:
    """The settings of a set-up that faces the world, all of which is on loopback."""
    return {
        "CAROM_SENDER__DNS__NAMESERVERS": json.dumps([f"127.0.0.1:{dns_port}"]),
        "CAROM_SENDER__ALLOW_NETWORKS": '["127.0.0.0/8"]',
        "CAROM_SENDER__STATIC_MX": json.dumps({"receiver.example": f"127.0.0.1:{mx}"}),
        "CAROM_REPUTATION__ADDRESSES": f'["{ADDRESS}"]',
        "CAROM_DOCTOR__RECEIVERS": '["receiver.example"]',
        "CAROM_DOCTOR__MX_PORT": str(ingest),
        "CAROM_DOCTOR__TIME_SERVER": "",
        "CAROM_DOCTOR__TIMEOUT": "3s",
    }


def as_zone(fragment: str) -> str:
    """What `carom dns --zone` printed, but for the MX, which must be on loopback here."""
    here = fragment.replace(f"MX 10 mta.{DOMAIN}.", f"MX 10 mx.{DOMAIN}.")
    return f"{here}\nmx A 127.0.0.1\n"


async def command(*arguments: str) -> int:
    return await asyncio.to_thread(main, list(arguments))


async def test_what_carom_dns_prints_is_what_carom_doctor_wants(
    tmp_path: Path,
    start_signed_dns: Callable[..., SignedDns],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    ingest = free_port()
    url = f"sqlite:///{tmp_path}/carom.db"
    async with ScriptedMX() as mx, carom_house(tmp_path, url, mx=mx.port, ingest=ingest) as carom:
        more = environment(0, ingest, mx.port) | {
            "CAROM_DATABASE__URL": url,
            "CAROM_INGEST__LISTEN": f"127.0.0.1:{ingest}",
        }
        for name, value in more.items():
            monkeypatch.setenv(name, value)
        config = str(carom.config)
        assert await command("dns", "--zone", "--config", config) == 0
        fragment = capfd.readouterr().out
        pointers = [line[2:] for line in fragment.splitlines() if line.startswith("; 1.0.20.198")]
        dns = start_signed_dns(
            signed={},
            plain={
                DOMAIN: as_zone(fragment),
                "other.example": "@ A 127.0.0.1",
                "20.198.in-addr.arpa": "\n".join(pointers),
            },
        )
        server = json.dumps([f"127.0.0.1:{dns.port}"])
        monkeypatch.setenv("CAROM_SENDER__DNS__NAMESERVERS", server)

        assert await command("doctor", "--config", config, "--json") == 0
        found = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        failures = [one["code"] for one in found if one["state"] == "failure"]
        assert not failures
        codes = {one["code"] for one in found}
        assert {
            "mx.ok", "listener.ok", "outbound.ok", "spf.ok", "dkim.ok", "dmarc.aligned",
            "tls_rpt.ok", "reverse_dns.ok", "database.ok", "limits.ok",
        } <= codes  # fmt: skip
        assert "dmarc.watching" in codes

        assert await command("doctor", "other.example", "--config", config) == 1
        told = capfd.readouterr().out
        assert "_dmarc.other.example has no DMARC record" in told
        assert "carom keys dkim new --domain other.example" in told
        assert "14 checks" in told
        assert await command("doctor", "--config", config, "--language", "zh") == 0
        assert "反向解析" in capfd.readouterr().out


async def test_a_key_is_activated_once_the_dns_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert await command("init", str(tmp_path / "m"), "--domain", DOMAIN) == 0
    config = str(tmp_path / "m" / "carom.toml")
    async with DnsServer() as dns:
        servers = json.dumps([f"127.0.0.1:{dns.port}"])
        monkeypatch.setenv("CAROM_SENDER__DNS__NAMESERVERS", servers)
        capfd.readouterr()
        assert await command("keys", "dkim", "new", "--config", config) == 0
        name, _, _, _, record = next(
            line for line in capfd.readouterr().out.splitlines() if "IN TXT" in line
        ).split(" ", 4)
        activate = ("keys", "dkim", "activate", "carom-r2", "--config", config)
        assert await command(*activate) == 1
        assert "does not exist" in capfd.readouterr().err
        dns.add(name.removesuffix("."), "TXT", record)
        assert await command(*activate) == 0
        assert "Keep carom-r1._domainkey.example.com published until" in capfd.readouterr().out
    states = {key.selector: key.state.value for key in load(Path(config), {}).dkim.keys}
    assert states == {"carom-r1": "retired", "carom-e1": "active", "carom-r2": "active"}


async def test_the_service_makes_rounds_and_tells_when_a_check_turns(tmp_path: Path) -> None:
    ingest = free_port()
    url = f"sqlite:///{tmp_path}/carom.db"
    async with DnsServer(ttl=0) as dns, ScriptedMX() as mx:
        more = environment(dns.port, ingest, mx.port) | {"CAROM_DOCTOR__EVERY": "0.4s"}
        dns.add(BOUNCES, "MX", f"10 mx.{DOMAIN}.")
        dns.add(f"mx.{DOMAIN}", "A", "127.0.0.1")
        async with carom_house(tmp_path, url, mx=mx.port, ingest=ingest, **more) as carom:

            async def checks() -> dict[str, Any]:
                answer = await carom.client.get("/v1/doctor")
                assert answer.status_code == 200
                return {one["check"]: one for one in answer.json()["checks"]}

            async def state_of(check: str) -> str:
                return str((await checks()).get(check, {}).get("state", ""))

            await until(checks)
            assert await state_of("mx") == "ok"
            assert await state_of("spf") == "failure"
            mends = [one["mend"]["en"] for one in (await checks())["spf"]["findings"]]
            assert any("v=spf1 ip4:198.20.0.1" in mend for mend in mends)
            metrics = await carom.metrics()
            assert 'carom_doctor_check{check="spf",state="failure"} 1.0' in metrics
            assert 'carom_doctor_check{check="spf",state="ok"} 0.0' in metrics
            assert "carom_doctor_last_run_timestamp_seconds 1" in metrics

            dns.add(BOUNCES, "TXT", f'"v=spf1 ip4:{ADDRESS} ~all"')

            async def mended() -> bool:
                return await state_of("spf") in ("ok", "warning")

            await until(mended)
            turns = await carom.books(spf_turns)
            assert turns == [(None, "failure"), ("failure", "ok")]


def spf_turns(tx: Connection) -> list[tuple[str | None, str]]:
    rows = tx.execute(
        select(events.c.data).where(events.c.kind == "doctor.turned").order_by(events.c.seq)
    ).scalars()
    return [(row["before"], row["state"]) for row in rows if row["check"] == "spf"]


def test_a_set_up_without_a_face_in_the_world_makes_no_rounds(tmp_path: Path) -> None:
    main(["init", str(tmp_path / "m"), "--domain", DOMAIN])
    config = tmp_path / "m" / "carom.toml"
    live = {"CAROM_INGEST__LISTEN": "0.0.0.0:25"}
    everything = {"CAROM_SENDER__STATIC_MX": '{"*": "127.0.0.1:2526"}'}
    assert rounds.makes_rounds(load(config, live))
    assert not rounds.makes_rounds(load(config, live | everything))
    assert not rounds.makes_rounds(load(config, live | {"CAROM_DOCTOR__EVERY": "0"}))
    assert not rounds.makes_rounds(load(config, {})), "on loopback nobody knows of it yet"
    assert rounds.makes_rounds(load(config, {"CAROM_DOCTOR__EVERY": "1h"}))


async def test_unknown_neither_mends_a_failure_nor_rings_twice(store: Store) -> None:
    async def see(state: str, now: float) -> list[tuple[str, str]]:
        found = {"mx": Examined(state, [])}
        turns = await store.write(lambda tx: examined.follow(tx, found, now=now))
        return [(turn.before, turn.now) for turn in turns]

    assert await see("warning", NOW) == []
    assert await see("failure", NOW + 1) == [("warning", "failure")]
    assert await see("unknown", NOW + 2) == []
    assert await see("failure", NOW + 3) == []
    assert await see("ok", NOW + 4) == [("failure", "ok")]
    [row] = await store.read(examined.newest)
    assert (row["state"], row["since"]) == ("ok", "2023-11-14T22:13:24.000Z")


async def test_the_database_is_measured(store: Store) -> None:
    found, clock = await measuring.database(store, time.time)
    [judged] = machine.judge_database(found)
    assert judged.code == "database.ok" or "fsync" in judged.seen()  # tests may not wait for disks
    if clock is not None:
        assert machine.judge_clock(clock).code == "clock.ok"


def codes(findings: list[Finding]) -> list[str]:
    return [one.code for one in findings]


@pytest.mark.parametrize(
    ("database", "code"),
    [
        (Database("sqlite", (3, 40), "0001", "0002"), "database.behind"),
        (Database("sqlite", (3, 40), "0003", "0002"), "database.ahead"),
        (Database("sqlite", (3, 40), "2", "2", "synchronous = 1"), "database.careless"),
        (Database("postgresql", (12, 1), "2", "2"), "database.old"),
        (Database("postgresql", trouble="connection refused"), "database.unreachable"),
        (Database("sqlite", missing="carom.db"), "database.none"),
    ],
)
def test_a_database_is_judged(database: Database, code: str) -> None:
    assert codes(list(machine.judge_database(database))) == [code]


def test_limits_are_judged() -> None:
    tight = Limits(files=1_024, connections=1_700, ports=1_000, sending=200, disk=("/d", 10**9 - 1))
    assert codes(list(machine.judge_limits(tight))) == [
        "limits.files",
        "limits.disk_full",
        "limits.ports",
    ]
    assert codes([machine.judge_clock(Clock("t", offset)) for offset in (0.1, -3.0, 61.0)]) == [
        "clock.ok",
        "clock.off",
        "clock.wrong",
    ]


class TimeServer(asyncio.DatagramProtocol):
    """Answers SNTP with a clock that is `ahead` of ours, or with rubbish."""

    def __init__(self, ahead: float, rubbish: bytes = b"") -> None:
        self._ahead, self._rubbish = ahead, rubbish

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        stamp = time.time() + self._ahead + 2_208_988_800
        time_ = struct.pack("!II", int(stamp), int(stamp % 1 * 2**32))
        answer = b"\x24\x01" + bytes(22) + data[40:48] + time_ + time_
        self._transport.sendto(self._rubbish or answer, addr)


@pytest.mark.parametrize(
    ("ahead", "rubbish", "code"),
    [
        (0.0, b"", "clock.ok"),
        (30.0, b"", "clock.off"),
        (0.0, b"what time?", "clock.unknown"),
        (0.0, bytes(48), "clock.unknown"),
    ],
)
async def test_the_clock_is_held_against_a_time_server(
    ahead: float, rubbish: bytes, code: str
) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: TimeServer(ahead, rubbish), ("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    clock = await measuring.time_server("127.0.0.1", port, clock=time.time, seconds=2.0)
    transport.close()
    assert machine.judge_clock(clock).code == code


async def test_a_time_server_that_is_away_is_unknown() -> None:
    clock = await measuring.time_server("127.0.0.1", 9, clock=time.time, seconds=0.3)
    assert machine.judge_clock(clock).code == "clock.unknown"
