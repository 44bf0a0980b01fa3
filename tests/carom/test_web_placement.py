"""`GET /v1/placement` over HTTP: its questions, its refusals, and what it says of nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from analysis import placement
from analysis.placement import Place, Probe, Sighting
from tests.carom.web_peer import Web, on, web

pytestmark = pytest.mark.anyio


@pytest.fixture
async def peer(tmp_path: Path, migrated_url: str) -> AsyncIterator[Web]:
    async with web(tmp_path, **on(migrated_url)) as peer:
        yield peer


async def probe(peer: Web, n: int, provider: str, place: Place, age: float = 60.0) -> None:
    """A probe that was found, or one that is awaited where the place is none of a folder."""
    now = time.time()
    sent = Probe(f"01kas{n:021d}", "m" * 26, "d" * 26, f"seed{n}", provider, "news", now - age)
    found = [Sighting(sent.id, place, "Folder", now - age + 2, "pass")]
    await peer.engine.store.write(lambda tx: placement.remember(tx, [sent]))
    if place in placement.FOUND:
        await peer.engine.store.write(
            lambda tx: placement.record(tx, sent.seed, found, looked_at=now, missing_after=9.0)
        )


async def test_of_nothing_it_says_nothing(peer: Web) -> None:
    told = (await peer.get("/v1/placement")).json()
    assert told["total"]["samples"] == 0
    assert told["total"]["ratio"] is told["total"]["low"] is told["total"]["high"] is None
    assert told["providers"] == told["streams"] == told["recent"] == []
    assert told["estimate"]["known"] is False
    assert told["estimate"]["low"] is None


async def test_ratios_come_with_samples_and_interval_by_provider_and_stream(peer: Web) -> None:
    for n, place in enumerate([Place.INBOX] * 3 + [Place.JUNK]):
        await probe(peer, n, "gmail", place)
    await probe(peer, 8, "qq", Place.MISSING)  # still awaited
    told = (await peer.get("/v1/placement")).json()
    gmail, qq = told["providers"]
    assert (gmail["provider"], gmail["samples"], gmail["ratio"]) == ("gmail", 4, 0.75)
    assert 0.2 < gmail["low"] < 0.75 < gmail["high"] < 1.0
    assert (qq["samples"], qq["waiting"], qq["ratio"]) == (0, 1, None)
    assert [(one["stream"], one["provider"]) for one in told["streams"]] == [
        ("news", "gmail"),
        ("news", "qq"),
    ]
    newest = told["recent"][0]
    assert set(newest["authentication"]) == {"spf", "dkim", "dmarc"}
    only = (await peer.get("/v1/placement", {"provider": "qq", "limit": 1})).json()
    assert [one["provider"] for one in only["providers"]] == ["qq"]
    assert len(only["recent"]) == 1


async def test_since_leaves_older_probes_out(peer: Web) -> None:
    await probe(peer, 1, "gmail", Place.INBOX, age=7_200.0)
    await probe(peer, 2, "gmail", Place.JUNK)
    hour_ago = time.time() - 3_600
    told = (await peer.get("/v1/placement", {"since": str(hour_ago)})).json()
    assert told["total"]["samples"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "0"}, "since"),
        ({"since": "4000000000"}, "since"),
        ({"provider": "gmial"}, "provider"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "1001"}, "limit"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_its_name(
    peer: Web, query: dict[str, str], field: str
) -> None:
    answer = await peer.get("/v1/placement", query)
    assert answer.status_code == 422
    assert answer.json()["field"] == field


async def test_it_needs_a_key(peer: Web) -> None:
    answer = await peer.client.get("/v1/placement", headers={"Authorization": "Bearer none"})
    assert answer.status_code == 401
