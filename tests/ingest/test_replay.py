"""A replay undoes what a wrong rule did, does what a right one would have done, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import update

from analysis.amends import ACTOR, Change
from analysis.decide import after_attempt
from analysis.erase import erase
from analysis.facts import Kind
from analysis.ledger import Recorded
from analysis.lifecycle import Fact
from analysis.reply import Reply, Stage
from analysis.rulebook import Rulebook
from analysis.rulefile import parse_rules
from analysis.schema import (
    attempts,
    audit,
    deliveries,
    raw_inbound,
    reports,
    soft_bounces,
    suppressions,
)
from analysis.store import Store
from analysis.suppression import Lift, Reason, lift
from ingest import inbox
from ingest.inbox import Raw
from ingest.parse import read_mail
from ingest.replay import Replay
from ingest.worker import Pace, Reader
from tests.ingest.letters import group, report
from tests.storing import (
    DAY,
    LIMITS,
    NOW,
    came_of,
    claimed,
    delivered,
    entry,
    hash_of,
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
WORDS = "the wibble is on"
HOUR = 3600.0


def book(category: str | None, **more: Any) -> Rulebook:
    """Rules that take `WORDS` for this category, or know nothing at all."""
    rule = {"name": "wibble", "pattern": "wibble", "category": category, **more}
    name = (category or "none").replace("_", "-")
    return Rulebook(parse_rules({"rule": [rule]} if category else {}, name, "test"))


DEAD = book("bad_mailbox")
BLOCK = book("reputation")
FULL = book("mailbox_full")
NOTHING = book(None)


def dsn(to: str = ANN, words: str = WORDS) -> bytes:
    return report(
        group(
            final_recipient=f"rfc822; {to}",
            action="failed",
            status="5.0.0",
            diagnostic_code=f"smtp; 550 {words}",
        )
    )


async def bounced(
    store: Store,
    delivery: str | None,
    rules: Rulebook,
    content: bytes | None = None,
    *,
    at: float = NOW + 10,
) -> str:
    """A report comes in and is read with these rules; its id."""
    raw = Raw(
        new_id(), at, "192.0.2.7", "mx.example.net", "", "b+x@b.example.com", "bounce", delivery,
        dsn() if content is None else content,
    )  # fmt: skip
    await store.write(lambda tx: inbox.keep(tx, [raw]))
    assert await reader(store, rules, at).round() == 1
    return raw.id


class Deaf:
    def read(self, kind: Kind) -> None: ...

    def reported(self, fact: Recorded) -> None: ...


def reader(store: Store, rules: Rulebook, at: float) -> Reader:
    return Reader(
        store,
        lambda contents: [read_mail(raw, rules) for raw in contents],
        owner_of=lambda token: None,
        node="here",
        gone=lambda node: False,
        pace=Pace(),
        limits=LIMITS,
        clock=lambda: at,
        new_id=new_id,
        observer=Deaf(),
    )


async def refused(store: Store, rules: Rulebook, to: str = ANN, words: str = WORDS) -> str:
    """A delivery that ends with a reply of these words, judged by these rules; its id."""
    [delivery] = await sent_to(store, to)
    [claim] = await claimed(store)
    reply = Reply(550, None, words, Stage.RCPT, "other", "mx.example.net")
    verdict = rules.classify(reply)
    fact = after_attempt("refused", verdict, tries=3)
    await recorded(store, came_of(claim, fact, result="refused", reply=reply, verdict=verdict))
    return delivery


def replaying(store: Store, rules: Rulebook, *, apply: bool) -> Replay:
    return Replay(
        store,
        read=lambda raw: read_mail(raw, rules),
        judge=rules.classify,
        owner_of=lambda token, at: None,
        limits=LIMITS,
        clock=lambda: NOW + HOUR,
        new_id=new_id,
        apply=apply,
    )


async def replayed(
    store: Store, rules: Rulebook, *, apply: bool = True, since: float = 0.0
) -> list[Change]:
    changes: list[Change] = []
    async for step in replaying(store, rules, apply=apply).run(since):
        assert step.failures == []
        changes += step.changes
    return changes


def told(changes: Sequence[Change]) -> list[tuple[str, str]]:
    return sorted((effect.what, effect.to) for change in changes for effect in change.effects)


async def everything(store: Store) -> list[object]:
    tables = (deliveries, attempts, raw_inbound, reports, suppressions, audit)
    return [await rows(store, table) for table in tables]


LIFTED = [("lifted", "hard_bounce")]


async def test_a_suppression_by_a_wrong_rule_is_shown_then_lifted_then_left(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, DEAD)
    before = await everything(store)
    assert told(await replayed(store, BLOCK, apply=False)) == LIFTED
    assert await everything(store) == before
    assert told(await replayed(store, BLOCK)) == LIFTED
    assert await rows(store, suppressions) == []
    after = await everything(store)
    assert await replayed(store, BLOCK) == []
    assert await everything(store) == after


async def test_what_was_judged_is_judged_anew_and_audited(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, DEAD)
    [change] = await replayed(store, BLOCK)
    assert change.old is not None
    assert change.new is not None
    assert (change.old.rule, change.new.rule) == ("bad-mailbox/wibble", "reputation/wibble")
    [row] = await rows(store, reports)
    assert (row["category"], row["fault"], row["rule"]) == (
        "reputation", "sender", "reputation/wibble",
    )  # fmt: skip
    [row] = await rows(store, deliveries)
    assert (row["category"], row["rule"]) == ("reputation", "reputation/wibble")
    by_replay = await rows(store, audit, audit.c.actor == ACTOR)
    assert [row["action"] for row in by_replay] == ["suppression.lift", "replay.rejudge"]


async def test_a_final_state_stays(store: Store) -> None:
    """The message was refused, and its sender told so."""
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, DEAD)
    await replayed(store, BLOCK)
    assert await state_of(store, delivery) == "bounced"


async def test_another_fact_that_still_holds_keeps_the_suppression(store: Store) -> None:
    [one] = await delivered(store, ANN)
    [two] = await delivered(store, ANN)
    rules = Rulebook((*DEAD.rules, *gone_rules()))
    await bounced(store, one, rules, dsn(words="nobody of that kind"))
    await bounced(store, two, rules)
    changes = await replayed(store, Rulebook((*BLOCK.rules, *gone_rules())))
    assert len(changes) == 1
    assert told(changes) == []
    assert reasons(await rows(store, suppressions)) == ["hard_bounce"]


def gone_rules() -> tuple[Any, ...]:
    rule = {"name": "gone", "pattern": "nobody of that kind", "category": "bad_mailbox"}
    return tuple(parse_rules({"rule": [rule]}, "gone", "test"))


@pytest.mark.parametrize("apply", [False, True], ids=["shown", "applied"])
async def test_two_facts_of_one_wrong_rule_hold_nothing_together(store: Store, apply: bool) -> None:
    """Neither report keeps the entry alive for the other's sake, nor does the reply."""
    sent = [(await delivered(store, ANN))[0] for _ in range(2)]
    await refused(store, DEAD)
    for delivery in reversed(sent):
        await bounced(store, delivery, DEAD)
    changes = await replayed(store, BLOCK, apply=apply)
    assert told(changes) == LIFTED
    assert len(changes) == 3


