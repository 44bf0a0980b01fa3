"""What people do at the console, and that it is audited with who and why."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import func, select

from analysis.address import address_hash, parse
from analysis.erase import erase
from analysis.lookup import message as message_of
from analysis.schema import audit, suppressions
from tests.carom.console_peer import Console, words
from tests.carom.test_web_incidents import hold, opened
from tests.storing import NOW

pytestmark = pytest.mark.anyio


async def test_suppressing_and_lifting_are_audited_with_who_and_why(desk: Console) -> None:
    done = await desk.act("/suppress", address="Eve@Example.NET", why="T-1 <asked>", stream="*")
    assert done.headers["location"].endswith("/address?address=Eve%40example.net&done=suppressed")
    page = words(await desk.client.get(done.headers["location"]))
    assert "The address is suppressed now." in page
    assert "T-1 <asked>" in page
    lifted = await desk.act("/lift", address="eve@example.net", why="works", reason="manual")
    page = words(await desk.client.get(lifted.headers["location"]))
    assert "goes out" in page
    rows = await desk.engine.store.read(
        lambda tx: tx.execute(select(audit).order_by(audit.c.seq.desc()).limit(2)).all()
    )
    assert [(row.action, row.reason) for row in rows] == [
        ("suppression.lift", "works"),
        ("suppression.suppress", "T-1 <asked>"),
    ]
    assert all(row.actor.startswith("init (") and row.actor.endswith("console") for row in rows)


REFUSED = (
    {"address": "eve@example.net", "why": " "},
    {"address": "not an address", "why": "x"},
    {"address": "eve@example.net", "why": "x", "stream": "a b"},
)


async def test_a_deed_that_cannot_be_is_refused_with_words(view: Console) -> None:
    for fields in REFUSED:
        assert (await view.act("/suppress", **fields)).status_code == 422
    counted = select(func.count()).select_from(suppressions)
    assert await view.engine.store.read(lambda tx: tx.execute(counted).scalar()) == 3


async def test_an_incident_is_noted_and_closed_by_a_person(desk: Console) -> None:
    page = await desk.get("/incidents")
    incident = re.search(r"/incidents/(01[0-9a-z]{24})", page.text)
    assert incident is not None
    path = f"/incidents/{incident[1]}"
    assert (await desk.act(path, do="note", why=" ")).status_code == 422
    assert (await desk.act(path, do="burn", why="x")).status_code == 422
    assert (await desk.act("/incidents/01none", do="note", why="x")).status_code == 404
    await desk.act(path, do="note", why="asked <them>, T-9")
    seen = words(await desk.get("/incidents"))
    assert "asked <them>, T-9" in seen
    assert "init (" in seen
    closed = await desk.act(path, do="close", why="off the list")
    assert closed.headers["location"].endswith(f"/incidents?done=closed#{incident[1]}")
    page = await desk.client.get(closed.headers["location"])
    assert "No incident is open." in words(page)
    assert "off the list" in words(page)
    assert (await desk.act(path, do="close", why="again")).status_code == 409
    rows = await desk.engine.store.read(
        lambda tx: tx.execute(select(audit.c.action).where(audit.c.subject == incident[1])).all()
    )
    assert [row.action for row in rows] == ["incident.note", "incident.close"]


@pytest.mark.parametrize(
    ("what", "said", "listed"),
    [
        ("release", "suppressed now", ["dead0@gmail.com", "dead1@gmail.com"]),
        ("drop", "are forgotten", []),
    ],
)
async def test_what_the_breaker_holds_is_released_or_dropped_by_a_person(
    desk: Console, what: str, said: str, listed: list[str]
) -> None:
    store = desk.engine.store
    incident = await store.write(lambda tx: opened(tx, "suppressions", "gmail"))
    await store.write(lambda tx: hold(tx, incident, "dead0@gmail.com", "dead1@gmail.com"))
    assert "2 suppressions are held back." in words(await desk.get("/incidents"))
    done = await desk.act(f"/incidents/{incident}", do=what, why="asked Gmail, T-12")
    page = await desk.client.get(done.headers["location"])
    assert said in words(page)
    assert "are held back" not in words(page)
    assert "asked Gmail, T-12" in words(page)
    found = select(suppressions.c.address).where(suppressions.c.address.like("dead%"))
    order = found.order_by(suppressions.c.address)
    assert await store.read(lambda tx: list(tx.execute(order).scalars())) == listed
    row = select(audit).where(audit.c.subject == incident, audit.c.action == f"incident.{what}")
    told = await store.read(lambda tx: tx.execute(row).one())
    assert (told.reason, told.data["held"]) == ("asked Gmail, T-12", 2)
    assert told.actor.endswith("console")
    assert f'value="{what}"' not in page.text


async def test_the_audit_names_whom_it_is_about_until_they_are_erased(desk: Console) -> None:
    await desk.act("/suppress", address="ada@gmail.com", why="asked for", stream="*")
    await desk.act(f"/messages/{desk.first}/resend")
    page = words(await desk.get("/audit"))
    for name in ("ada@gmail.com", "Your reset code", "Suppressed", "Sent again"):
        assert name in page
    assert "suppression.suppress" not in page
    hashed = address_hash(parse("ada@gmail.com").key)
    await desk.act("/lift", address="ada@gmail.com", why="asked again", reason="manual")
    only = words(await desk.get(f"/audit?subject={hashed.hex()}"))
    assert "Only entries about ada@gmail.com" in only
    assert "Your reset code" not in only
    await desk.engine.store.write(lambda tx: erase(tx, hashed, now=NOW, actor="a", why="b"))
    assert "ada@gmail.com" not in words(await desk.get("/audit"))


async def test_sending_again_makes_a_new_message_and_is_audited(desk: Console) -> None:
    done = await desk.act(f"/messages/{desk.first}/resend")
    new = done.headers["location"].removeprefix("/console/messages/").partition("?")[0]
    found = await desk.engine.store.read(lambda tx: message_of(tx, new))
    assert found is not None
    assert found["metadata"] == {"resend_of": desk.first}
    assert "Sent again" in words(await desk.client.get(done.headers["location"]))
    assert new in str(await _newest_audit(desk))


async def test_cancelling_ends_what_is_queued_once(desk: Console) -> None:
    for said in ("is cancelled", "nothing could be cancelled"):
        done = await desk.act(f"/messages/{desk.first}/cancel")
        assert said in words(await desk.client.get(done.headers["location"]))
    assert (await desk.act("/messages/" + "0" * 26 + "/cancel")).status_code in (303, 404)
    assert (await desk.act("/messages/x/resend")).status_code == 404


async def test_a_key_is_made_shown_once_and_revoked(desk: Console) -> None:
    made = await desk.act("/keys", name="shop <1>", **{"scope-read": "yes", "scope-send": "yes"})
    [text] = re.findall(r"carom_[0-9a-f]{8}_[0-9a-f]{64}", made.text)
    assert text not in (await desk.get("/keys")).text
    assert text not in str(await _newest_audit(desk))
    key_id = text.split("_")[1]
    bearer = {"Authorization": f"Bearer {text}"}
    assert (await desk.client.get("/v1/events", headers=bearer)).status_code == 200
    done = await desk.act(f"/keys/{key_id}/revoke")
    assert "revoked" in words(await desk.client.get(done.headers["location"]))
    assert (await desk.act(f"/keys/{key_id}/revoke")).status_code == 404
    assert (await desk.act("/keys", name="x")).status_code == 422


async def _newest_audit(desk: Console) -> Any:
    newest = select(audit).order_by(audit.c.seq.desc()).limit(1)
    return await desk.engine.store.read(lambda tx: tx.execute(newest).one())
