"""`/v1/incidents` and `/v1/reputation`, and the same by `carom incidents`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from analysis import blocklisted, incidents, reputation
from analysis.blocklisted import Standing
from analysis.incident_policy import shipped
from analysis.incidents import Place
from analysis.schema import audit, held_suppressions, suppressions
from carom import setup
from carom.__main__ import main
from carom.opening import with_store
from carom.reputation import duties, subjects
from carom.settings import load
from tests.carom.web_peer import Web, made, web
from tests.peers.dns_server import DnsServer
from tests.storing import NOW, hash_of, new_id

POLICY = shipped()


def opened(tx: Any, kind: str, provider: str, at: float = NOW, subject: str = "") -> str:
    place = Place(kind, provider, subject)
    fault = POLICY.kinds[kind].fault
    [change] = incidents.open_(tx, place, fault, {"replies": []}, now=at, new_id=new_id)
    return change.incident_id


def hold(tx: Any, incident_id: str, *addresses: str) -> None:
    for address in addresses:
        row = {
            "address_hash": hash_of(address),
            "delivery_id": new_id(),
            "incident_id": incident_id,
            "held_at": NOW,
            "address": address,
            "evidence": "550 5.1.1 user unknown",
        }
        tx.execute(held_suppressions.insert(), [row])


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Web]:
    async with web(tmp_path / "mail") as made:
        yield made


async def listed(api: Web, query: Any = None) -> Any:
    answer = await api.get("/v1/incidents", query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.anyio
async def test_incidents_are_paged_newest_first_and_by_state(api: Web) -> None:
    store = api.engine.store
    assert await listed(api) == {"incidents": [], "cursor": None}
    ids = [
        await store.write(lambda tx, p=p: opened(tx, "reputation", p))  # type: ignore[misc]
        for p in ("gmail", "yahoo", "qq")
    ]
    await store.write(
        lambda tx: incidents.close(tx, Place("reputation", "qq"), ids[2], "over", now=NOW)
    )
    first = await listed(api, {"limit": 1})
    rest = await listed(api, {"limit": 1, "cursor": first["cursor"]})
    assert [first["incidents"][0]["id"], rest["incidents"][0]["id"]] == sorted(ids[:2])[::-1]
    assert len((await listed(api, {"state": "all"}))["incidents"]) == 3
    [closed] = (await listed(api, {"state": "closed"}))["incidents"]
    assert (closed["id"], closed["closed_why"]) == (ids[2], "over")


@pytest.mark.anyio
async def test_what_cannot_be_answered_is_a_problem(api: Web) -> None:
    store = api.engine.store
    assert (await api.get("/v1/incidents", {"state": "ajar"})).json()["field"] == "state"
    assert (await api.get("/v1/incidents", {"cursor": "?"})).json()["field"] == "cursor"
    assert (await api.get("/v1/incidents/01none")).status_code == 404
    assert (await api.post("/v1/incidents/01none/drop", None)).status_code == 404
    incident = await store.write(lambda tx: opened(tx, "reputation", "gmail"))
    answer = await api.post(f"/v1/incidents/{incident}/release", None)
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:carom:problem:nothing-held",
    )
    without = {"Authorization": "Bearer nothing"}
    assert (await api.post(f"/v1/incidents/{incident}/drop", None, without)).status_code == 401


@pytest.mark.anyio
async def test_a_decision_is_audited_with_who_and_why(api: Web) -> None:
    store = api.engine.store
    incident = await store.write(lambda tx: opened(tx, "suppressions", "gmail"))
    await store.write(lambda tx: hold(tx, incident, "ann@example.net", "bob@example.net"))
    [shown] = (await listed(api))["incidents"]
    assert shown["held_suppressions"] == 2
    answer = await api.post(f"/v1/incidents/{incident}/release?why=really+dead", None)
    assert answer.json() == {"incident": incident, "held": 2, "suppressed": 2}
    wanted = select(audit).where(audit.c.action == "incident.release")
    [row] = await api.read(lambda tx: list(tx.execute(wanted)))
    assert (row.subject, row.reason, row.data["held"]) == (incident, "really dead", 2)
    actors = await api.read(lambda tx: list(tx.execute(select(suppressions.c.actor)).scalars()))
    assert actors == [row.actor] * 2
    again = await api.post(f"/v1/incidents/{incident}/release", None)
    assert again.json()["held"] == 0


@pytest.mark.anyio
async def test_where_we_stand_is_told_with_its_source(api: Web) -> None:
    one = reputation.Measured("gmail", "complaints", 4, 2_000, NOW - 86_400, NOW)
    few = reputation.Measured("qq", "complaints", 1, 10, NOW - 86_400, NOW)
    on_list = Standing("spamcop", "192.0.2.4", "ip", "listed", "127.0.0.2", "https://x.example/")

    def write(tx: Any) -> None:
        reputation.follow(tx, POLICY, [one, few], now=NOW, new_id=new_id)
        blocklisted.follow(tx, POLICY, [on_list], now=NOW, new_id=new_id)

    await api.engine.store.write(write)
    told = (await api.get("/v1/reputation")).json()
    [gmail, qq] = told["ratios"]
    assert (gmail["numerator"], gmail["denominator"], gmail["ratio"]) == (4, 2_000, 0.002)
    assert (gmail["state"], gmail["warn"], gmail["limit"]) == ("warn", 0.001, 0.003)
    assert (qq["state"], qq["limit"]) == ("too_few", 0.003)
    assert [row["state"] for row in told["blocklists"]] == ["listed"]
    [incident] = (await listed(api))["incidents"]
    assert incident["title"]["en"] == "192.0.2.4 is listed by spamcop"
    api.engine.metrics.observe(await api.engine.gauges())
    scraped = api.engine.metrics.exposition().decode()
    for line in (
        'carom_incidents_open{fault="sender",provider="all"} 1.0',
        'carom_incidents_open{fault="receiver",provider="gmail"} 0.0',
        'carom_reputation_complaint_ratio{provider="gmail"} 0.002',
        'carom_reputation_limit_ratio{provider="gmail"} 0.003',
        'carom_blocklisted{list="spamcop",subject_kind="ip"} 1.0',
    ):
        assert line in scraped


@pytest.mark.anyio
async def test_blocklists_are_asked_only_if_they_are_named(tmp_path: Path) -> None:
    async with DnsServer() as dns:
        dns.add("2.0.0.127.bl.spamcop.net", "A", "127.0.0.2")
        dns.add("4.2.0.192.bl.spamcop.net", "A", "127.0.0.2")
        servers = json.dumps([f"127.0.0.1:{dns.port}"])
        async with web(tmp_path / "silent", CAROM_SENDER__DNS__NAMESERVERS=servers) as api:
            names = {duty.name for duty in duties(api.engine)}
            assert names == {"incidents", "reputation", "tallies"}
        wanted = {
            "CAROM_SENDER__DNS__NAMESERVERS": servers,
            "CAROM_REPUTATION__BLOCKLISTS": '["spamcop"]',
            "CAROM_REPUTATION__ADDRESSES": '["192.0.2.4", "192.0.2.5"]',
        }
        async with web(tmp_path / "asking", **wanted) as api:
            [duty] = [one for one in duties(api.engine) if one.name == "blocklists"]
            await duty.do(NOW)
            found = (await api.get("/v1/reputation")).json()["blocklists"]
            assert {row["subject"]: row["state"] for row in found} == {
                "192.0.2.4": "listed",
                "192.0.2.5": "clear",
            }
            [incident] = (await listed(api))["incidents"]
            assert incident["evidence"]["remove"] == "https://www.spamcop.net/bl.shtml"


def test_our_domains_are_looked_up_with_our_addresses(tmp_path: Path) -> None:
    more = {
        "CAROM_REPUTATION__ADDRESSES": '["2001:db8::1"]',
        "CAROM_REPUTATION__DOMAINS": '["shop.example"]',
    }
    settings, _ = made(tmp_path / "mail", **more)
    assert subjects(settings) == [
        "2001:db8::1",
        "example.com",
        "bounces.example.com",
        "shop.example",
    ]


def test_addresses_are_by_default_the_public_ones_of_routes(tmp_path: Path) -> None:
    routes = [{"name": "main", "source": ["9.9.9.9", "10.0.0.1"]}]
    settings, _ = made(tmp_path / "mail", CAROM_SENDER__ROUTES=json.dumps(routes))
    assert subjects(settings) == ["9.9.9.9", "example.com", "bounces.example.com"]


@pytest.fixture
def config(tmp_path: Path) -> str:
    return str(setup.write(tmp_path / "set-up", setup.plan("example.com"), lambda n: b"k" * n))


def test_the_command_line_lists_shows_and_decides(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["--config", config]
    assert main(["incidents", "list", *here]) == 0
    assert capsys.readouterr().out == "no incident is open\n"
    settings = load(Path(config))

    async def trouble(store: Any) -> str:
        incident: str = await store.write(lambda tx: opened(tx, "suppressions", "gmail"))
        await store.write(lambda tx: hold(tx, incident, "ann@example.net"))
        return incident

    incident = with_store(settings, trouble)
    assert main(["incidents", "list", "--json", *here]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == incident
    assert main(["incidents", "show", incident, *here]) == 0
    told = capsys.readouterr().out
    assert "Far too many addresses of Gmail died at once, 1 held" in told
    assert main(["incidents", "release", incident.upper(), "--why", "true", *here]) == 0
    assert capsys.readouterr().out == "1 of 1 held addresses are suppressed now\n"
    assert main(["suppression", "check", "ann@example.net", *here]) == 1


def test_the_command_line_says_what_is_wrong(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["--config", config]
    assert main(["incidents", "show", "01none", *here]) == 1
    assert "there is no such incident" in capsys.readouterr().err
    assert main(["incidents", "list", "--state", "ajar", *here]) == 2
    assert "expected open, closed or all" in capsys.readouterr().err


def test_a_list_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="there is no list 'nowhere'"):
        made(tmp_path / "mail", CAROM_REPUTATION__BLOCKLISTS='["nowhere"]')


@pytest.mark.anyio
async def test_a_person_ends_an_incident_with_a_reason_once(api: Web) -> None:
    store = api.engine.store
    incident = await store.write(lambda tx: opened(tx, "reputation", "gmail"))
    answer = await api.post(f"/v1/incidents/{incident}/close?why=delisted+by+now", None)
    shown = answer.json()
    assert (answer.status_code, shown["state"]) == (200, "closed")
    assert shown["closed_why"].endswith(": delisted by now")
    wanted = select(audit).where(audit.c.subject == incident)
    [row] = await api.read(lambda tx: list(tx.execute(wanted)))
    assert (row.action, row.reason) == ("incident.close", "delisted by now")
    again = await api.post(f"/v1/incidents/{incident}/close", None)
    assert (again.status_code, again.json()["type"]) == (409, "urn:carom:problem:already-closed")
    assert (await api.post("/v1/incidents/01none/close", None)).status_code == 404


@pytest.mark.anyio
async def test_what_is_held_is_decided_before_an_incident_ends(api: Web) -> None:
    store = api.engine.store
    incident = await store.write(lambda tx: opened(tx, "suppressions", "gmail"))
    await store.write(lambda tx: hold(tx, incident, "ann@example.net"))
    answer = await api.post(f"/v1/incidents/{incident}/close", None)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:carom:problem:something-held")
    await api.post(f"/v1/incidents/{incident}/drop", None)
    [shown] = (await listed(api, {"state": "closed"}))["incidents"]
    assert shown["closed_why"].startswith("dropped by ")
