"""Probes and canaries: sent like anybody's mail, and held against nobody."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest

from analysis import bounce_loop, ledger
from analysis.address import Mailbox, parse, parse_mailbox
from analysis.facts import Arrival, Kind, Reading, ReportedRecipient
from analysis.lifecycle import Fact
from analysis.placement import TAG
from analysis.schema import bodies, canaries, deliveries, messages, placements, suppressions
from analysis.store import Store
from sender import canary, queue
from sender.canary import Bounce, Canaries
from sender.intake import Refused
from sender.probes import Probes, Target, Wording, probe_of
from tests.sender.test_intake import TOKENS, opened
from tests.storing import (
    LIMITS,
    NO_SUCH_USER,
    NOW,
    came_of,
    claimed,
    entry,
    kinds_of_events,
    new_id,
    recorded,
    rows,
    sent_to,
    suppressed,
)

pytestmark = pytest.mark.anyio

BOUNCES = "bounces.example.com"
SHOP = parse_mailbox("Shop <shop@example.com>")
SEEDS = [Target("ann", "ann@seed.example", "gmail"), Target("jon", "jon@seed.example", "qq")]
WORDING = Wording("{stream} of {day}", "Your reference is {code}.\n", "<p>{code}</p>")


def probes(store: Store, **senders: Mailbox) -> Probes:
    return Probes(
        store,
        opened(store),
        TOKENS,
        targets=SEEDS,
        senders=senders or {"news": SHOP},
        wording=WORDING,
        new_id=new_id,
    )


def canary_of(store: Store, address: str = "") -> Canaries:
    return Canaries(
        store,
        opened(store),
        TOKENS,
        parse_mailbox(f"postmaster@{BOUNCES}"),
        BOUNCES,
        parse(address) if address else None,
        900.0,
        new_id,
    )


async def test_each_stream_is_probed_at_each_seed_with_a_tag_that_proves_it(store: Store) -> None:
    assert await probes(store, news=SHOP, codes=SHOP).send(NOW) == 4
    noted = await rows(store, placements)
    assert {(row["seed"], row["stream"]) for row in noted} == {
        (seed, stream) for seed in ("ann", "jon") for stream in ("news", "codes")
    }
    contents = {row["message_id"]: bytes(row["content"]) for row in await rows(store, bodies)}
    ranks = {row["stream"]: row["class"] for row in await rows(store, messages)}
    assert ranks == {"news": "bulk", "codes": "otp"}, "each as urgent as its stream"
    codes = set()
    for row in noted:
        mail = email.message_from_bytes(contents[row["message_id"]], policy=email.policy.default)
        assert probe_of(TOKENS, mail[TAG], NOW) == row["id"]
        assert mail["Subject"] == f"{row['stream']} of 2027-01-15"
        codes.add(mail.get_body(("plain",)).get_content())
    assert len(codes) == 4, "no two are the same to the letter"


async def test_a_tag_is_proven_by_its_purpose_and_its_day() -> None:
    ulid = "01jd000000000000000000000a"
    foreign = TOKENS.return_path(ulid, BOUNCES, expires=NOW + 9).partition("@")[0][2:]
    assert probe_of(TOKENS, foreign, NOW) is None
    assert probe_of(TOKENS, "", NOW) is None


async def test_a_seed_that_is_refused_keeps_no_other_back(store: Store) -> None:
    broken = probes(store, **{"No Stream": SHOP, "news": SHOP})
    assert await broken.send(NOW) == 2
    with pytest.raises(Refused):
        await probes(store)._intake.accept(broken._order(new_id(), SEEDS[0], "No", SHOP, NOW))


async def test_what_becomes_of_a_probe_is_held_against_nobody_and_told_to_nobody(
    store: Store,
) -> None:
    await probes(store).send(NOW)
    claims = await claimed(store)
    assert {claim.probe for claim in claims} == {"placement"}
    await recorded(store, *(came_of(c, Fact.REFUSED, verdict=NO_SUCH_USER) for c in claims))
    assert {row["state"] for row in await rows(store, deliveries)} == {"bounced"}
    assert await rows(store, suppressions) == []
    assert await kinds_of_events(store) == []


async def test_users_mail_beside_a_probe_counts_as_ever(store: Store) -> None:
    await probes(store).send(NOW)
    await sent_to(store, "gone@example.net")
    claims = await claimed(store)
    await recorded(store, *(came_of(c, Fact.REFUSED, verdict=NO_SUCH_USER) for c in claims))
    [listed] = await rows(store, suppressions)
    assert listed["address"] == "gone@example.net"
    assert await kinds_of_events(store) == ["bounced", "suppressed"]


async def test_a_probe_obeys_the_list_though(store: Store) -> None:
    await suppressed(store, entry("ann@seed.example"))
    before = await kinds_of_events(store)
    await probes(store).send(NOW)
    states = {row["recipient"]: row["state"] for row in await rows(store, deliveries)}
    assert states == {"ann@seed.example": "suppressed", "jon@seed.example": "queued"}
    assert await kinds_of_events(store) == before


async def test_the_late_bounce_of_a_canary_suppresses_nothing_and_closes_the_loop(
    store: Store,
) -> None:
    await canary_of(store, "canary@elsewhere.example").send(NOW)
    [claim] = await claimed(store)
    await recorded(store, came_of(claim, Fact.ACCEPTED))
    bounce = ReportedRecipient("canary@elsewhere.example", status="5.1.1", verdict=NO_SUCH_USER)
    arrival = Arrival(
        new_id(), NOW + 9, "bounce", claim.delivery_id, Reading(Kind.BOUNCE, (bounce,))
    )
    facts = await store.write(
        lambda tx: ledger.enter(tx, arrival, now=NOW + 9, limits=LIMITS, new_id=new_id)
    )
    assert [fact.probe for fact in facts] == ["canary"]
    assert [fact.suppressed for fact in facts] == [False]
    assert await rows(store, suppressions) == []
    assert await kinds_of_events(store) == []
    assert await store.read(lambda tx: bounce_loop.last_return(tx, NOW + 10)) == NOW + 9


async def test_a_canary_goes_to_an_address_that_only_we_can_have_made(store: Store) -> None:
    await canary_of(store).send(NOW)
    [claim] = await claimed(store)
    local, _, domain = claim.recipient.partition("@")
    [row] = await rows(store, canaries)
    assert domain == BOUNCES
    assert TOKENS.read_canary_address(local, NOW).subject_id == row["id"]  # type: ignore[union-attr]
    assert row["delivery_id"] == claim.delivery_id


async def test_a_bounce_is_written_once_with_the_null_sender(store: Store) -> None:
    await canary_of(store).send(NOW)
    [claim] = await claimed(store)
    [row] = await rows(store, canaries)
    bounce = Bounce(row["id"], claim.return_path, claim.delivery_id, b"Subject: x\r\n\r\n", "<a@b>")
    written = [
        await store.write(lambda tx: canary.reflect(tx, bounce, now=NOW, new_id=new_id))
        for _ in range(3)
    ]
    assert written == [True, False, False]
    [made] = await claimed(store)
    assert (made.return_path, made.recipient, made.probe) == ("", claim.return_path, "canary")
    [ready] = await store.read(lambda tx: queue.prepare(tx, [made], NOW))
    assert ready.content == b"Subject: x\r\n\r\n"


async def test_no_bounce_is_written_for_the_return_path_of_users_mail(store: Store) -> None:
    await canary_of(store).send(NOW)
    [row] = await rows(store, canaries)
    [users] = await sent_to(store, "ann@example.net")
    bounce = Bounce(row["id"], f"b+x@{BOUNCES}", users, b"Subject: x\r\n\r\n", "<a@b>")
    for owner in (users, new_id()):
        wrong = replace(bounce, owner_id=owner)
        assert not await store.write(
            lambda tx, wrong=wrong: canary.reflect(tx, wrong, now=NOW, new_id=new_id)
        )
    assert len(await rows(store, messages)) == 2
