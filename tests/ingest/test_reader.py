"""The reader's loop: every stored report is entered once, and none stands in another's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import pytest
import structlog
from sqlalchemy import select

from analysis.facts import Kind, Reading, ReportedRecipient
from analysis.ledger import WAIT, Recorded
from analysis.lifecycle import Fact
from analysis.rulebook import shipped
from analysis.schema import aggregate_reports, raw_inbound, reports, suppressions
from analysis.store import Store
from carom import aggregating
from ingest import authenticity
from ingest.authenticity import FIRST
from ingest.inbox import MOST_TRIES
from ingest.parse import read_mail
from ingest.reading_room import Limits, NoDesk, ReadingRoom
from ingest.worker import Pace, Reader, meant
from sender.resolver import Bounds, Resolver
from tests.analysis.test_aggregate_ledger import LEDGER
from tests.ingest.aggregate_files import dmarc_report, dmarc_row, dmarc_xml, mail, packed
from tests.ingest.letters import LETTER, group, report
from tests.ingest.signed import House
from tests.ingest.test_inbox import claimed, kept, raw
from tests.peers.dns_server import DnsServer, Manner
from tests.storing import (
    LIMITS,
    NO_SUCH_USER,
    NOW,
    Unsteady,
    came_of,
    delivered,
    new_id,
    reasons,
    recorded,
    rows,
    sent_to,
    state_of,
    until,
)
from tests.storing import claimed as claimed_deliveries

pytestmark = pytest.mark.anyio

DEAD = ReportedRecipient("ann@example.net", status="5.1.1", verdict=NO_SUCH_USER)
READINGS = {
    b"bounce": Reading(Kind.BOUNCE, (DEAD,)),
    b"away": Reading(Kind.AUTOREPLY),
    b"spam": Reading(Kind.COMPLAINT, feedback_type="abuse"),
    b"hello": Reading(Kind.NORMAL),
    # a reply code that is none: our own parser's fault, found when the row is made
    b"poison": Reading(Kind.BOUNCE, (replace(DEAD, reply_code="none"),)),
}


class Heard:
    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        self.facts: list[Recorded] = []

    def read(self, kind: Kind) -> None:
        self.kinds.append(kind)

    def reported(self, fact: Recorded) -> None:
        self.facts.append(fact)


def reader(
    store: Any, heard: Heard, clock: Callable[[], float] = lambda: NOW, **other: Any
) -> Reader:
    given = {
        "read_all": lambda contents: [parts["read"](content) for content in contents],
        "read": lambda content: READINGS[content],
        "owner_of": lambda local: None,
        "node": "here",
    }
    parts = given | other
    return Reader(
        store,
        parts["read_all"],
        owner_of=parts["owner_of"],
        node=parts["node"],
        gone=lambda node: node == "dead",
        pace=Pace(poll=0.05, lease=60.0),
        limits=LIMITS,
        clock=clock,
        new_id=new_id,
        observer=heard,
        aggregates=parts.get("aggregates"),
        authenticity=parts.get("authenticity"),
    )


@asynccontextmanager
async def serving(made: Reader) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(made.serve(stop))
    try:
        yield
    finally:
        stop.set()
        made.wake()
        async with asyncio.timeout(60):
            await task


async def states(store: Store) -> list[str]:
    return [row["state"] for row in await rows(store, raw_inbound)]


async def test_a_stored_bounce_suppresses_the_recipient_it_proves(store: Store) -> None:
    [delivery] = await delivered(store)
    await kept(store, raw(b"bounce", subject_id=delivery), raw(b"away", subject_id=delivery))
    heard = Heard()
    assert await reader(store, heard).round() == 2
    assert await state_of(store, delivery) == "bounced"
    assert reasons(await rows(store, suppressions)) == ["hard_bounce"]
    assert sorted(heard.kinds) == ["autoreply", "bounce"]
    assert [f.suppressed for f in heard.facts if f.kind is Kind.BOUNCE] == [True]


async def test_what_is_still_tried_suppresses_nobody_even_with_a_token(store: Store) -> None:
    [delivery] = await delivered(store)
    told = [
        b"550 5.1.1 <ann@example.net>: user unknown. Delivery to ann@example.net is being retried.",
        b"ann@example.net: has been queued since noon, said 550 5.1.1 no such user.",
        b"Mail to ann@example.net: 421 busy (earlier: 550 5.1.1 gone). No need to resend.",
        b"Answered 550 5.1.1 user unknown; this host keeps trying until Sunday.",
    ]
    mails = [
        b"From: MAILER-DAEMON@example.net\nSubject: Delivery problem\n\n" + text for text in told
    ]
    await kept(store, *(raw(mail, subject_id=delivery) for mail in mails))
    heard = Heard()
    await reader(store, heard, read=lambda content: read_mail(content, shipped())).round()
    assert heard.kinds == [Kind.DELAYED] * len(told)
    assert await state_of(store, delivery) == "delivered"
    assert reasons(await rows(store, suppressions)) == []


async def test_a_bounce_that_waits_for_its_attempt_is_counted_once_when_it_is_read(
    store: Store,
) -> None:
    """It overtook our own commit of the 250."""
    await sent_to(store, "ann@example.net")
    [claim] = await claimed_deliveries(store)
    await kept(store, raw(b"bounce", subject_id=claim.delivery_id))
    now, heard = [NOW], Heard()
    made = reader(store, heard, lambda: now[0])
    assert await made.round() == 1
    assert heard.kinds == []
    await recorded(store, came_of(claim, Fact.ACCEPTED))
    now[0] += WAIT + 1
    assert await made.round() == 1
    assert heard.kinds == [Kind.BOUNCE]


async def test_a_poisonous_mail_is_put_aside_alone(store: Store) -> None:
    [delivery] = await delivered(store)
    contents = (b"hello", b"poison", b"bounce")
    await kept(store, *(raw(content, subject_id=delivery) for content in contents))
    heard = Heard()
    with structlog.testing.capture_logs() as logs:
        await reader(store, heard).round()
    assert await states(store) == ["read", "aside", "read"]
    assert await state_of(store, delivery) == "bounced"
    assert sorted(heard.kinds) == ["bounce", "normal"]
    [row] = await rows(store, raw_inbound, raw_inbound.c.state == "aside")
    assert row["error"].startswith("ValueError")
    assert [line["raw"] for line in logs] == [row["id"]]


async def test_what_has_no_reading_is_put_aside_with_the_reason(store: Store) -> None:
    """A message that ends the process that reads it, between two that are read."""
    await kept(store, *(raw(content, purpose="postmaster") for content in (b"a", b"exit 3", b"b")))
    room = ReadingRoom("tests.ingest.unruly:reader", lambda: None, Limits(patience=30.0))
    heard = Heard()
    with closing(room), structlog.testing.capture_logs() as logs:
        assert await reader(store, heard, read_all=room.read).round() == 3
    assert sorted(await states(store)) == ["aside", "read", "read"]
    [row] = await rows(store, raw_inbound, raw_inbound.c.state == "aside")
    assert bytes(row["content"]) == b"exit 3"
    assert "ends the process" in row["error"]
    assert [line["raw"] for line in logs] == [row["id"]]
    assert heard.kinds == [Kind.NORMAL, Kind.NORMAL]


async def test_without_a_process_to_read_in_mail_waits_and_loses_no_try(store: Store) -> None:
    await kept(store, raw(b"hello"))
    away = [True] * 2 * MOST_TRIES

    def read_all(contents: Sequence[bytes]) -> list[Reading]:
        if away:
            away.pop()
            raise NoDesk("no memory left to start it")
        return [READINGS[content] for content in contents]

    made = reader(store, Heard(), read_all=read_all)
    assert [await made.round() for _ in range(2 * MOST_TRIES + 1)] == [0] * 2 * MOST_TRIES + [1]
    assert await states(store) == ["read"]


async def test_what_another_reader_left_half_done_is_read_after_its_lease(store: Store) -> None:
    [delivery] = await delivered(store)
    await kept(store, raw(b"bounce", subject_id=delivery))
    await claimed(store, node="there")  # and dies
    heard = Heard()
    assert await reader(store, heard, lambda: NOW + 59).round() == 0
    assert await reader(store, heard, lambda: NOW + 60).round() == 1
    assert len(heard.facts) == 1


async def test_a_reader_that_starts_again_reads_at_once_what_it_was_reading(store: Store) -> None:
    [delivery] = await delivered(store)
    await kept(store, raw(b"bounce", subject_id=delivery))
    await claimed(store, node="here")  # and dies
    heard = Heard()
    assert await reader(store, heard).round() == 1
    assert len(heard.facts) == 1


async def test_what_was_entered_is_not_read_after_a_restart(store: Store) -> None:
    [delivery] = await delivered(store)
    await kept(store, raw(b"bounce", subject_id=delivery))
    for _ in range(2):
        heard = Heard()
        await reader(store, heard, lambda: NOW + 500).round()
    assert heard.kinds == []
    assert len(await rows(store, reports)) == 1


async def test_a_copy_of_a_report_is_read_and_counts_for_nothing(store: Store) -> None:
    [delivery] = await delivered(store)
    await kept(store, *(raw(b"bounce", subject_id=delivery) for _ in range(3)))
    heard = Heard()
    await reader(store, heard).round()
    assert (len(heard.kinds), len(heard.facts)) == (3, 1)
    assert await states(store) == ["read"] * 3


async def test_large_reports_that_came_together_are_entered_one_after_another(
    store: Store,
) -> None:
    """Anybody may send them, and all others who want to write wait for the end of a transaction."""
    written: list[int] = []

    class Watched:
        async def write(self, work: Callable[[Any], Any]) -> Any:
            def counted(tx: Any) -> Any:
                done = work(tx)
                if isinstance(done, tuple):
                    written.append(len(read_ones(tx)))
                return done

            return await store.write(counted)

    large = Reading(Kind.DMARC_AGGREGATE, aggregate=dmarc_report(*[dmarc_row()] * 3_000))
    given = {b"large": large, b"hello": READINGS[b"hello"]}
    await kept(store, *(raw(b"large", purpose="dmarc") for _ in range(3)), raw(b"hello"))
    await reader(Watched(), Heard(), read=given.__getitem__).round()
    assert written == [1, 2, 4]


def read_ones(tx: Any) -> list[str]:
    return list(tx.execute(select(raw_inbound.c.id).where(raw_inbound.c.state == "read")).scalars())


async def test_an_outage_while_entering_costs_no_try_and_no_lease(store: Store) -> None:
    """The mail is in hand: it goes in as soon as the database is back."""
    [delivery] = await delivered(store)
    await kept(store, raw(b"bounce", subject_id=delivery))
    unsteady = Unsteady(store)

    def read(content: bytes) -> Reading:
        unsteady.failing = 2 * MOST_TRIES
        return READINGS[content]

    heard = Heard()
    made = reader(unsteady, heard, read=read)
    assert [await made.round() for _ in range(2 * MOST_TRIES + 1)] == [0] * 2 * MOST_TRIES + [1]
    assert await state_of(store, delivery) == "bounced"
    assert await made.round() == 0
    assert len(heard.kinds) == 1


async def test_an_outage_while_looking_for_mail_is_survived(store: Store) -> None:
    unsteady = Unsteady(store)
    unsteady.failing = 3
    heard = Heard()
    async with serving(reader(unsteady, heard)):
        await kept(store, raw(b"hello"))

        async def read() -> bool:
            return heard.kinds == [Kind.NORMAL]

        await until(read)


async def test_a_token_in_the_mail_counts_where_the_envelope_has_none(store: Store) -> None:
    [delivery] = await delivered(store)
    inside = replace(READINGS[b"spam"], token="b+genuine")
    forged = replace(READINGS[b"spam"], token="b+forged")
    owners = {"b+genuine": delivery}
    for reading, ends in ((forged, "delivered"), (inside, "complained")):
        await kept(store, raw(b"spam", purpose="fbl"))
        await reader(
            store, Heard(), read=lambda _, reading=reading: reading, owner_of=owners.get
        ).round()
        assert await state_of(store, delivery) == ends


async def test_the_envelopes_token_weighs_more_than_one_in_the_mail(store: Store) -> None:
    [ann], [bob] = await delivered(store), await delivered(store, "bob@example.net")
    reading = replace(READINGS[b"bounce"], token="b+bob")
    await kept(store, raw(b"x", subject_id=ann))
    await reader(store, Heard(), read=lambda _: reading, owner_of=lambda _: bob).round()
    assert [await state_of(store, d) for d in (ann, bob)] == ["bounced", "delivered"]


async def test_real_mail_that_is_no_report_is_kept_and_changes_nothing(store: Store) -> None:
    letter = b"From: <ann@example.net>\r\nSubject: hello\r\n\r\nHow are you?\r\n"
    await kept(store, raw(letter, purpose="postmaster"), raw(b"\xff\x00 no mail at all"))
    heard = Heard()
    await reader(store, heard, read=lambda content: read_mail(content, shipped())).round()
    assert heard.kinds == [Kind.NORMAL, Kind.NORMAL]
    assert await states(store) == ["read", "read"]
    assert await rows(store, suppressions) == []


@pytest.mark.parametrize(
    ("purpose", "kind", "means"),
    [
        ("unsubscribe", Kind.NORMAL, Kind.UNSUBSCRIBE),
        ("unsubscribe", Kind.AUTOREPLY, Kind.AUTOREPLY),
        ("unsubscribe", Kind.BOUNCE, Kind.BOUNCE),
        ("bounce", Kind.NORMAL, Kind.NORMAL),
    ],
)
def test_mail_to_an_unsubscribe_address_is_a_wish_unless_a_machine_sent_it(
    purpose: str, kind: Kind, means: Kind
) -> None:
    assert meant(raw(purpose=purpose), Reading(kind)).kind is means


REPORTER = House("example.net")
REPORT = REPORTER.signed(mail(packed(dmarc_xml(dmarc_report()), "gzip")))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as a slow machine needs to ask for a key."""
    monkeypatch.setattr(authenticity, "HASTE", 60.0)


