"""Reports are recorded once, touch only the delivery they prove, and blame only the guilty."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from analysis import ledger
from analysis.facts import Arrival, Kind, Reading, ReportedRecipient
from analysis.ledger import MOST_REPORTS, Recorded
from analysis.lifecycle import Fact
from analysis.schema import (
    deliveries,
    events,
    messages,
    raw_inbound,
    reports,
    soft_bounces,
    suppressions,
)
from analysis.store import Store, open_store
from analysis.suppression import EVERY_STREAM, Reason
from sender import leases
from tests.storing import (
    BLOCKED,
    BOX_FULL,
    DAY,
    LIMITS,
    NO_SUCH_USER,
    NOW,
    came_of,
    claimed,
    delivered,
    entry,
    kinds_of_events,
    new_id,
    reasons,
    recorded,
    rows,
    sent_to,
    state_of,
    suppressed,
)

pytestmark = pytest.mark.anyio

ANN = "ann@example.net"
DEAD = ReportedRecipient(ANN, "failed", "5.1.1", "550", "no such user", verdict=NO_SUCH_USER)
FULL = ReportedRecipient(ANN, "failed", "5.2.2", "552", "mailbox full", verdict=BOX_FULL)
BOUNCE = Reading(Kind.BOUNCE, (DEAD,))
SPAM = Reading(Kind.COMPLAINT, feedback_type="abuse")
NOT_SPAM = Reading(Kind.COMPLAINT, feedback_type="not-spam")
STOP = Reading(Kind.UNSUBSCRIBE)
HARMLESS = [
    Reading(Kind.DELAYED, (replace(FULL, action="delayed", status="4.2.2"),)),
    Reading(Kind.DELIVERED, (replace(DEAD, action="delivered", status="2.0.0"),)),
    Reading(Kind.BOUNCE, (replace(DEAD, action="relayed", status="2.0.0"),)),
    Reading(Kind.BOUNCE, (replace(DEAD, action="expanded", status="2.0.0"),)),
    Reading(Kind.BOUNCE, (replace(DEAD, action="delayed", status="4.4.1"),)),
    Reading(Kind.AUTOREPLY),
    Reading(Kind.CHALLENGE),
    Reading(Kind.MDN),
    Reading(Kind.NORMAL),
    NOT_SPAM,
]


async def arrive(
    store: Store,
    reading: Reading,
    delivery_id: str | None,
    *,
    at: float = NOW + 10,
    raw_id: str | None = None,
) -> list[Recorded]:
    """A report comes in, is stored, and is entered."""
    if raw_id is None:
        raw_id = await stored(store)
    arrival = Arrival(raw_id, at, "bounce", delivery_id, reading)
    return await store.write(
        lambda tx: ledger.enter(tx, arrival, now=at, limits=LIMITS, new_id=new_id)
    )


async def stored(store: Store) -> str:
    raw_id = new_id()
    row = {
        "id": raw_id,
        "received_at": NOW,
        "peer": "192.0.2.7",
        "helo": "mx.example.net",
        "mail_from": "",
        "recipient": "b+x@bounces.example.com",
        "purpose": "bounce",
        "content": b"",
        "state": "new",
        "tries": 0,
        "lease_until": 0.0,
    }
    await store.write(lambda tx: tx.execute(insert(raw_inbound), [row]) and None)
    return raw_id


async def everything(store: Store) -> list[object]:
    tables = (deliveries, suppressions, soft_bounces, events)
    return [await rows(store, table) for table in tables]


async def test_a_bounce_ends_the_delivery_and_suppresses_its_recipient(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    [new] = await arrive(store, BOUNCE, delivery)
    assert new.suppressed
    assert await state_of(store, delivery) == "bounced"
    [row] = await rows(store, suppressions)
    assert (row["address"], row["stream"], row["reason"]) == (ANN, EVERY_STREAM, "hard_bounce")
    assert (row["delivery_id"], row["evidence"]) == (delivery, "no such user")
    assert row["until"] == NOW + 10 + 365 * DAY
    assert (await kinds_of_events(store))[-2:] == ["bounced", "suppressed"]


async def test_the_delivery_says_why_it_bounced_and_when_it_had_been_accepted(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await arrive(store, BOUNCE, delivery)
    [row] = await rows(store, deliveries)
    told = (row["code"], row["enhanced"], row["reply"], row["category"], row["fault"], row["rule"])
    assert told == (550, "5.1.1", "no such user", "bad_mailbox", "recipient", "test/no-user")
    assert (row["accepted_at"], row["settled_at"]) == (NOW + 1, NOW + 10)


async def test_a_bounce_that_overtakes_our_own_commit_waits_for_it(store: Store) -> None:
    """The next host had accepted and bounced before the attempt was recorded."""
    await sent_to(store, ANN)
    [claim] = await claimed(store)
    raw_id = await stored(store)
    assert await arrive(store, BOUNCE, claim.delivery_id, raw_id=raw_id) == []
    [row] = await rows(store, raw_inbound)
    assert (row["state"], row["tries"], row["lease_until"]) == ("new", -1, NOW + 10 + ledger.WAIT)
    assert await state_of(store, claim.delivery_id) == "sending"

    await recorded(store, came_of(claim, Fact.ACCEPTED))
    [new] = await arrive(store, BOUNCE, claim.delivery_id, raw_id=raw_id)
    assert new.suppressed
    assert await state_of(store, claim.delivery_id) == "bounced"


async def test_a_bounce_counts_though_the_node_that_sent_died_before_it_could_say_so(
    store: Store,
) -> None:
    await sent_to(store, ANN)
    [claim] = await claimed(store)
    held = [(claim.delivery_id, claim.epoch)]
    await store.write(lambda tx: leases.release(tx, held=held, now=NOW + 5, due_at=NOW + 5))
    await arrive(store, BOUNCE, claim.delivery_id)
    assert await state_of(store, claim.delivery_id) == "bounced"


async def test_the_same_fact_in_another_mail_is_not_new(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await arrive(store, BOUNCE, delivery)
    before = await everything(store)
    for _ in range(3):
        assert await arrive(store, BOUNCE, delivery, at=NOW + 99) == []
    assert await everything(store) == before
    assert len(await rows(store, reports)) == 1


async def test_the_same_report_read_by_two_at_once_is_recorded_once(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    raw_ids = [await stored(store) for _ in range(8)]
    found = await asyncio.gather(
        *(arrive(store, BOUNCE, delivery, raw_id=raw_id) for raw_id in raw_ids)
    )
    assert sum(map(len, found)) == 1
    assert len(await rows(store, suppressions)) == 1


@pytest.mark.parametrize("reading", [BOUNCE, SPAM, STOP], ids=lambda r: r.kind.value)
async def test_what_proves_nothing_changes_nothing(store: Store, reading: Reading) -> None:
    await delivered(store, ANN)
    before = await everything(store)
    await arrive(store, reading, None)
    await arrive(store, reading, "7zzzzzzzzzzzzzzzzzzzzzzzzz")
    assert await everything(store) == before
    assert [row["delivery_id"] for row in await rows(store, reports)] == [None, None]


async def test_a_report_touches_its_own_delivery_only(store: Store) -> None:
    """Whatever addresses it names: the token says whose it is."""
    [ann] = await delivered(store, ANN)
    [bob] = await delivered(store, "bob@example.net")
    named = replace(DEAD, address="bob@example.net")
    await arrive(store, Reading(Kind.BOUNCE, (named,)), ann)
    assert await state_of(store, bob) == "delivered"
    assert {row["address"] for row in await rows(store, suppressions)} <= {ANN}


async def test_a_block_of_ours_never_suppresses_the_recipient(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    blocked = replace(DEAD, status="5.7.1", diagnostic="blocklisted", verdict=BLOCKED)
    await arrive(store, Reading(Kind.BOUNCE, (blocked,)), delivery)
    assert await state_of(store, delivery) == "bounced"
    assert await rows(store, suppressions) == await rows(store, soft_bounces) == []


async def test_a_forwarders_bounce_does_not_condemn_the_address_we_wrote_to(store: Store) -> None:
    """Only on several days together is a dead end behind a forwarder strong evidence."""
    elsewhere = replace(DEAD, address="old.ann@example.org", original=ANN)
    found = []
    for day in range(3):
        [delivery] = await delivered(store, ANN)
        await arrive(store, Reading(Kind.BOUNCE, (elsewhere,)), delivery, at=NOW + day * DAY + 10)
        found.append(reasons(await rows(store, suppressions)))
    assert found == [[], [], ["soft_bounce"]]


async def test_a_forwarded_mailbox_that_is_full_is_no_mark_against_ours(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    elsewhere = replace(FULL, address="old.ann@example.org")
    await arrive(store, Reading(Kind.BOUNCE, (elsewhere,)), delivery)
    assert await rows(store, soft_bounces) == []


async def test_our_address_in_other_letters_or_not_named_at_all_is_ours(store: Store) -> None:
    sent = [(await delivered(store, ANN))[0] for _ in range(2)]
    unsure = replace(NO_SUCH_USER, confidence=0.6)
    for delivery, named in zip(sent, ("ANN@Example.NET", ""), strict=True):
        one = replace(DEAD, address=named, status=None, verdict=unsure)
        [new] = await arrive(store, Reading(Kind.BOUNCE, (one,)), delivery)
        assert new.suppressed


async def test_soft_bounces_on_three_days_suppress_for_a_while(store: Store) -> None:
    """Although the gateway in front of the mailbox accepts each time."""
    for day in range(3):
        [delivery] = await delivered(store, ANN)
        [new] = await arrive(
            store, Reading(Kind.BOUNCE, (FULL,)), delivery, at=NOW + day * DAY + 10
        )
        assert new.suppressed is (day == 2)
    [row] = await rows(store, suppressions)
    assert (row["reason"], row["until"]) == ("soft_bounce", NOW + 2 * DAY + 10 + 7 * DAY)


@pytest.mark.parametrize("reading", HARMLESS, ids=lambda r: f"{r.kind.value}-{r.feedback_type}")
async def test_good_news_and_chatter_change_no_state(store: Store, reading: Reading) -> None:
    [delivery] = await delivered(store, ANN)
    before = (await everything(store))[:3]
    assert len(await arrive(store, reading, delivery)) == 1
    assert (await everything(store))[:3] == before
    assert len(await rows(store, reports)) == 1


async def test_a_bounce_of_what_was_never_tried_counts_for_nothing(store: Store) -> None:
    [delivery] = await sent_to(store, ANN)
    await arrive(store, BOUNCE, delivery)
    assert await state_of(store, delivery) == "queued"
    assert await rows(store, suppressions) == []


async def test_a_bounce_of_what_was_refused_at_the_door_counts_for_nothing(store: Store) -> None:
    [delivery] = await sent_to(store, ANN)
    [claim] = await claimed(store)
    await recorded(store, came_of(claim, Fact.REFUSED, verdict=BLOCKED))
    await arrive(store, BOUNCE, delivery)
    assert await rows(store, suppressions) == []


async def test_a_try_in_doubt_that_had_been_accepted_may_bounce(store: Store) -> None:
    [delivery] = await sent_to(store, ANN)
    [claim] = await claimed(store)
    await recorded(store, came_of(claim, Fact.PUT_OFF, result="in_doubt"))
    await arrive(store, BOUNCE, delivery)
    assert await state_of(store, delivery) == "bounced"
    assert await claimed(store, NOW + 1000) == []


@pytest.mark.parametrize("type_", ["abuse", "fraud", "virus", "other", None])
async def test_a_complaint_withholds_its_stream_for_good(store: Store, type_: str | None) -> None:
    [delivery] = await delivered(store, ANN, stream="news")
    await arrive(store, Reading(Kind.COMPLAINT, feedback_type=type_), delivery)
    assert await state_of(store, delivery) == "complained"
    [row] = await rows(store, suppressions)
    assert (row["reason"], row["stream"], row["until"]) == ("complaint", "news", None)


async def test_not_spam_takes_the_complaint_back_and_nothing_else(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await suppressed(store, entry(ANN, Reason.MANUAL))
    await arrive(store, SPAM, delivery)
    await arrive(store, NOT_SPAM, delivery)
    assert reasons(await rows(store, suppressions)) == ["manual"]


@pytest.mark.parametrize("reading", [STOP, Reading(Kind.COMPLAINT, feedback_type="opt-out")])
async def test_whoever_unsubscribes_is_left_alone_in_that_stream(
    store: Store, reading: Reading
) -> None:
    [delivery] = await delivered(store, ANN, stream="news")
    await arrive(store, reading, delivery)
    assert await state_of(store, delivery) == "delivered"
    [row] = await rows(store, suppressions)
    assert (row["reason"], row["stream"]) == ("unsubscribe", "news")


async def test_an_authentication_report_is_no_complaint(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await arrive(store, Reading(Kind.COMPLAINT, feedback_type="auth-failure"), delivery)
    assert await state_of(store, delivery) == "delivered"
    assert await rows(store, suppressions) == []


async def test_a_token_in_the_wrong_hands_fills_no_disk(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    junk = tuple(replace(DEAD, address=f"x{n}@example.org") for n in range(MOST_REPORTS + 5))
    assert len(await arrive(store, Reading(Kind.BOUNCE, junk), delivery)) == MOST_REPORTS
    assert await arrive(store, SPAM, delivery) == []
    assert len(await rows(store, reports)) == MOST_REPORTS


@pytest.mark.parametrize(
    ("reading", "understood"),
    [
        (BOUNCE, True),
        (Reading(Kind.BOUNCE, (ReportedRecipient(ANN),)), False),  # a verdict that is UNKNOWN
        (Reading(Kind.BOUNCE), False),
        (Reading(Kind.NORMAL, error="headers without end"), False),
        (Reading(Kind.AUTOREPLY), True),
    ],
)
async def test_the_raw_mail_is_marked_read_and_whether_it_was_understood(
    store: Store, reading: Reading, understood: bool
) -> None:
    await arrive(store, reading, None)
    [row] = await rows(store, raw_inbound)
    told = (row["state"], row["kind"], row["understood"], row["error"])
    assert told == ("read", reading.kind.value, understood, reading.error)


async def test_absurd_words_of_a_report_are_recorded_all_the_same(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    long = "x" * 3000
    odd = Reading(
        Kind.COMPLAINT, (replace(DEAD, action=long, status=long, address=long),), feedback_type=long
    )
    await arrive(store, odd, delivery)
    await arrive(store, Reading(Kind.BOUNCE, (replace(DEAD, status=long),)), delivery)
    assert len(await rows(store, reports)) == 2


async def test_a_message_is_found_by_an_id_of_ours_if_it_had_one_recipient(store: Store) -> None:
    [alone] = await delivered(store, ANN)
    several = (await delivered(store, ANN, "bob@example.net"))[0]
    [counted] = await delivered(store, ANN, header_message_id="<order-17@example.com>")
    names = {row["id"]: row["header_message_id"] for row in await rows(store, messages)}
    of = {row["id"]: names[row["message_id"]] for row in await rows(store, deliveries)}

    async def found(header: str) -> str | None:
        return await store.read(lambda tx: ledger.find_by_message_id(tx, header))

    assert await found(of[alone]) == alone
    assert await found(of[several]) is None
    assert await found(of[counted]) is None, "a client's own may be guessed"
    assert await found(of[alone].replace("@", "@x.")) is None
    assert await found("<none@example.com>") is None


async def test_a_report_that_cannot_be_entered_leaves_nothing(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    before = await everything(store)
    broken = replace(DEAD, address="bob@example.net", reply_code="none")
    with pytest.raises(ValueError, match="none"):
        await arrive(store, Reading(Kind.BOUNCE, (DEAD, broken)), delivery)
    assert await everything(store) == before
    assert await rows(store, reports) == []


SAID = [BOUNCE, SPAM, STOP, *HARMLESS[:-1]]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(range(len(SAID))), min_size=1, max_size=12), st.data())
def test_reports_say_the_same_in_any_order_and_however_often(
    migrated_sqlite: Path, tmp_path: Path, said: list[int], data: st.DataObject
) -> None:
    """A bounce and a complaint race for the state, as the table says; nothing else does."""
    once = sorted(set(said))
    doubled = data.draw(st.permutations(said + once))
    file = tmp_path / "ledger.db"
    if not file.exists():
        shutil.copy(migrated_sqlite, file)
    ends = asyncio.run(_outcomes(f"sqlite:///{file}", [once, once[::-1], doubled]))
    if {0, 1} <= set(said):
        ends = [end[1:] for end in ends]
    assert ends == [ends[0]] * 3


async def _outcomes(url: str, orders: list[list[int]]) -> list[tuple[object, ...]]:
    store = open_store(url)
    ends = [await _outcome(store, order) for order in orders]
    await store.close()
    return ends


async def _outcome(store: Store, said: list[int]) -> tuple[object, ...]:
    """State, standing reasons, and number of facts after these reports on a fresh delivery."""
    for table in (suppressions, soft_bounces):
        await store.write(lambda tx, table=table: tx.execute(table.delete()) and None)
    [delivery] = await delivered(store, ANN)
    for number in said:
        await arrive(store, SAID[number], delivery)
    facts = await rows(store, reports, reports.c.delivery_id == delivery)
    state = await state_of(store, delivery)
    return (state, *reasons(await rows(store, suppressions)), len(facts))