async def test_an_entry_of_a_person_or_of_another_reason_stays(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, DEAD)
    await suppressed(store, entry(ANN), entry(ANN, Reason.UNSUBSCRIBE, actor="carom"))
    await replayed(store, BLOCK)
    assert reasons(await rows(store, suppressions)) == ["manual", "unsubscribe"]


async def test_an_entry_that_a_person_made_of_the_same_reason_stays(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, DEAD)
    await suppressed(store, entry(ANN, Reason.HARD_BOUNCE, actor="key import"))
    await replayed(store, BLOCK)
    assert reasons(await rows(store, suppressions)) == ["hard_bounce"]


async def test_a_rule_that_only_stops_suppressing_lifts_too(store: Store) -> None:
    """Not a word of what is stored changes."""
    sent = [(await delivered(store, ANN))[0] for _ in range(2)]
    for delivery in sent:
        await bounced(store, delivery, DEAD)
    milder = book("bad_mailbox", suppress=False)
    assert told(await replayed(store, milder)) == LIFTED
    assert await replayed(store, milder) == []


async def test_a_bounce_that_was_not_understood_suppresses_by_todays_rules(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, NOTHING)
    assert await rows(store, suppressions) == []
    [change] = await replayed(store, DEAD)
    assert told([change]) == [("suppressed", "hard_bounce")]
    [row] = await rows(store, suppressions)
    assert (row["since"], row["until"]) == (NOW + HOUR, NOW + 10 + 365 * DAY)
    assert (row["actor"], row["rule"]) == ("carom", "bad-mailbox/wibble")
    [raw] = await rows(store, raw_inbound)
    assert raw["understood"]
    assert await replayed(store, DEAD) == []


async def test_a_soft_bounce_that_is_a_hard_one_today_suppresses(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, FULL)
    assert told(await replayed(store, DEAD)) == [("suppressed", "hard_bounce")]
    assert await replayed(store, DEAD) == []
    assert reasons(await rows(store, suppressions)) == ["hard_bounce"]


