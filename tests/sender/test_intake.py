"""Intake: what can be taken becomes durable, and what cannot names the field to mend."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from analysis.address import parse, parse_mailbox
from analysis.ids import mark
from analysis.schema import bodies, deliveries, messages
from analysis.store import Store
from carom.ids import ids
from sender.compose import Draft
from sender.idempotency import Receipt
from sender.intake import LARGE, MOST_RECIPIENTS, Intake, Order, Refused, Terms
from sender.ready import read
from sender.submit import Submission
from sender.tokens import Key, Token, Tokens
from tests.storing import DAY, NOW, entry, marked, new_id, rows, suppressed

pytestmark = pytest.mark.anyio

TOKENS = Tokens([Key("a", bytes(range(32)))])
TERMS = Terms(
    bounce_domain="bounces.example.com",
    deadlines={"otp": 900.0, "transactional": 4 * DAY, "bulk": 3 * DAY},
    classes={"codes": "otp", "news": "bulk"},
    token_lifetime=14 * DAY,
)
DRAFT = Draft(
    parse_mailbox("Shop <shop@example.com>"),
    (parse_mailbox("ann@example.net"),),
    "Your order",
    text="On its way.\n",
)
READY = b"From: shop@example.com\nTo: ann@example.net\nSubject: Ready\n\nHello.\n"


class Listener:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Submission, Receipt]] = []
        self.woken = 0

    def submitted(self, submission: Submission, receipt: Receipt) -> None:
        self.heard.append((submission, receipt))

    def wake(self) -> None:
        self.woken += 1


def opened(store: Store, listener: Listener | None = None, **other: Any) -> Intake:
    told = listener or Listener()
    clock: Callable[[], float] = lambda: NOW  # noqa: E731
    given: dict[str, Any] = {"clock": clock, "new_id": new_id, "observer": told, "wake": told.wake}
    return Intake(store, TOKENS, TERMS, **(given | other))


def order(*to: str, **other: Any) -> Order:
    given = {"message": DRAFT, "recipients": tuple(parse(a) for a in to or ("ann@example.net",))}
    return Order(**(given | other))


async def prepared(store: Store, *to: str, **other: Any) -> Submission:
    return opened(store).prepare(order(*to, **other))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("to", {"recipients": ()}),
        (
            "to",
            {"recipients": tuple(parse(f"u{n}@example.net") for n in range(MOST_RECIPIENTS + 1))},
        ),
        ("stream", {"stream": "News & Offers"}),
        ("stream", {"stream": ""}),
        ("stream", {"stream": "x" * 33}),
        ("class", {"class_": "urgent"}),
        ("send_at", {"send_at": NOW + 31 * DAY}),
        ("deadline", {"deadline": NOW}),
        ("deadline", {"deadline": NOW + 50, "send_at": NOW + 60}),
        ("deadline", {"deadline": NOW + 31 * DAY}),
        ("subject", {"message": replace(DRAFT, subject="Hi\r\nBcc: eve@example.org")}),
        ("raw", {"message": read(b"no header at all")}),
        ("raw", {"message": read(READY.replace(b"From:", b"X-From:"))}),
        ("metadata", {"metadata": {"note": "a\x00b"}}),
        ("metadata", {"metadata": {"deep": [{"er": "\ud800"}]}}),
        ("metadata", {"metadata": {"\x00": 1}}),
        ("metadata", {"metadata": {"number": float("nan")}}),
        ("metadata", {"metadata": {"long": "x" * 17_000}}),
    ],
)
async def test_a_refusal_names_the_field_and_writes_nothing(
    store: Store, field: str, wrong: dict[str, Any]
) -> None:
    listener = Listener()
    with pytest.raises(Refused) as refused:
        await opened(store, listener).accept(order(**wrong))
    assert refused.value.field == field
    assert refused.value.text
    assert await rows(store, messages) == listener.heard == []


async def test_what_was_accepted_is_there_and_told_once(store: Store) -> None:
    listener = Listener()
    intake = opened(store, listener)
    receipt = await intake.accept(order(metadata={"order": 7}))
    [row] = await rows(store, messages)
    assert (row["id"], row["subject"], row["metadata"]) == (
        receipt.answer["id"],
        "Your order",
        {"order": 7},
    )
    [(submission, told)] = listener.heard
    assert (submission.id, told, listener.woken) == (row["id"], receipt, 1)


async def test_any_other_text_is_kept_in_the_metadata_as_it_came(store: Store) -> None:
    odd = {"note": "\\u0000 <b>\u2028\U0001f4e6</b>\n", "n": [1, 2.5, None, True]}
    await opened(store).accept(order(metadata=odd))
    [row] = await rows(store, messages)
    assert row["metadata"] == odd


async def test_what_is_stored_is_the_message_with_its_message_id(store: Store) -> None:
    await opened(store).accept(order())
    [row], [body] = await rows(store, messages), await rows(store, bodies)
    content = bytes(body["content"])
    assert row["header_message_id"] == f"<{row['id']}@example.com>"
    assert f"Message-ID: {row['header_message_id']}\r\n".encode() in content
    assert b"DKIM-Signature" not in content


async def test_a_ready_message_is_taken_as_it_is(store: Store) -> None:
    await opened(store).accept(order(message=read(READY)))
    [body] = await rows(store, bodies)
    assert bytes(body["content"]).endswith(b"Subject: Ready\r\n\r\nHello.\r\n")


async def test_a_replay_and_a_conflict_are_not_told_as_new(store: Store) -> None:
    listener = Listener()
    intake = opened(store, listener)
    await intake.accept(order(idempotency=marked("key", "body")))
    again = await intake.accept(order(idempotency=marked("key", "body")))
    other = await intake.accept(order(idempotency=marked("key", "another")))
    assert (again.replayed, other.conflict) == (True, True)
    assert (len(listener.heard), listener.woken) == (1, 1)


@pytest.mark.parametrize(
    ("given", "class_", "lasting"),
    [
        ({}, "transactional", 4 * DAY),
        ({"stream": "codes"}, "otp", 900),
        ({"stream": "news"}, "bulk", 3 * DAY),
        ({"stream": "news", "class_": "otp"}, "otp", 900),
        ({"deadline": NOW + 77}, "transactional", 77),
        ({"send_at": NOW + 60}, "transactional", 4 * DAY + 60),
        ({"send_at": NOW - 60}, "transactional", 4 * DAY),
    ],
)
async def test_the_class_is_the_orders_or_the_streams_and_sets_the_deadline(
    store: Store, given: dict[str, Any], class_: str, lasting: float
) -> None:
    found = await prepared(store, **given)
    assert (found.class_, found.deadline) == (class_, NOW + lasting)


async def test_each_mailbox_gets_one_delivery_in_the_order_given(store: Store) -> None:
    to = ["bob@example.net", "Ann@example.net", "BOB@EXAMPLE.NET", "ann@example.net"]
    found = await prepared(store, *to)
    assert [r.wire for r in found.recipients] == ["bob@example.net", "Ann@example.net"]


async def test_deliveries_carry_the_mark_of_their_message(store: Store) -> None:
    intake = opened(store, new_id=ids())
    for _ in range(3):
        one = intake.prepare(order("ann@example.net", "bob@example.net"))
        assert {mark(to.delivery_id) for to in one.recipients} == {mark(one.id)}


async def test_fifty_recipients_are_taken_and_doubles_do_not_count(store: Store) -> None:
    names = [f"u{n}@example.net" for n in range(MOST_RECIPIENTS)]
    found = await prepared(store, *names, *names)
    assert len(found.recipients) == MOST_RECIPIENTS


async def test_a_return_path_proves_its_delivery_until_long_after_the_deadline(
    store: Store,
) -> None:
    found = await prepared(store, "ann@example.net", "bob@example.net")
    for recipient in found.recipients:
        local, _, domain = recipient.return_path.partition("@")
        token = TOKENS.read_return_path(local, found.deadline + 14 * DAY - 1)
        assert isinstance(token, Token)
        assert (token.subject_id, domain) == (recipient.delivery_id, "bounces.example.com")
        assert len(local) <= 64


async def test_a_foreign_domain_is_asked_for_in_a_labels(store: Store) -> None:
    [recipient] = (await prepared(store, "jörg@bücher.example")).recipients
    assert recipient.wire == "jörg@xn--bcher-kva.example"
    assert recipient.domain == "xn--bcher-kva.example"


async def test_a_suppressed_recipient_is_named_in_the_receipt(store: Store) -> None:
    await suppressed(store, entry("ann@example.net"))
    receipt = await opened(store).accept(order())
    assert receipt.answer["deliveries"][0]["suppression"]["reason"] == "manual"


async def test_a_crowd_is_taken_in_a_few_commits_and_closing_waits_for_it(store: Store) -> None:
    intake = opened(store, lanes=2)
    orders = [asyncio.create_task(intake.accept(order(f"u{n}@example.net"))) for n in range(300)]
    await asyncio.sleep(0)
    await intake.close()
    assert all(one.done() for one in orders)
    assert len(await rows(store, deliveries)) == 300


async def test_a_large_message_is_composed_off_the_event_loop(store: Store) -> None:
    threads: list[int] = []

    def noted() -> str:
        threads.append(threading.get_ident())
        return new_id()

    intake = opened(store, new_id=noted)
    await intake.accept(order())
    assert set(threads) == {threading.get_ident()}
    for large in (read(READY + b"More.\n" * LARGE), replace(DRAFT, text="More.\n" * LARGE)):
        threads.clear()
        await intake.accept(order(message=large))
        assert threading.get_ident() not in threads
