"""The radar keeps what is alike in replies nobody understood, counted and bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import ledger, radar
from analysis.facts import Arrival, Kind, Reading, ReportedRecipient
from analysis.lifecycle import Fact
from analysis.radar import MOST_KEPT, Sighting, fingerprint, most_seen, note
from analysis.reply import Reply, Stage
from analysis.rulebook import shipped
from analysis.schema import unknown_replies
from analysis.store import Store
from analysis.verdict import UNKNOWN
from tests.growth import assert_linear
from tests.storing import (
    LIMITS,
    NO_SUCH_USER,
    NOW,
    came_of,
    claimed,
    delivered,
    new_id,
    recorded,
    rows,
    sent_to,
)

in_store = pytest.mark.anyio


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "The frobnitz of <ann@example.net> is shut",
            "the frobnitz of <bob.b@example.org> is SHUT",
        ),
        ("try 12 (id 4XyZ9Q)", "try 9000 (id B00K)"),
        ("said mx1.example.net[192.0.2.7]", "said relay.example.org[2001:db8::7]"),
        ("at Mon, 23 Nov 2026 12:00:00 +0000 it was", "at Tue, 1 Dec 2026 01:02:03 -0800 it was"),
        ("see https://help.example.com/x?id=1 now", "see http://example.org/yyy now"),
        ("queued as deadbeef then", "queued as cafebabe then"),
        ("ticket AbCdEfGhIjKl is open", "ticket QwErTyUiOpAs is open"),
        ("邮箱 user123 不收信", "邮箱 a7 不收信"),
        ("call 'x' 550-5.1.0 again", "call 'x' 451-4.3.2 again"),
    ],
)
def test_what_differs_from_reply_to_reply_is_masked(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the frobnitz is shut", "the frobnitz is open"),
        ("you may write to us", "you can write to us"),
        ("邮箱不收信", "邮箱已停用"),
        ("BitDefender says no", "SpamAssassin says no"),
    ],
)
def test_other_words_are_another_fingerprint(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_a_fingerprint_names_nobody() -> None:
    told = fingerprint("<ann.lee@example.net>: ann.lee@example.net said no to host mx.example.net")
    assert told == "<@>: @ said no to host host"


@given(st.text(max_size=800))
def test_a_fingerprint_is_bounded_and_its_own(text: str) -> None:
    made = fingerprint(text)
    assert len(made) <= MOST_KEPT
    assert "\x00" not in made
    if len(made) < MOST_KEPT - 10:  # a cut may leave half a word
        assert fingerprint(made) == made


@given(st.lists(st.integers(0, 10**12), min_size=3, max_size=3))
def test_numbers_never_tell_two_replies_apart(numbers: list[int]) -> None:
    first, second, third = numbers
    text = "over {} of {} for {}x today"
    assert fingerprint(text.format(*numbers)) == fingerprint(text.format(1, 2, 3))
    assert fingerprint(f"a {first} b {second} c {third}") == "a # b # c #"


@pytest.mark.parametrize(
    "piece", ["a.", "#:", "a@", "1 ", "((", "mon ", "-", "aB", "://", "\u4e2d."]
)
def test_hostile_text_is_read_in_linear_time(piece: str) -> None:
    assert_linear(fingerprint, lambda size: piece * (size // len(piece)), 1_000_000)


def seen(
    text: str = "the frobnitz is shut",
    *,
    at: float = NOW,
    delivery: str | None = None,
    **other: Any,
) -> Sighting:
    fields: dict[str, Any] = {"code": 550, "enhanced": None, "stage": Stage.RCPT}
    return Sighting(Reply(text=text, **(fields | other)), at, delivery)


async def noted(store: Store, *sightings: Sighting, **other: Any) -> None:
    await store.write(lambda tx: note(tx, sightings, **other))


async def listed(store: Store, limit: int = 100) -> list[radar.Unknown]:
    return await store.read(lambda tx: most_seen(tx, limit))


@in_store
async def test_sightings_are_counted_by_provider_and_stage(store: Store) -> None:
    await noted(store, seen(at=NOW), seen(at=NOW + 1), seen(provider="qq", at=NOW + 2))
    await noted(store, seen(at=NOW + 9, delivery="d" * 26), seen("quite another"))
    first, second = await listed(store)
    assert (first.fingerprint, first.seen) == ("the frobnitz is shut", 4)
    assert first.by == (("other", "rcpt", 3), ("qq", "rcpt", 1))
    assert (first.first_at, first.last_at, first.delivery_id) == (NOW, NOW + 9, "d" * 26)
    assert second.seen == 1
    assert [one.seen for one in await listed(store, 1)] == [4]


@in_store
async def test_an_example_shows_no_address(store: Store) -> None:
    await noted(store, seen("no frobnitz for <ann@example.net> at 10"))
    [one] = await listed(store)
    assert str(one.example) == "550 no frobnitz for <@> at 10"


@in_store
async def test_when_it_is_full_the_rare_and_old_make_room(store: Store) -> None:
    often = [seen(f"often {word}", at=NOW) for word in ("a", "b", "c") for _ in range(3)]
    await noted(store, *often)
    words = [f"rare {chr(97 + n)}{chr(98 + n)}x" for n in range(20)]
    for n, word in enumerate(words):
        await noted(store, seen(word, at=NOW + 1 + n), most=10)
    kept = {row["fingerprint"] for row in await rows(store, unknown_replies)}
    assert len(kept) <= 10
    assert {"often a", "often b", "often c", words[-1]} <= kept


@in_store
async def test_a_reply_in_a_session_that_no_rule_took_is_seen(store: Store) -> None:
    await sent_to(store, "ann@example.net", "bob@example.net", "eve@example.net")
    ann, bob, eve = await claimed(store)
    reply = Reply(550, None, "the frobnitz is shut", Stage.RCPT, "other", "mx.example.net")
    await recorded(
        store,
        came_of(ann, Fact.PUT_OFF, reply=reply, verdict=UNKNOWN, provider="qq"),
        came_of(bob, Fact.REFUSED, reply=reply, verdict=NO_SUCH_USER),
        came_of(eve, Fact.ACCEPTED),
    )
    [one] = await listed(store)
    assert one.by == (("qq", "rcpt", 1),)
    assert one.delivery_id == ann.delivery_id


@in_store
async def test_a_bounce_that_no_rule_took_is_seen_once_however_often_it_comes(store: Store) -> None:
    [delivery] = await delivered(store, "ann@example.net")
    said = "smtp; 550 <ann@example.net> the frobnitz is shut"
    verdict = shipped().classify(Reply.read(said, stage=Stage.REPORT))
    assert radar.unknown(verdict)
    named = ReportedRecipient("ann@example.net", "failed", "5.0.0", "550", said, verdict=verdict)
    for _ in range(2):
        arrival = Arrival(new_id(), NOW, "bounce", delivery, Reading(Kind.BOUNCE, (named,)))
        await store.write(
            lambda tx, arrival=arrival: ledger.enter(
                tx, arrival, now=NOW, limits=LIMITS, new_id=new_id
            )
        )
    [one] = await listed(store)
    assert (one.fingerprint, one.seen) == ("<@> the frobnitz is shut", 1)
    assert one.by == (("other", "report", 1),)