@pytest.mark.parametrize("apply", [False, True], ids=["shown", "applied"])
async def test_hard_bounces_that_are_soft_ones_today_are_lifted(store: Store, apply: bool) -> None:
    for delivery in [(await delivered(store, ANN))[0] for _ in range(2)]:
        await bounced(store, delivery, DEAD)
    assert told(await replayed(store, FULL, apply=apply)) == LIFTED


async def test_what_is_suppressed_by_a_replay_can_be_undone_by_the_next(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, NOTHING)
    await replayed(store, DEAD)
    assert told(await replayed(store, BLOCK)) == LIFTED


async def test_a_mail_that_stayed_since_then_speaks_for_the_address(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, NOTHING)
    [later] = await sent_to(store, ANN)
    [claim] = await claimed(store)
    await recorded(store, came_of(claim, Fact.ACCEPTED, at=NOW + 60))
    assert await state_of(store, later) == "delivered"
    assert told(await replayed(store, DEAD)) == []
    assert await rows(store, suppressions) == []


async def test_what_a_person_took_off_is_not_put_on_again(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, FULL)
    await suppressed(store, entry(ANN))
    order = Lift(hash_of(ANN), "key support", "she says she lives", NOW + 100)
    await store.write(lambda tx: lift(tx, order) and None)
    assert told(await replayed(store, DEAD)) == []
    assert await rows(store, suppressions) == []


