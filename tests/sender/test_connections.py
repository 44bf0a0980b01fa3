"""Which connection a message travels on, and that nothing about connections grows without bound."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from analysis.reply import Stage
from sender.connections import Connections, Limits
from sender.smtp import Envelope, Host, Outcome, Result, Route, Timeouts, TlsMode
from sender.unreachable import KEPT, Unreachable
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.fast_sink import start_fast_sink
from tests.peers.scripted_mx import EXTENSIONS, Act, Drop, Go, Raw, Say, ScriptedMX, Stall

BODY = b"Subject: hello\r\n\r\nHow do you do.\r\n"
LETTER = Envelope("b+tok@bounces.example.com", "ann@example.net", BODY)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: how a transport ends, and when, is the loop's own."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certificate_for("mx.example.net")


def host_of(mx: ScriptedMX, name: str = "mx.example.net") -> Host:
    return Host(name, mx.address, mx.port)


def route_to(*mxs: ScriptedMX, **terms: object) -> Route:
    return Route("example.net", tuple(host_of(mx) for mx in mxs), **terms)  # type: ignore[arg-type]


@asynccontextmanager
async def pool(**settings: object) -> AsyncIterator[Connections]:
    connections = Connections(ehlo_name="mail.example.com", **settings)  # type: ignore[arg-type]
    try:
        yield connections
    finally:
        await connections.close()


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def letter_to(rcpt: str) -> Envelope:
    return replace(LETTER, rcpt=rcpt)


async def test_a_connection_is_kept_for_the_next_message_to_the_site() -> None:
    async with ScriptedMX() as mx, pool() as connections:
        first = await connections.deliver(route_to(mx), LETTER)
        second = await connections.deliver(route_to(mx), LETTER)
    assert [first.reused, second.reused] == [False, True]
    assert (second.host, second.address) == ("mx.example.net", "127.0.0.1")
    assert mx.connections == 1
    assert len(mx.received) == 2
    assert mx.commands[-1] == "QUIT"


async def test_many_at_once_each_get_their_own_answer() -> None:
    """Replies are never crossed between messages, whoever is refused."""

    async def one(connections: Connections, mx: ScriptedMX, number: int) -> Outcome:
        size = 40 if number % 3 == 0 else 20  # every third message is too long for this host
        body = b"X: " + b"y" * size + b"\r\n"
        return await connections.deliver(
            route_to(mx), Envelope("", f"user{number}@example.net", body)
        )

    async with ScriptedMX(extensions=("PIPELINING", "SIZE 30")) as mx:
        async with pool(limits=Limits(per_site=4)) as connections:
            outcomes = await asyncio.gather(*(one(connections, mx, n) for n in range(60)))
        assert mx.connections <= 4
    refused = [n for n, outcome in enumerate(outcomes) if outcome.result is Result.REFUSED]
    assert refused == list(range(0, 60, 3))
    taken = sorted(message.rcpts[0] for message in mx.received)
    assert taken == sorted(f"user{n}@example.net" for n in range(60) if n % 3)


async def test_a_refusal_does_not_reach_the_next_message() -> None:
    script = {"rcpt": [Say("550 5.1.1 no such user")]}
    async with ScriptedMX(script) as mx, pool() as connections:
        first = await connections.deliver(route_to(mx), letter_to("gone@example.net"))
        second = await connections.deliver(route_to(mx), LETTER)
    assert (first.result, first.reply.code) == (Result.REFUSED, 550)
    assert (second.result, second.reused) == (Result.ACCEPTED, True)
    assert [message.rcpts for message in mx.received] == [["ann@example.net"]]


@pytest.mark.parametrize("extensions", [EXTENSIONS, ()], ids=["pipelined", "stepwise"])
@pytest.mark.parametrize(
    "act",
    [
        [Go(), Say("421 4.4.2 idle too long", drop=True)],
        [Go(), Drop()],
        [Go(), Drop(rst=True)],
        [Go(), Raw(b"what?\r\n")],
        [Go(), Stall()],
    ],
    ids=repr,
)
async def test_a_kept_connection_that_fails_at_mail_is_not_an_attempt(
    act: list[Act], extensions: tuple[str, ...]
) -> None:
    """An idle 421 shows only at the next use; the message goes on a fresh connection."""
    timeouts = Timeouts(mail=0.3)
    async with ScriptedMX({"mail": act}, extensions=extensions) as mx:
        async with pool(timeouts=timeouts) as connections:
            await connections.deliver(route_to(mx), LETTER)
            outcome = await connections.deliver(route_to(mx), LETTER)
        assert (outcome.result, outcome.reused) == (Result.ACCEPTED, False)
        assert mx.connections == 2


@pytest.mark.parametrize("act", [Say("421 idle", drop=True), Drop(), Drop(rst=True)], ids=repr)
async def test_a_kept_connection_that_died_meanwhile_is_not_an_attempt(act: Act) -> None:
    async with ScriptedMX({"idle": [act]}) as mx, pool() as connections:
        await connections.deliver(route_to(mx), LETTER)
        await mx.until(lambda: mx.open == 0)
        outcome = await connections.deliver(route_to(mx), LETTER)
        assert (outcome.result, outcome.reused) == (Result.ACCEPTED, False)


async def test_doubt_on_a_kept_connection_is_never_sent_twice() -> None:
    async with ScriptedMX({"dot": [Go(), Drop()]}) as mx, pool() as connections:
        await connections.deliver(route_to(mx), LETTER)
        outcome = await connections.deliver(route_to(mx), LETTER)
        assert (outcome.result, outcome.reused) == (Result.IN_DOUBT, True)
        assert mx.connections == 1


@pytest.mark.parametrize(
    "script",
    [
        {"banner": Drop()},
        {"banner": Say("554 5.7.1 no service", drop=True)},
        {"banner": Say("421 4.7.0 too many connections", drop=True)},
        {"banner": Stall()},
        {"ehlo": Say("421 4.3.2 going down", drop=True)},
        {"ehlo": Say("550 5.7.1 bad name"), "helo": Say("550 5.7.1 bad name")},
        {"mail": Say("421 4.3.2 going down", drop=True)},
        {"mail": Drop(rst=True)},
    ],
    ids=repr,
)
async def test_trouble_before_mail_is_tried_on_the_next_host(script: dict[str, Act]) -> None:
    """RFC 5321 section 5.1."""
    async with ScriptedMX(script) as bad, ScriptedMX() as good:
        async with pool(timeouts=Timeouts(banner=0.3)) as connections:
            outcome = await connections.deliver(route_to(bad, good), LETTER)
        assert outcome.result is Result.ACCEPTED
        assert (bad.connections, good.connections) == (1, 1)


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("said", ["550 5.1.1 no", "451 4.7.1 greylisted"])
async def test_an_answer_about_the_message_is_not_asked_for_elsewhere(
    stage: str, said: str
) -> None:
    async with ScriptedMX({stage: Say(said)}) as first, ScriptedMX() as second:
        async with pool() as connections:
            outcome = await connections.deliver(route_to(first, second), LETTER)
        assert outcome.reply.code == int(said[:3])
        assert second.connections == 0


async def test_at_most_five_addresses_are_tried_and_a_host_s_own_words_win() -> None:
    async with (
        ScriptedMX({"banner": Drop()}) as mute,
        ScriptedMX({"banner": Say("554 no")}) as rude,
    ):
        hosts = [host_of(mute)] * 2 + [host_of(rude)] + [host_of(mute)] * 5
        async with pool() as connections:
            outcome = await connections.deliver(Route("example.net", tuple(hosts)), LETTER)
        assert mute.connections + rude.connections == 5
    assert (outcome.result, outcome.reply.code) == (Result.DEFERRED, 554)
    assert outcome.reply.stage is Stage.BANNER


async def test_no_more_addresses_are_tried_when_the_time_is_up() -> None:
    clock = Clock()
    async with ScriptedMX({"banner": Drop()}) as mx:
        async with pool(clock=clock, limits=Limits(search=0)) as connections:
            outcome = await connections.deliver(route_to(mx, mx, mx), LETTER)
        assert (outcome.result, mx.connections) == (Result.DEFERRED, 1)


async def test_a_host_that_would_not_talk_is_tried_last_for_a_while() -> None:
    """Or every message of a busy site waits two minutes for the same silent host."""
    clock = Clock()
    async with (
        ScriptedMX({"banner": [Drop()]}) as first,
        ScriptedMX() as second,
        pool(clock=clock, limits=Limits(messages=1)) as connections,
    ):
        for _ in range(3):
            await connections.deliver(route_to(first, second), LETTER)
        assert (first.connections, second.connections) == (1, 3)
        clock.now += 61
        await connections.deliver(route_to(first, second), LETTER)
        assert (first.connections, second.connections) == (2, 3)


async def test_a_host_that_would_not_talk_is_still_tried_where_there_is_no_other() -> None:
    async with ScriptedMX({"banner": [Drop()]}) as mx, pool() as connections:
        assert (await connections.deliver(route_to(mx), LETTER)).result is Result.DEFERRED
        assert (await connections.deliver(route_to(mx), LETTER)).result is Result.ACCEPTED


def test_only_so_many_unreachable_hosts_are_remembered() -> None:
    unreachable = Unreachable(Clock())
    hosts = tuple(Host("mx", "192.0.2.1", port) for port in range(1, KEPT + 101))
    for host in hosts:
        unreachable.note(host)
    assert unreachable.last(hosts)[:100] == hosts[:100]
    assert set(unreachable.last(hosts)) == set(hosts)
    assert len(unreachable._until) == KEPT


async def test_a_refused_connection_is_a_deferral_with_the_next_host_tried() -> None:
    async with ScriptedMX() as gone:
        pass
    async with ScriptedMX() as good, pool() as connections:
        outcome = await connections.deliver(route_to(gone, good), LETTER)
        assert outcome.result is Result.ACCEPTED
        outcome = await connections.deliver(Route("gone", (host_of(gone),)), LETTER)
        assert (outcome.result, outcome.reply.enhanced) == (Result.DEFERRED, "4.4.1")


@pytest.mark.parametrize(
    "script",
    [
        {"starttls": Say("454 4.7.0 no TLS today")},
        {"starttls": Drop()},
        {"tls": Raw(b"not TLS at all")},
        {"tls": Drop()},
        {"tls": Drop(rst=True)},
        {"tls": Stall()},
    ],
    ids=repr,
)
async def test_opportunistic_tls_that_fails_goes_on_in_the_clear_and_required_does_not(
    script: dict[str, Act], certificate: Certificate
) -> None:
    """RFC 7435; never in REQUIRED or VERIFIED, and never with credentials."""
    async with ScriptedMX(script, tls=certificate.server) as mx:
        async with pool(timeouts=Timeouts(tls=0.3)) as connections:
            outcome = await connections.deliver(route_to(mx), LETTER)
            assert (outcome.result, outcome.tls_version) == (Result.ACCEPTED, None)
            taken = len(mx.received)
            for terms in (
                {"tls": TlsMode.REQUIRED},
                {"tls": TlsMode.VERIFIED},
                {"username": "carom", "password": "hunter2"},
            ):
                outcome = await connections.deliver(route_to(mx, **terms), LETTER)
                assert outcome.result is Result.DEFERRED
                assert outcome.reply.stage is Stage.STARTTLS
        assert len(mx.received) == taken
        assert not any("AUTH" in line for line in mx.commands)


@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.VERIFIED])
async def test_required_tls_that_is_not_offered_defers(mode: TlsMode) -> None:
    async with ScriptedMX() as mx, pool() as connections:
        outcome = await connections.deliver(route_to(mx, tls=mode), LETTER)
        assert (outcome.result, outcome.reply.enhanced) == (Result.DEFERRED, "4.7.4")
        assert not mx.received


async def test_opportunistic_tls_asks_for_no_valid_certificate() -> None:
    expired = certificate_for("somebody-else.example", expired=True)
    async with ScriptedMX(tls=expired.server) as mx, pool() as connections:
        outcome = await connections.deliver(route_to(mx), LETTER)
    assert (outcome.result, outcome.tls_version) == (Result.ACCEPTED, "TLSv1.3")
    assert not outcome.tls_verified
    assert mx.connections == 1


async def test_verified_tls_wants_the_host_s_name_from_a_known_authority(
    certificate: Certificate,
) -> None:
    async with ScriptedMX(tls=certificate.server) as mx:
        right = route_to(mx, tls=TlsMode.VERIFIED)
        wrong = replace(right, hosts=(host_of(mx, "other.example.net"),))
        async with pool(tls=certificate.client) as connections:
            good = await connections.deliver(right, LETTER)
            bad = await connections.deliver(wrong, LETTER)
        async with pool() as connections:
            unknown = await connections.deliver(right, LETTER)
    assert (good.result, good.tls_verified) == (Result.ACCEPTED, True)
    for outcome in (bad, unknown):
        assert (outcome.result, outcome.reply.enhanced) == (Result.DEFERRED, "4.7.5")
        assert "certificate not trusted" in outcome.reply.text
    assert len(mx.received) == 1


async def test_implicit_tls_never_falls_back(certificate: Certificate) -> None:
    async with ScriptedMX(tls=certificate.server, implicit_tls=True) as mx, pool() as connections:
        outcome = await connections.deliver(route_to(mx, implicit_tls=True), LETTER)
        assert (outcome.result, outcome.tls_version) == (Result.ACCEPTED, "TLSv1.3")
        assert mx.received[0].tls
    async with ScriptedMX() as plain, pool() as connections:
        outcome = await connections.deliver(route_to(plain, implicit_tls=True), LETTER)
        assert (outcome.result, outcome.reply.enhanced) == (Result.DEFERRED, "4.7.5")
        assert plain.connections == 1
        assert not any("EHLO" in line for line in plain.commands)


async def test_a_kept_connection_serves_only_its_own_terms(certificate: Certificate) -> None:
    """What was not verified, or signed in as somebody else, must not carry this message."""
    async with ScriptedMX(tls=certificate.server, extensions=("AUTH PLAIN",)) as mx:
        route = route_to(mx)
        routes = [
            route,
            replace(route, tls=TlsMode.NONE),
            replace(route, tls=TlsMode.VERIFIED),
            replace(route, username="ann", password="a"),
            replace(route, username="bob", password="a"),
            replace(route, username="bob", password="b"),
            replace(route, source_address="127.0.0.1"),
        ]
        async with pool(tls=certificate.client) as connections:
            for each in routes:
                outcome = await connections.deliver(each, LETTER)
                assert (outcome.result, outcome.reused) == (Result.ACCEPTED, False)
            for each in routes:
                assert (await connections.deliver(each, LETTER)).reused
        assert mx.connections == len(routes)


async def test_each_address_of_ours_has_a_pool_and_a_name_of_its_own() -> None:
    """One connection each at once, where the site may have one."""
    async with ScriptedMX() as mx, pool(limits=Limits(per_site=1)) as connections:
        routes = [
            replace(route_to(mx), source_address=f"127.0.0.{n}", ehlo_name=f"out{n}.example.com")
            for n in (2, 3)
        ]
        for each in routes * 2:
            assert (await connections.deliver(each, LETTER)).result is Result.ACCEPTED
        assert mx.sources == ["127.0.0.2", "127.0.0.3"]
        names = [line for line in mx.commands if line.startswith("EHLO")]
        assert names == ["EHLO out2.example.com", "EHLO out3.example.com"]


async def test_a_kept_connection_to_a_host_no_longer_in_the_route_is_not_used() -> None:
    async with ScriptedMX() as old, ScriptedMX() as new, pool() as connections:
        await connections.deliver(route_to(old), LETTER)
        outcome = await connections.deliver(route_to(new), LETTER)
        assert (outcome.reused, len(new.received)) == (False, 1)


async def test_our_address_is_the_one_asked_for() -> None:
    async with ScriptedMX() as mx, pool() as connections:
        route = route_to(mx, source_address="127.0.0.1")
        assert (await connections.deliver(route, LETTER)).result is Result.ACCEPTED
        assert mx.sources == ["127.0.0.1"]
        elsewhere = replace(route, source_address="192.0.2.1")
        outcome = await connections.deliver(elsewhere, LETTER)
        assert (outcome.result, outcome.reply.enhanced) == (Result.DEFERRED, "4.4.1")


async def test_connections_per_site_and_in_all_are_bounded_and_nobody_starves() -> None:
    """Every delivery holds its connection until the host has seen as many as may be open."""
    limits = Limits(total=3, per_site=2)
    async with (
        ScriptedMX({"dot": Stall()}) as one,
        ScriptedMX({"dot": Stall()}) as two,
        pool(limits=limits, timeouts=Timeouts(dot=0.2)) as connections,
    ):
        routes = [Route("one", (host_of(one),)), Route("two", (host_of(two),))] * 4
        peak = 0

        def watch() -> bool:
            nonlocal peak
            assert one.open <= 2
            assert two.open <= 2
            peak = max(peak, one.open + two.open)
            return False

        deliveries = [asyncio.create_task(connections.deliver(r, LETTER)) for r in routes]
        watching = [asyncio.create_task(mx.until(watch, 30)) for mx in (one, two)]
        outcomes = await asyncio.gather(*deliveries)
        for watcher in watching:
            watcher.cancel()
        await asyncio.wait(watching)
        assert all(watcher.cancelled() for watcher in watching)
    assert {outcome.result for outcome in outcomes} == {Result.IN_DOUBT}
    assert one.connections == two.connections == 4
    assert peak in (3, 4)  # a host hears of an end a moment later than we do


async def test_a_share_that_grows_lets_more_in_while_the_first_still_talk() -> None:
    """A node that joins others has one connection to begin with, and soon more."""
    async with ScriptedMX({"data": [Stall()]}) as mx, pool() as connections:
        small, grown = (replace(route_to(mx), connections=n) for n in (1, 3))
        slow = asyncio.create_task(connections.deliver(small, LETTER))
        await mx.until(lambda: "DATA" in mx.commands)
        waiting = asyncio.create_task(connections.deliver(small, LETTER))
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            outcomes = [await connections.deliver(grown, LETTER), await waiting]
        assert [outcome.result for outcome in outcomes] == [Result.ACCEPTED] * 2
        slow.cancel()
        await asyncio.wait([slow])


async def test_an_idle_connection_makes_room_for_another_site() -> None:
    async with (
        ScriptedMX() as one,
        ScriptedMX() as two,
        pool(limits=Limits(total=1)) as connections,
    ):
        await connections.deliver(Route("one", (host_of(one),)), LETTER)
        await connections.deliver(Route("two", (host_of(two),)), LETTER)
        await one.until(lambda: one.open == 0)
        assert one.commands[-1] == "QUIT"
        assert (await connections.deliver(Route("two", (host_of(two),)), LETTER)).reused


async def test_an_idle_connection_makes_room_for_other_terms_at_the_same_site() -> None:
    async with ScriptedMX() as mx, pool(limits=Limits(per_site=1)) as connections:
        await connections.deliver(route_to(mx), LETTER)
        await connections.deliver(route_to(mx, tls=TlsMode.NONE), LETTER)
        await mx.until(lambda: mx.open == 1)


async def test_a_connection_carries_only_so_many_messages() -> None:
    async with ScriptedMX() as mx, pool(limits=Limits(messages=2)) as connections:
        outcomes = [await connections.deliver(route_to(mx), LETTER) for _ in range(5)]
        assert [outcome.reused for outcome in outcomes] == [False, True, False, True, False]
        assert mx.connections == 3


async def test_success_is_told_before_quit_is_answered() -> None:
    async with ScriptedMX({"quit": Stall()}) as mx, pool(limits=Limits(messages=1)) as connections:
        async with asyncio.timeout(60):
            outcome = await connections.deliver(route_to(mx), LETTER)
        assert outcome.result is Result.ACCEPTED
        await mx.until(lambda: mx.commands[-1] == "QUIT" and mx.open == 0)


async def test_a_connection_idle_for_too_long_is_not_used() -> None:
    clock = Clock()
    async with ScriptedMX() as mx, pool(clock=clock, limits=Limits(idle=15)) as connections:
        await connections.deliver(route_to(mx), LETTER)
        clock.now += 14.9
        assert (await connections.deliver(route_to(mx), LETTER)).reused
        clock.now += 15
        assert not (await connections.deliver(route_to(mx), LETTER)).reused
        await mx.until(lambda: mx.open == 1)


async def test_idle_connections_are_left_without_being_asked() -> None:
    async with ScriptedMX() as mx, pool(limits=Limits(idle=0.1)) as connections:
        await connections.deliver(route_to(mx), LETTER)
        await mx.until(lambda: mx.open == 0)
        assert mx.commands[-1] == "QUIT"


async def test_a_cancelled_delivery_gives_its_turn_back_and_cuts_its_connection() -> None:
    async with (
        ScriptedMX({"mail": [Stall()]}) as mx,
        pool(limits=Limits(per_site=1, total=1)) as connections,
    ):
        first = asyncio.create_task(connections.deliver(route_to(mx), LETTER))
        await mx.until(lambda: len(mx.commands) == 2)
        waiting = asyncio.create_task(connections.deliver(route_to(mx), LETTER))
        second = asyncio.create_task(connections.deliver(route_to(mx), LETTER))
        await asyncio.sleep(0)
        waiting.cancel()
        first.cancel()
        outcome = await second
        assert (outcome.result, outcome.reused) == (Result.ACCEPTED, False)
        await mx.until(lambda: mx.open == 1)
        assert (first.cancelled(), waiting.cancelled()) == (True, True)


async def test_close_says_quit_within_a_bound_and_takes_no_more() -> None:
    async with ScriptedMX({"quit": Stall()}) as mx:
        descriptors = len(os.listdir("/dev/fd"))
        connections = Connections(ehlo_name="mail.example.com", timeouts=Timeouts(quit=0.2))
        await connections.deliver(route_to(mx), LETTER)
        await connections.close()
        await mx.until(lambda: mx.open == 0)
        assert mx.commands[-1] == "QUIT"
        with pytest.raises(RuntimeError, match="closed"):
            await connections.deliver(route_to(mx), LETTER)
        for _ in range(5):
            await asyncio.sleep(0)  # descriptors are closed in a later turn of the loop
        assert len(os.listdir("/dev/fd")) <= descriptors


async def test_a_delivery_under_way_at_close_is_finished_and_its_connection_left() -> None:
    async with ScriptedMX() as mx:
        connections = Connections(ehlo_name="mail.example.com")
        delivery = asyncio.create_task(connections.deliver(route_to(mx), LETTER))
        await mx.until(lambda: len(mx.commands) == 2)
        await connections.close()
        assert (await delivery).result is Result.ACCEPTED
        await mx.until(lambda: mx.open == 0)
        assert mx.commands[-1] == "QUIT"


async def test_sites_seen_once_are_forgotten() -> None:
    """A table of every domain ever written to would grow for ever."""
    async with ScriptedMX() as mx, pool(limits=Limits(total=3)) as connections:
        for number in range(50):
            await connections.deliver(Route(f"site-{number}", (host_of(mx),)), LETTER)
        async with ScriptedMX() as gone:
            pass
        for number in range(50, 60):
            await connections.deliver(Route(f"site-{number}", (host_of(gone),)), LETTER)
        assert len(connections._sites) == 2  # one made room
        assert len(connections._idle) == 2


async def test_the_fast_sink_takes_what_a_real_host_takes() -> None:
    server = await start_fast_sink()
    port = server.sockets[0].getsockname()[1]
    async with server, pool() as connections:
        route = Route("sink", (Host("sink.example.net", "127.0.0.1", port),))
        body = BODY + b".\r\n" * 3 + b"x" * 200_000 + b"\r\n"
        for _ in range(3):
            outcome = await connections.deliver(route, replace(LETTER, content=body))
            assert outcome.result is Result.ACCEPTED


async def test_our_name_must_be_one_that_can_be_said() -> None:
    for name in ("", "two words", "line\r\nRSET", "é.example"):
        with pytest.raises(ValueError, match="EHLO"):
            Connections(ehlo_name=name)


async def test_a_connection_that_is_never_answered_is_given_up() -> None:
    """A listener whose queue is full drops the SYN, as a firewall does."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        host = Host("mx.example.net", *listener.getsockname())
        async with pool(timeouts=Timeouts(connect=0.3, banner=0.3)) as connections:
            outcome = await connections.deliver(Route("x", (host,)), LETTER)
        for filler in fillers:
            filler.close()
    assert (outcome.result, outcome.reply.code) == (Result.DEFERRED, None)
    assert "within 0.3 s" in outcome.reply.text


def test_limits_must_let_something_through() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limits(per_site=0)