@asynccontextmanager
async def proving(store: Store, dns: DnsServer, now: list[float]) -> AsyncIterator[Reader]:
    """A reader that asks this DNS for keys."""
    resolver = Resolver([dns.nameserver], clock=lambda: now[0], bounds=Bounds(trouble=0.0))
    asking = aggregating.authenticity(resolver)
    read = {b"hello": READINGS[b"hello"], REPORT: read_mail(REPORT, shipped())}
    try:
        yield reader(
            store,
            Heard(),
            lambda: now[0],
            read=lambda content: read[content],
            aggregates=LEDGER,
            authenticity=asking,
        )
    finally:
        await asking.close()
        await resolver.close()


async def signers(store: Store) -> list[str]:
    return [row["signed_by"] for row in await rows(store, aggregate_reports)]


@pytest.mark.usefixtures("patient")
async def test_a_report_waits_for_the_dns_and_keeps_no_other_waiting(store: Store) -> None:
    await kept(store, raw(REPORT, purpose="dmarc"), raw(b"hello"))
    now = [NOW]
    async with DnsServer() as dns, proving(store, dns, now) as made:
        dns.add(*REPORTER.zone())
        dns.behave(REPORTER.name, Manner.SERVFAIL)
        assert await made.round() == 2
        assert sorted(await states(store)) == ["new", "read"]
        assert await made.round() == 0, "not before its time"
        now[0] += FIRST
        assert await made.round() == 1
        dns.behave(REPORTER.name, None)
        now[0] += 4 * FIRST
        assert await made.round() == 1
        assert await states(store) == ["read", "read"]
        assert await signers(store) == ["example.net"]


