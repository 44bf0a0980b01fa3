"""One attempt: suppression asked, message signed, conversation held, answer judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.lifecycle import Fact
from analysis.reply import Reply, Stage
from analysis.schema import bodies
from analysis.store import Store
from analysis.suppression import Reason
from analysis.verdict import Category, Fault
from sender.queue import Claim
from sender.record import Record
from sender.smtp import Host
from tests.peers.scripted_mx import Drop, Say, Script, ScriptedMX
from tests.sender.posting import OneWay, attempts, connections, way_to
from tests.storing import CONTENT, NOW, claimed, entry, sent_to, suppressed

pytestmark = pytest.mark.anyio

NOWHERE = OneWay(Host("mx.example.net", "192.0.2.1"))


@pytest.fixture
async def claim(store: Store) -> Claim:
    await sent_to(store)
    [claim] = await claimed(store)
    return claim


class NoWire:
    """Fails the test if anything is sent."""

    async def deliver(self, route: object, envelope: object) -> object:
        raise AssertionError("nothing was to be sent")


async def tried(store: Store, claim: Claim, script: Script | None = None) -> Record:
    """One attempt, at a host that follows the script."""
    async with ScriptedMX(script) as mx, connections() as wires:
        made = attempts(store, way_to(mx), wires, clock=lambda: NOW + 1)
        record = await made.attempt(claim)
        if record.fact is Fact.ACCEPTED:
            [message] = mx.received
            assert message.mail_from == claim.return_path
            assert message.rcpts == [claim.recipient]
            assert message.content == CONTENT
        return record


async def test_an_accepted_message_is_delivered(store: Store, claim: Claim) -> None:
    record = await tried(store, claim)
    assert (record.fact, record.result, record.next_at) == (Fact.ACCEPTED, "accepted", None)
    assert (record.reply.code, record.reply.stage) == (250, Stage.DOT)
    assert (record.claim, record.address) == (claim, "127.0.0.1")


@pytest.mark.parametrize(
    ("script", "fact", "category"),
    [
        ({"rcpt": Say("550 5.1.1 no such user")}, Fact.REFUSED, Category.BAD_MAILBOX),
        ({"rcpt": Say("452 4.2.2 mailbox full")}, Fact.PUT_OFF, Category.MAILBOX_FULL),
        ({"rcpt": Say("552 5.2.2 mailbox is full")}, Fact.PUT_OFF, Category.MAILBOX_FULL),
        ({"rcpt": Say("451 4.7.1 greylisted, try later")}, Fact.PUT_OFF, Category.GREYLISTED),
        ({"dot": Say("550 xyzzy plugh")}, Fact.PUT_OFF, Category.UNKNOWN),
        ({"banner": Drop()}, Fact.PUT_OFF, Category.NETWORK),
        ({"dot": Drop()}, Fact.PUT_OFF, Category.NETWORK),
    ],
)
async def test_what_a_host_says_decides_what_follows(
    store: Store, claim: Claim, script: Script, fact: Fact, category: Category
) -> None:
    record = await tried(store, claim, script)
    assert (record.fact, record.verdict.category) == (fact, category)
    if fact is Fact.PUT_OFF:
        assert record.next_at is not None
        assert NOW + 1 + 8 <= record.next_at <= NOW + 1 + 12


async def test_a_delivery_whose_schedule_is_spent_expires(store: Store, claim: Claim) -> None:
    for number in range(1, 5):
        script = {"rcpt": Say("452 4.2.2 mailbox full")}
        record = await tried(store, claim, script)
        assert (record.fact is Fact.SPENT) is (number == 4)
        assert (record.next_at is None) is (number == 4)
        claim = replace(claim, attempts=claim.attempts + 1, epoch=claim.epoch + 1)


async def test_a_delivery_with_no_time_left_expires(store: Store) -> None:
    await sent_to(store, deadline=NOW + 5)
    [claim] = await claimed(store)
    record = await tried(store, claim, {"rcpt": Say("451 4.3.0 later")})
    assert record.fact is Fact.SPENT


async def test_the_list_is_asked_once_more_and_its_no_is_final(store: Store, claim: Claim) -> None:
    await suppressed(store, entry("ann@example.net", Reason.COMPLAINT, evidence="by a loop"))
    record = await attempts(store, NOWHERE, NoWire(), clock=lambda: NOW).attempt(claim)
    assert (record.fact, record.result) == (Fact.WITHHELD, "withheld")
    assert (record.verdict.rule, record.verdict.suppress) == ("suppressed/complaint", False)
    assert record.reply.text == "by a loop"


async def test_a_domain_that_does_not_exist_bounces_and_one_that_is_silent_waits(
    store: Store, claim: Claim
) -> None:
    gone = Reply(None, "5.1.2", "the domain does not exist", Stage.DNS)
    silent = Reply(None, "4.4.3", "the DNS could not say: timeout", Stage.DNS)
    facts = [
        (await attempts(store, OneWay(reply), NoWire()).attempt(claim)).fact
        for reply in (gone, silent)
    ]
    assert facts == [Fact.REFUSED, Fact.PUT_OFF]


async def test_a_message_whose_content_is_gone_blames_nobody(store: Store, claim: Claim) -> None:
    await store.write(lambda tx: tx.execute(bodies.delete()) and None)
    record = await attempts(store, NOWHERE, NoWire(), clock=lambda: NOW).attempt(claim)
    assert record.fact is Fact.PUT_OFF
    assert not record.verdict.suppress
    assert record.verdict.fault not in (Fault.RECIPIENT, Fault.DOMAIN)


async def test_our_own_fault_puts_off_and_blames_nobody(store: Store, claim: Claim) -> None:
    made = attempts(store, NOWHERE, NoWire(), clock=lambda: NOW)
    record = made.failed(claim, NOW - 1)
    assert (record.fact, record.started_at) == (Fact.PUT_OFF, NOW - 1)
    assert not record.verdict.suppress
    assert record.verdict.fault not in (Fault.RECIPIENT, Fault.DOMAIN)


async def test_a_host_without_smtputf8_is_never_sent_such_an_address(store: Store) -> None:
    await sent_to(store, "jörg@example.net")
    [claim] = await claimed(store)
    async with ScriptedMX(extensions=("PIPELINING", "8BITMIME")) as mx, connections() as wires:
        record = await attempts(store, way_to(mx), wires).attempt(claim)
        assert mx.received == []
    assert record.fact is not Fact.ACCEPTED
