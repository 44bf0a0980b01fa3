"""Cohorts equal a recount from the raw facts, whatever happens to deliveries and in what order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, text

from analysis import cohorts, migrate, rejudge
from analysis.amends import Memory
from analysis.cohorts import ACCEPTED, HOUR, Mark, Span, hour_of
from analysis.erase import erase
from analysis.facts import Arrival, Kind, Reading, ReportedRecipient
from analysis.ledger import enter
from analysis.lifecycle import Fact
from analysis.retention import DAY, Keep, sweep
from analysis.schema import cohort_changes, deliveries
from analysis.schema import cohorts as kept
from analysis.stats import cohort, quantile, settled_recently
from analysis.store import Store, open_store
from analysis.verdict import UNKNOWN, Verdict
from sender import leases, unsent
from tests.storing import (
    BLOCKED,
    BOX_FULL,
    LIMITS,
    NO_SUCH_USER,
    NOW,
    Row,
    came_of,
    claimed,
    delivered,
    entry,
    hash_of,
    new_id,
    recorded,
    rows,
    sent_to,
    submission,
    submitted,
    suppressed,
)

pytestmark = pytest.mark.anyio

ALWAYS = Span(0.0, NOW + 400 * DAY)
KEYS = ("hour", "stream", "provider", "outcome", "category", "fault", "wait")
PEOPLE = [f"p{n}@example.net" for n in range(6)]
VERDICTS = (UNKNOWN, NO_SUCH_USER, BOX_FULL, BLOCKED)


async def counted(store: Store, span: Span = ALWAYS) -> Counter[Mark]:
    """What the cohorts say of the final states."""
    found = await store.read(lambda tx: cohorts.read(tx, span, *KEYS))
    marks = Counter({Mark(*key): n for *key, n in found})
    return Counter({mark: n for mark, n in marks.items() if mark.outcome != ACCEPTED})


async def from_raw(store: Store) -> Counter[Mark]:
    """The same, by a plain walk over the deliveries that shares no code with what is tested."""
    found: Counter[Mark] = Counter()
    sent = {
        r["id"]: r["send_at"] for r in await rows(store, deliveries.metadata.tables["messages"])
    }
    for row in await rows(store, deliveries):
        if row["state"] in ("queued", "sending") or row["probe"] is not None:
            continue
        at = sent[row["message_id"]]
        hour = int((row["created_at"] if at is None else at) // 3600)
        why: tuple[str, str] = ("", "")
        if row["state"] in ("bounced", "expired"):
            why = (row["category"] or "", row["fault"] or "")
        found[Mark(hour, row["stream"], row["provider"], row["state"], *why)] += 1
    return found


class Life:
    """Random things that happen to mail, each drawn from one seed."""

    def __init__(self, store: Store, seed: int) -> None:
        self._store = store
        self._draw = random.Random(seed)
        self._now = NOW + self._draw.randrange(5) * HOUR

    async def step(self) -> None:
        happens: list[Callable[[], Awaitable[object]]] = [
            self.submit, self.submit, self.work, self.work, self.work, self.report, self.report,
            self.report, self.expire, self.cancel, self.erase, self.judge_anew, self.fold,
            self.put_on_the_list, self.lose,
        ]  # fmt: skip
        self._now += self._draw.choice((1.0, 700.0, HOUR))
        await self._draw.choice(happens)()

    async def submit(self) -> None:
        draw = self._draw
        fields: Row = {"at": self._now, "stream": draw.choice(("codes", "news"))}
        if draw.random() < 0.2:
            fields["send_at"] = self._now + 3 * HOUR
        if draw.random() < 0.1:
            fields["probe"] = "canary"
        people = draw.sample(PEOPLE, draw.randint(1, 3))
        await submitted(self._store, submission(*people, **fields), now=self._now)

    async def work(self) -> None:
        claims = await claimed(self._store, self._now, limit=4)
        facts = (Fact.ACCEPTED, Fact.ACCEPTED, Fact.REFUSED, Fact.PUT_OFF, Fact.SPENT,
                 Fact.WITHHELD, Fact.HELD_BACK)  # fmt: skip
        done = [
            came_of(
                claim,
                self._draw.choice(facts),
                at=self._now + self._draw.random() * 90,
                verdict=self._draw.choice(VERDICTS),
                provider=self._draw.choice(("gmail", "qq", "other")),
            )
            for claim in claims
        ]
        for again in (done, done[:1]):  # as after a commit whose answer was lost
            await recorded(self._store, *again, now=self._now + 90)

    async def report(self) -> None:
        """A bounce or a complaint, genuine, doubled, late, about anything ever sent."""
        delivery_id = await self._any()
        kind = self._draw.choice((Kind.BOUNCE, Kind.BOUNCE, Kind.COMPLAINT, Kind.UNSUBSCRIBE))
        person = ReportedRecipient("", "failed", "5.1.1", verdict=self._draw.choice(VERDICTS))
        feedback = self._draw.choice(("abuse", "not-spam")) if kind is Kind.COMPLAINT else None
        reading = Reading(kind, (person,), feedback)
        arrival = Arrival(new_id(), self._now, "bounce", delivery_id, reading)
        for _ in range(self._draw.randint(1, 2)):
            await self._store.write(
                lambda tx: enter(tx, arrival, now=self._now, limits=LIMITS, new_id=new_id)
            )

    async def expire(self) -> None:
        late = self._now + self._draw.choice((0.0, 30 * HOUR))
        await self._store.write(lambda tx: unsent.expire(tx, now=late))

    async def cancel(self) -> None:
        delivery_id = await self._any()
        for row in await rows(self._store, deliveries, deliveries.c.id == delivery_id):
            of = row["message_id"]
            await self._store.write(lambda tx, of=of: unsent.cancel(tx, of, now=self._now))  # type: ignore[misc]

    async def erase(self) -> None:
        person = hash_of(self._draw.choice(PEOPLE))
        await self._store.write(lambda tx: erase(tx, person, now=self._now, actor="a", why="b"))

    async def judge_anew(self) -> None:
        """A replay with other rules, `carom replay --apply`."""
        delivery_id, verdict = await self._any(), self._draw.choice(VERDICTS)
        if delivery_id is not None:
            await self._store.write(
                lambda tx: rejudge.rejudge(
                    tx, delivery_id, lambda _: verdict, Memory(), now=self._now, limits=LIMITS
                )
            )

    async def fold(self) -> None:
        await self._store.write(lambda tx: cohorts.fold(tx, most=self._draw.choice((3, 1000))))

    async def put_on_the_list(self) -> None:
        await suppressed(self._store, entry(self._draw.choice(PEOPLE), until=self._now + HOUR))

    async def lose(self) -> None:
        await claimed(self._store, self._now, limit=2)
        await self._store.write(lambda tx: leases.reclaim(tx, now=self._now + 3600))

    async def _any(self) -> str | None:
        query = select(deliveries.c.id).order_by(deliveries.c.id.desc()).limit(12)
        found = await self._store.read(lambda tx: list(tx.execute(query).scalars()))
        return self._draw.choice(found) if found else None


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
async def test_cohorts_equal_a_recount_from_raw_facts(store: Store, seed: int) -> None:
    """Also while changes wait to be folded; the lives of all examples share one database."""
    life = Life(store, seed)
    for _ in range(30):
        await life.step()
    raw = await from_raw(store)
    assert await counted(store) == raw
    assert await store.read(lambda tx: cohorts.recount(tx, ALWAYS)) == raw
    while await store.write(cohorts.fold):
        pass
    assert await counted(store) == raw
    assert await rows(store, cohort_changes) == []
    assert all(row["n"] >= 0 for row in await rows(store, kept))


async def test_a_late_bounce_leaves_the_hour_it_was_sent_in(store: Store) -> None:
    """Three were delivered; two days later one bounces and one complains."""
    ids = [(await delivered(store, person))[0] for person in PEOPLE[:3]]
    person = ReportedRecipient("", "failed", "5.1.1", verdict=NO_SUCH_USER)
    readings = (Reading(Kind.BOUNCE, (person,)), Reading(Kind.COMPLAINT, (), "abuse"))
    for delivery_id, reading in zip(ids, readings, strict=False):
        arrival = Arrival(new_id(), NOW + 2 * DAY, "bounce", delivery_id, reading)
        await store.write(
            lambda tx, arrival=arrival: enter(  # type: ignore[misc]
                tx, arrival, now=NOW + 2 * DAY, limits=LIMITS, new_id=new_id
            )
        )
    told = await store.read(lambda tx: cohort(tx, Span(NOW - HOUR, NOW + HOUR)))
    ratios = told["totals"]["ratios"]
    assert ratios["delivered"] == {"numerator": 1, "denominator": 3, "ratio": 0.333333}
    assert ratios["complained"] == {"numerator": 1, "denominator": 2, "ratio": 0.5}
    assert told["totals"]["time_to_accept"]["count"] == 3
    later = await store.read(lambda tx: cohort(tx, Span(NOW + HOUR, NOW + 3 * DAY)))
    assert later["totals"]["deliveries"] == 0
    assert told["causes"] == [
        {
            "stream": "default",
            "provider": "other",
            "category": "bad_mailbox",
            "fault": "recipient",
            "count": 1,
        }
    ]


async def test_a_span_may_cut_an_hour(store: Store) -> None:
    for after in (0, 600, 1200, 4000):
        await sent_to(store, "ann@example.net", at=NOW + after)
    for since, until, n in ((0, 600, 1), (0, 601, 2), (1, 4000, 2), (600, 99_999, 3), (-9, 0, 0)):
        span = Span(NOW + since, NOW + until)
        told = await store.read(lambda tx, span=span: cohort(tx, span))  # type: ignore[misc]
        assert told["totals"]["states"]["queued"] == n, (since, until)


async def test_what_is_to_be_sent_later_belongs_to_the_hour_it_is_sent_in(store: Store) -> None:
    await delivered(store, "ann@example.net")
    await sent_to(store, "bob@example.net", send_at=NOW + 3 * DAY, deadline=NOW + 4 * DAY)
    [claim] = await claimed(store, NOW + 3 * DAY)
    await recorded(store, came_of(claim, Fact.ACCEPTED, at=NOW + 3 * DAY + 2))
    for at in (NOW, NOW + 3 * DAY):
        span = Span(hour_of(at) * HOUR, (hour_of(at) + 1) * HOUR)
        told = await store.read(lambda tx, span=span: cohort(tx, span))  # type: ignore[misc]
        assert told["totals"]["states"]["delivered"] == 1
        assert told["totals"]["time_to_accept"]["p50"] < 3


async def test_a_series_has_every_slot_and_adds_up(store: Store) -> None:
    for n in range(3):
        await sent_to(store, "ann@example.net", at=NOW + n * 26 * HOUR)
    span = Span(NOW, NOW + 3 * DAY)
    hours = await store.read(lambda tx: cohort(tx, span, "hour"))
    days = await store.read(lambda tx: cohort(tx, span, "day"))
    assert len(hours["series"]) in (72, 73)
    assert len(days["series"]) in (3, 4)
    for told in (hours, days):
        assert sum(slot["deliveries"] for slot in told["series"]) == 3
    named = Span(NOW, NOW + DAY, stream="other")
    assert (await store.read(lambda tx: cohort(tx, named)))["totals"]["deliveries"] == 0


async def test_counts_outlive_the_deliveries_and_then_go(store: Store) -> None:
    await delivered(store, "ann@example.net")
    before = await counted(store)
    for days, left in ((100, before), (500, Counter())):
        now = NOW + days * DAY
        while await store.write(cohorts.fold):
            pass
        while await store.write(lambda tx, now=now: cohorts.forget(tx, now - 400 * DAY)):  # type: ignore[misc]
            pass
        while await store.write(lambda tx, now=now: sweep(tx, Keep(), now=now)):  # type: ignore[misc]
            pass
        assert await counted(store) == left


async def test_the_rolling_ratio_is_of_what_was_tried_and_ended(store: Store) -> None:
    await delivered(store, "ann@example.net")
    await sent_to(store, "bob@example.net")
    found = await store.read(lambda tx: settled_recently(tx, NOW + HOUR, 24))
    assert found == [("default", "other", 1, 1)]
    assert await store.read(lambda tx: settled_recently(tx, NOW + 26 * HOUR, 24)) == []


def test_a_quantile_is_within_its_step() -> None:
    waits = [random.Random(5).lognormvariate(1, 1.2) for _ in range(5_000)]
    steps = Counter(cohorts.step_of(wait) for wait in waits)
    for share in (0.5, 0.95, 0.99):
        found = quantile(steps, share)
        assert found == pytest.approx(sorted(waits)[int(share * 5_000)], rel=0.26)
    assert quantile(Counter(), 0.5) is None
    assert cohorts.step_of(0) == cohorts.step_of(1e-9) == cohorts.SHORTEST
    assert cohorts.step_of(1e12) == cohorts.LONGEST


def test_a_verdict_is_kept_only_where_it_ended_the_delivery() -> None:
    verdict: Verdict = NO_SUCH_USER
    named: Row = {"category": verdict.category.value, "fault": verdict.fault.value}
    [bounced] = cohorts.settled(NOW, "s", "gmail", "bounced", **named)
    [withheld] = cohorts.settled(NOW, "s", "gmail", "suppressed", **named)
    assert (bounced.category, withheld.category) == ("bad_mailbox", "")
    assert cohorts.settled(NOW, "s", "gmail", "queued", **named) == []


_MESSAGE = text(
    "INSERT INTO messages (id, created_at, stream, class, from_address, subject,"
    " header_message_id, send_at, deadline, size, metadata)"
    " VALUES (:id, :at, 'news', 'bulk', 'a@example.com', '', '', :send_at, 0, 0, '{}')"
)
_DELIVERY = text(
    "INSERT INTO deliveries (id, message_id, recipient, address_hash, domain, stream, rank, state,"
    " created_at, next_at, deadline, attempts, epoch, provider, return_path, category, fault)"
    " VALUES (:id, :of, 'b@example.net', :hash, 'example.net', 'news', 2, :state, :at, 0, 0, 0, 0,"
    " 'gmail', '', 'bad_mailbox', 'recipient')"
)


async def test_what_an_older_version_sent_is_counted_when_it_is_upgraded(empty_url: str) -> None:
    store = open_store(empty_url)
    await store.write(lambda tx: command.upgrade(migrate.configuration(tx), "0005"))
    states = ("delivered", "bounced", "queued", "expired", "suppressed", "complained")

    def fill(tx: Connection) -> None:
        for n in range(60):
            facts: Row = {
                "id": f"{n:026d}",
                "of": f"{n:026d}",
                "at": NOW + n * 599.5,
                "hash": b"x",
                "send_at": None,
            }
            facts |= {"state": states[n % 6], "send_at": NOW + 9 * DAY if n % 7 == 0 else None}
            tx.execute(_MESSAGE, facts)
            tx.execute(_DELIVERY, facts)

    await store.write(fill)
    await store.write(migrate.upgrade)
    assert await counted(store) == await from_raw(store)
    assert sum((await counted(store)).values()) == 50
    await store.close()