async def test_a_forwarded_mailbox_condemns_nobody_in_a_replay_either(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await bounced(store, delivery, NOTHING, dsn("old.ann@example.org"))
    unsure = book("bad_mailbox", confidence=0.6)
    assert told(await replayed(store, unsure)) == []


async def test_a_report_set_aside_is_entered_and_ends_its_delivery(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    raw_id = await bounced(store, None, DEAD, b"Subject: not yet\r\n\r\n")
    await store.write(lambda tx: tx.execute(reports.delete()) and None)
    aside = (
        update(raw_inbound)
        .where(raw_inbound.c.id == raw_id)
        .values(state="aside", kind=None, understood=False, error="KeyError", content=dsn(),
                subject_id=delivery)
    )  # fmt: skip
    await store.write(lambda tx: tx.execute(aside) and None)
    wanted = [("state", "bounced"), ("suppressed", "hard_bounce")]
    assert told(await replayed(store, DEAD, apply=False)) == wanted
    assert told(await replayed(store, DEAD)) == wanted
    assert await state_of(store, delivery) == "bounced"
    [raw] = await rows(store, raw_inbound)
    assert (raw["state"], raw["kind"], raw["error"]) == ("read", "bounce", None)
    assert await replayed(store, DEAD) == []


async def test_what_was_no_bounce_to_an_earlier_reader_bounces_its_delivery(store: Store) -> None:
    """As if that reader had taken it for ordinary mail."""
    [delivery] = await delivered(store, ANN)
    raw_id = await bounced(store, delivery, DEAD, b"From: a@example.org\r\nSubject: hi\r\n\r\nhi")
    swap = update(raw_inbound).where(raw_inbound.c.id == raw_id).values(content=dsn())
    await store.write(lambda tx: tx.execute(swap) and None)
    assert told(await replayed(store, DEAD)) == [
        ("state", "bounced"),
        ("suppressed", "hard_bounce"),
    ]
    [row] = await rows(store, reports)
    assert (row["kind"], row["address"], row["status"]) == ("bounce", ANN, "5.0.0")
    assert await replayed(store, DEAD) == []


async def test_what_is_no_bounce_to_todays_reader_is_taken_back(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    raw_id = await bounced(store, delivery, DEAD)
    away = b"From: ann@example.net\r\nAuto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nAway."
    swap = update(raw_inbound).where(raw_inbound.c.id == raw_id).values(content=away)
    await store.write(lambda tx: tx.execute(swap) and None)
    assert told(await replayed(store, DEAD)) == LIFTED
    assert [row["kind"] for row in await rows(store, reports)] == ["autoreply"]
    assert await replayed(store, DEAD) == []


async def test_a_reply_that_a_wrong_rule_took_is_judged_anew(store: Store) -> None:
    delivery = await refused(store, DEAD)
    assert reasons(await rows(store, suppressions)) == ["hard_bounce"]
    assert told(await replayed(store, BLOCK, apply=False)) == LIFTED
    assert told(await replayed(store, BLOCK)) == LIFTED
    assert await rows(store, suppressions) == []
    [row] = await rows(store, attempts)
    assert (row["category"], row["severity"], row["rule"]) == (
        "reputation", "soft", "reputation/wibble",
    )  # fmt: skip
    [row] = await rows(store, deliveries)
    assert (row["state"], row["category"]) == ("bounced", "reputation")
    assert await state_of(store, delivery) == "bounced"
    assert await replayed(store, BLOCK) == []


async def test_a_reply_that_nobody_understood_suppresses_by_todays_rules(store: Store) -> None:
    await refused(store, NOTHING)
    assert await rows(store, suppressions) == []
    assert told(await replayed(store, DEAD)) == [("suppressed", "hard_bounce")]
    [row] = await rows(store, suppressions)
    assert (row["rule"], row["evidence"]) == ("bad-mailbox/wibble", f"550 {WORDS}")


async def test_the_same_rules_change_nothing(store: Store) -> None:
    """Not even where a bounce came of a try in doubt, which no column says was handed over."""
    [one] = await delivered(store, ANN)
    await bounced(store, one, DEAD)
    await bounced(store, one, DEAD, at=NOW + 20)  # the same fact again
    [two] = await sent_to(store, "bob@example.net")
    [claim] = await claimed(store)
    await recorded(store, came_of(claim, Fact.PUT_OFF, result="in_doubt"))
    await bounced(store, two, DEAD, dsn("bob@example.net"))
    assert await state_of(store, two) == "bounced"
    await refused(store, DEAD, "eve@example.net")
    await bounced(store, None, DEAD)
    await bounced(store, one, DEAD, b"From: a@example.org\r\nSubject: hi\r\n\r\nhi")
    before = await everything(store)
    assert await replayed(store, DEAD) == []
    assert await everything(store) == before
    assert len(await rows(store, suppressions)) == 3


async def test_a_bounce_of_a_try_in_doubt_can_be_undone(store: Store) -> None:
    [delivery] = await sent_to(store, ANN)
    [claim] = await claimed(store)
    await recorded(store, came_of(claim, Fact.PUT_OFF, result="in_doubt"))
    await bounced(store, delivery, DEAD)
    assert told(await replayed(store, BLOCK)) == LIFTED


async def test_an_erased_person_stays_erased(store: Store) -> None:
    [delivery] = await delivered(store, ANN)
    await refused(store, BLOCK)
    await bounced(store, delivery, DEAD)
    await store.write(
        lambda tx: erase(tx, hash_of(ANN), now=NOW + 50, actor="k", why="asked") and None
    )
    before = await everything(store)
    assert await replayed(store, BLOCK) == []
    assert await everything(store) == before


async def test_three_soft_days_of_a_wrong_rule_are_lifted(store: Store) -> None:
    sent = [(await delivered(store, ANN))[0] for _ in range(3)]
    for day, delivery in enumerate(sent):
        await bounced(store, delivery, FULL, at=NOW - (2 - day) * DAY)
    assert reasons(await rows(store, suppressions)) == ["soft_bounce"]
    assert told(await replayed(store, BLOCK)) == [("lifted", "soft_bounce")]


async def test_a_soft_mark_of_a_wrong_rule_is_taken_back_and_others_stay(store: Store) -> None:
    """Else two true ones and a false one would suppress."""
    sent = [(await delivered(store, ANN))[0] for _ in range(2)]
    await bounced(store, sent[0], FULL, dsn(words="no room at all, wibble"), at=NOW - DAY)
    await bounced(store, sent[1], FULL)
    assert len(await rows(store, soft_bounces)) == 2
    room = {"name": "room", "pattern": "no room", "category": "mailbox_full"}
    rules = Rulebook((*parse_rules({"rule": [room]}, "room", "test"), *BLOCK.rules))
    await replayed(store, rules)
    assert [row["day"] for row in await rows(store, soft_bounces)] == [int((NOW - DAY) // DAY)]


async def test_only_what_came_since_is_read_again(store: Store) -> None:
    [one] = await delivered(store, ANN)
    await bounced(store, one, DEAD, at=NOW + 10)
    assert await replayed(store, BLOCK, since=NOW + 11) == []
    assert len(await replayed(store, BLOCK, since=NOW + 10)) == 1


async def test_a_replay_that_was_cut_off_is_finished_by_the_next(store: Store) -> None:
    sent = [await delivered(store, f"a{number}@example.net") for number in range(4)]
    for number, [delivery] in enumerate(sent):
        await bounced(store, delivery, DEAD, dsn(f"a{number}@example.net"))
    with pytest.raises(Killed):
        async for _ in replaying(cut_after(store, 2), BLOCK, apply=True).run(0.0):
            pass
    assert len(await rows(store, suppressions)) == 2
    assert told(await replayed(store, BLOCK)) == LIFTED * 2
    assert await rows(store, suppressions) == []


def cut_after(store: Store, writes: int) -> Store:
    """The store, for a process that is killed after so many writes."""

    class Dying:
        url = store.url
        read = store.read
        close = store.close
        left = writes

        async def write(self, work: Any) -> Any:
            if self.left == 0:
                raise Killed
            self.left -= 1
            return await store.write(work)

    return Dying()


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""