@pytest.mark.usefixtures("patient")
async def test_a_report_whose_key_nobody_ever_gives_is_an_unsigned_one(store: Store) -> None:
    await kept(store, raw(REPORT, purpose="dmarc"))
    now = [NOW]
    async with DnsServer() as dns, proving(store, dns, now) as made:
        dns.behave(REPORTER.name, Manner.REFUSED)
        tries = 0
        while await states(store) == ["new"]:
            tries += await made.round()
            [row] = await rows(store, raw_inbound)
            now[0] = max(now[0], row["lease_until"])
        assert 3 < tries < MOST_TRIES
        assert await signers(store) == [""]


async def test_at_an_address_for_something_else_nobody_is_asked_for_keys(store: Store) -> None:
    await kept(store, raw(REPORT, purpose="fbl"))
    async with DnsServer() as dns, proving(store, dns, [NOW]) as made:
        await made.round()
        assert not dns.asked


async def test_a_forwarded_dead_end_suppresses_nobody_by_the_original_beside_it(
    store: Store,
) -> None:
    """The original is taken from the returned message, so it proves nothing against it."""
    [delivery] = await delivered(store)
    returned = LETTER.replace("nobody@example.net", "ann@example.net")
    fields = group(
        final_recipient="rfc822; far@example.org",
        action="failed",
        status="5.1.1",
        diagnostic_code="smtp; 550 5.1.1 user unknown",
    )
    told = report(fields, returned=returned)
    assert read_mail(told, shipped()).recipients[0].original == "ann@example.net"
    await kept(store, raw(told, subject_id=delivery))
    heard = Heard()
    await reader(store, heard, read=lambda content: read_mail(content, shipped())).round()
    assert "hard_bounce" not in reasons(await rows(store, suppressions))
