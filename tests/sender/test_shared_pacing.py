"""Several nodes keep to what a site bears together: real transactions, by a clock handed in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import ExitStack

import pytest

from analysis.reply import Reply, Stage
from analysis.store import Store
from sender.allowances import Allowance, Allowances, Rate
from sender.pacing import ROUNDS, Pacing, Pass
from sender.pacing_leases import GRACE
from sender.pacing_rounds import EVERY, LEASE, PacingRounds
from sender.places import Held
from sender.smtp import Route
from tests.sender.test_pacing import BUSY, CLASSIFY, Time, route
from tests.storing import Unsteady

pytestmark = pytest.mark.anyio

STEP = 0.1
PER_SECOND = 50
ALLOWED = Allowance(8, 100, Rate(PER_SECOND, 1.0))
SITE = route()


class Node:
    """What a sending process is to the others: its pacing and its rounds."""

    def __init__(self, store: Store, name: str, clock: Time, allowed: Allowance = ALLOWED) -> None:
        self.pacing = Pacing(Allowances(allowed), clock=clock, chance=lambda: 0.5)
        self.rounds = PacingRounds(
            self.pacing, store, node=name, gone=lambda name: False, clock=clock
        )
        self.clock = clock
        self.due = 0.0

    async def begin(self) -> Node:
        await self.rounds.leave()
        return self

    async def keep(self) -> None:
        """What its loop does: once a second, and at once where somebody waits for it."""
        if self.clock.now >= self.due:
            self.due = self.clock.now + (await self.rounds.renew() or EVERY)

    async def enter(self, site: Route = SITE) -> Pass | Held:
        """Try to send one message, as a delivery does that was claimed."""
        waits = asyncio.create_task(self.pacing.enter(site, "example.net"))
        for _ in range(1 + ROUNDS):
            await asyncio.sleep(0)  # until it waits, or is told
            if self.pacing.stirred.is_set():
                self.pacing.stirred.clear()
                self.due = 0.0
                await self.keep()
        return await waits

    async def sends(self, most: int = 1_000) -> int:
        """Send as much as may be now, one after another; how many went."""
        for sent in range(most):
            one = await self.enter()
            if isinstance(one, Held):
                return sent
            says(one, "250 2.0.0 taken", "accepted")
        return most


def says(one: Pass, words: str, result: str = "deferred") -> None:
    reply = Reply.read(words, stage=Stage.RCPT)
    with one:
        one.heard(result, reply, CLASSIFY(reply))


async def nodes(store: Store, clock: Time, count: int, allowed: Allowance = ALLOWED) -> list[Node]:
    return [await Node(store, f"node{n}", clock, allowed).begin() for n in range(count)]


async def all_send(some: Iterable[Node], seconds: float) -> list[int]:
    """Every node sends all it may for so long; how many went, for each."""
    some = list(some)
    clock, sent = some[0].clock, dict.fromkeys(some, 0)
    for _ in range(round(seconds / STEP)):
        for node in some:
            await node.keep()
            sent[node] += await node.sends()
        clock.now += STEP
    return list(sent.values())


async def test_four_nodes_keep_to_one_rate_and_use_it(store: Store) -> None:
    four = await nodes(store, Time(), 4)
    await all_send(four, 3)  # the first was alone and had what is sent at once after a pause
    sent = await all_send(four, 20)
    assert sum(sent) == pytest.approx(20 * PER_SECOND, rel=0.05)
    assert min(sent) == pytest.approx(5 * PER_SECOND, rel=0.1)


async def test_who_comes_or_goes_or_has_nothing_to_send_changes_little_of_the_sum(
    store: Store,
) -> None:
    """Each change costs a round or two of the part that moves, and never gives too much."""
    first, second, third, fourth = await nodes(store, Time(), 4)
    await all_send([first, second], 3)
    sent = sum(await all_send([first, second], 4))
    sent += sum(await all_send([first, second, third, fourth], 14))  # two come
    idle = [first, second]
    await third.rounds.leave()  # one goes
    for _ in range(round(14 / STEP)):
        await fourth.keep()  # it has nothing to send
        sent += sum(await all_send(idle, STEP))
    assert sent == pytest.approx(32 * PER_SECOND, rel=0.05)


async def test_what_a_dead_node_held_is_taken_over_when_its_lease_has_ended(store: Store) -> None:
    one, dies = await nodes(store, Time(), 2)
    await all_send([one, dies], 5)
    assert sum(await all_send([one], LEASE - EVERY)) <= 0.6 * PER_SECOND * (LEASE - EVERY)
    await all_send([one], GRACE + 2 * EVERY)
    assert sum(await all_send([one], 5)) == pytest.approx(5 * PER_SECOND, rel=0.05)


async def test_connections_are_shared_and_given_on_when_they_end(store: Store) -> None:
    clock = Time()
    one, two = await nodes(store, clock, 2, Allowance(8))
    with ExitStack() as under_way:
        for _ in range(8):
            begun = await one.enter()
            assert isinstance(begun, Pass)
            under_way.enter_context(begun)
        assert await two.sends() == 0, "more than the site bears"
        clock.now += EVERY
        await one.rounds.renew()
        await two.rounds.renew()
        assert await two.sends() == 0, "the other's are still under way"
    clock.now += EVERY
    await one.rounds.renew()
    await two.rounds.renew()
    shares = [node.pacing.share(SITE.site, clock.now) for node in (one, two)]
    assert shares == [8, 8], "two times four: as many may wait as talk"


async def test_at_other_sites_each_may_have_one_conversation_without_asking(store: Store) -> None:
    clock = Time()
    one, two = await nodes(store, clock, 2, Allowance(8))
    for _ in range(2):
        for node in (one, two):
            await node.sends(1)
            await node.rounds.renew()
    for node in (one, two):
        assert isinstance(await node.enter(route("mx.example.org")), Pass)
        site = "mx.example.org"
        assert node.pacing.share(site, clock.now) == 2


async def test_more_for_a_site_new_to_a_node_waits_for_its_share_and_is_not_put_off(
    store: Store,
) -> None:
    one, two = await nodes(store, Time(), 2, Allowance(8))
    for _ in range(2):
        for node in (one, two):
            await node.sends(1)
            await node.rounds.renew()
    with ExitStack() as under_way:
        for _ in range(7):  # the eighth is the other's, who need not ask
            begun = await one.enter(route("mx.example.org"))
            assert isinstance(begun, Pass)
            under_way.enter_context(begun)
        assert await two.sends(1) == 1


async def test_what_one_is_told_goes_round(store: Store) -> None:
    clock = Time()
    one, two = await nodes(store, clock, 2, Allowance(8))
    for _ in range(3):
        for node in (one, two):
            await node.sends(1)
            await node.rounds.renew()
        clock.now += EVERY
    for _ in range(3):
        begun = await one.enter()
        assert isinstance(begun, Pass)
        says(begun, BUSY)
    told = await one.enter()
    assert isinstance(told, Held)
    assert isinstance(await two.enter(), Pass)
    clock.now += EVERY
    await one.rounds.renew()
    await two.rounds.renew()
    heard = await two.enter()
    assert isinstance(heard, Held)
    assert heard.verdict.evidence == told.verdict.evidence
    assert heard.until > told.until, "who was told tries first"
    late = await Node(store, "node2", clock, Allowance(8)).begin()
    await late.rounds.renew()
    assert isinstance(await late.enter(), Held)


async def test_without_the_database_each_keeps_to_its_last_share(store: Store) -> None:
    clock, away = Time(), Unsteady(store)
    two = [await Node(away, name, clock).begin() for name in ("one", "two")]
    await all_send(two, 3)
    away.failing = 1_000_000
    assert sum(await all_send(two, 10)) == pytest.approx(10 * PER_SECOND, rel=0.05)


async def test_a_node_that_slept_over_its_lease_asks_before_it_sends(store: Store) -> None:
    clock = Time()
    sleeper, other = await nodes(store, clock, 2)
    await all_send([sleeper, other], 3)
    await all_send([other], LEASE + GRACE + 2)
    assert not sleeper.pacing.holds
    assert await sleeper.sends() <= 1
    assert sleeper.pacing.holds
