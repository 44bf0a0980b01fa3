"""One message, one host: what is understood of what a host says, and what is never sent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.reply import Reply, Stage
from sender.smtp import Envelope, Host, Outcome, Result, Route, Timeouts, TlsMode
from sender.smtp_session import Session, unverified_tls
from sender.smtp_transaction import dot_stuffed, transact
from tests.peers.certificates import certificate_for
from tests.peers.scripted_mx import (
    EXTENSIONS,
    Act,
    Drip,
    Drop,
    Raw,
    Say,
    ScriptedMX,
    Stall,
)

BODY = b"Subject: hello\r\n\r\nHow do you do.\r\n"
LETTER = Envelope("b+tok@bounces.example.com", "Ann@example.net", BODY)
LARGE = Envelope(LETTER.mail_from, LETTER.rcpt, BODY + (b"x" * 70 + b"\r\n") * 200_000)
CALM = Timeouts()
PLAIN = tuple(name for name in EXTENSIONS if name != "PIPELINING")


def impatient(stage: str, act: Act = Stall()) -> Timeouts:  # noqa: B008  frozen
    """Calm, but for an answer that never comes."""
    return replace(CALM, **{stage: 0.05}) if isinstance(act, Stall | Drip) else CALM


def route_to(mx: ScriptedMX, **terms: object) -> Route:
    host = Host("mx.example.net", mx.address, mx.port)
    return Route("example.net", (host,), **terms)  # type: ignore[arg-type]


@asynccontextmanager
async def session_with(
    mx: ScriptedMX, timeouts: Timeouts = CALM, **terms: object
) -> AsyncIterator[Session]:
    route = route_to(mx, **terms)
    session = Session(route.hosts[0], route, ehlo_name="mail.example.com", timeouts=timeouts)
    try:
        assert await session.open(None) is None
        yield session
    finally:
        session.close()


async def send(
    mx: ScriptedMX, envelope: Envelope = LETTER, timeouts: Timeouts = CALM
) -> tuple[Result, Reply, bool]:
    """Result, reply, and whether the connection may be used again."""
    async with session_with(mx, timeouts) as session:
        result, reply = await transact(session, envelope)
        return result, reply, session.usable


both_ways = pytest.mark.parametrize(
    "extensions", [EXTENSIONS, PLAIN], ids=["pipelined", "stepwise"]
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: how a transport ends, and when, is the loop's own."""
    return "asyncio", {"use_uvloop": request.param}


async def a_few_turns() -> None:
    """Of the loop, which closes descriptors in a later one."""
    for _ in range(5):
        await asyncio.sleep(0)


@both_ways
async def test_a_message_arrives_as_it_was_given(extensions: tuple[str, ...]) -> None:
    content = b".starts with a dot\r\n\r\n.\r\n..\r\n\r\n.end\r\n"
    async with ScriptedMX(extensions=extensions) as mx:
        envelope = Envelope(LETTER.mail_from, LETTER.rcpt, content)
        result, reply, usable = await send(mx, envelope)
    assert (result, reply.code, reply.enhanced, reply.stage) == (
        Result.ACCEPTED, 250, "2.0.0", Stage.DOT,
    )  # fmt: skip
    assert usable
    assert mx.received[0].content == content
    assert mx.received[0].mail_from == LETTER.mail_from
    assert mx.received[0].rcpts == ["Ann@example.net"]
    assert f"SIZE={len(content)}" in mx.received[0].mail_line


async def test_pipelined_commands_leave_before_the_first_answer() -> None:
    """RFC 2920: a host that answers MAIL with nothing has all three commands already."""
    async with ScriptedMX({"mail": Raw(b"")}) as mx, session_with(mx) as session:
        sending = asyncio.ensure_future(transact(session, LETTER))
        await mx.until(lambda: "DATA" in mx.commands)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_without_pipelining_each_command_waits_its_turn() -> None:
    async with ScriptedMX({"mail": Stall()}, extensions=PLAIN) as mx:
        await send(mx, timeouts=impatient("mail"))
        assert [line[:4] for line in mx.commands] == ["EHLO", "MAIL"]


@both_ways
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize(
    ("said", "result"),
    [("550 5.1.1 no such user", Result.REFUSED), ("451 4.7.1 greylisted", Result.DEFERRED)],
)
async def test_a_well_formed_no_is_told_with_its_stage_and_the_connection_kept(
    stage: str, said: str, result: Result, extensions: tuple[str, ...]
) -> None:
    async with ScriptedMX({stage: [Say(said)]}, extensions=extensions) as mx:
        async with session_with(mx) as session:
            answer, reply = await transact(session, LETTER)
            assert (answer, reply.stage, str(reply)) == (result, Stage(stage), said)
            assert await session.renew()
            assert (await transact(session, LETTER))[0] is Result.ACCEPTED
        assert mx.connections == 1
        assert ("RSET" in mx.commands) == (stage in ("rcpt", "data"))


@both_ways
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
async def test_421_is_a_deferral_and_the_end_of_the_connection(
    stage: str, extensions: tuple[str, ...]
) -> None:
    script = {stage: Say("421 4.3.2 going down", drop=True)}
    async with ScriptedMX(script, extensions=extensions) as mx:
        result, reply, usable = await send(mx)
        assert (result, reply.code, reply.stage) == (Result.DEFERRED, 421, Stage(stage))
        assert not usable


@both_ways
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("act", [Drop(), Drop(rst=True), Stall(), Drip("2")], ids=repr)
async def test_a_lost_connection_is_in_doubt_only_after_the_dot(
    stage: str, act: Act, extensions: tuple[str, ...]
) -> None:
    async with ScriptedMX({stage: act}, extensions=extensions) as mx:
        result, reply, usable = await send(mx, timeouts=impatient(stage, act))
        assert result is (Result.IN_DOUBT if stage == "dot" else Result.DEFERRED)
        assert (reply.code, reply.enhanced) == (None, "4.4.2")
        assert reply.stage == stage or act == Drop(rst=True)  # which takes back earlier answers
        assert not usable
        await mx.until(lambda: mx.open == 0)


NO_REPLIES = [
    b"550-5.1.1 no\r\n250 yes\r\n",  # the last line must not win
    b"250-yes\r\n550 5.1.1 no\r\n",
    b"2_5 yes\r\n",
    b"+25 yes\r\n",
    b"-25 yes\r\n",
    b"999 yes\r\n",
    b"199 yes\r\n",
    b"650 no\r\n",
    b"250yes\r\n",
    b"2500 yes\r\n",
    b"\r\n",
    b"<html>550 no</html>\r\n",
    b"\xff\xfe\r\n",
    b"250 " + b"x" * 9_000 + b"\r\n",
    b"x" * 9_000,
    b"250-more\r\n" * 5_000,
]


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("said", NO_REPLIES, ids=lambda said: repr(said[:12]))
async def test_what_is_no_reply_refuses_nobody(stage: str, said: bytes) -> None:
    """RFC 5321 section 4.2; after the dot the message may have been taken all the same."""
    async with ScriptedMX({stage: Raw(said)}) as mx:
        result, reply, usable = await send(mx)
    assert result is (Result.IN_DOUBT if stage == "dot" else Result.DEFERRED)
    assert (reply.code, reply.enhanced, reply.stage) == (None, "4.5.0", Stage(stage))
    assert len(reply.text) < 400
    assert not usable


@pytest.mark.parametrize(
    ("stage", "said", "result"),
    [
        ("mail", "354 go ahead", Result.DEFERRED),
        ("data", "250 taken", Result.DEFERRED),
        ("dot", "354 go ahead", Result.IN_DOUBT),
    ],
)
async def test_an_answer_out_of_step_ends_the_connection(
    stage: str, said: str, result: Result
) -> None:
    async with ScriptedMX({stage: Say(said)}, extensions=PLAIN) as mx:
        answer, _, usable = await send(mx)
    assert (answer, usable) == (result, False)


async def test_hostile_words_are_cleaned() -> None:
    words = b"550 5.1.1 \x1b[2J\x00\xed\xb2\x80<b>no\r such\x07 user\r\n"
    async with ScriptedMX({"rcpt": Raw(words)}) as mx:
        result, reply, _ = await send(mx)
    assert result is Result.REFUSED
    assert (reply.code, reply.enhanced) == (550, "5.1.1")
    assert not set(reply.text) & set("\x1b\x00\r\x07")
    assert reply.text.encode()


async def test_what_is_no_reply_is_shown_cleaned() -> None:
    async with ScriptedMX({"rcpt": Raw(b"\x1b[2J\x9b\x00 boo\r\n")}) as mx:
        _, reply, _ = await send(mx)
    assert reply.text.isprintable()


async def test_a_code_outside_the_grammar_is_still_a_refusal() -> None:
    """RFC 5321 section 4.2 ends at 559, hosts do not."""
    async with ScriptedMX({"rcpt": Say("571-5.7.1 not wanted\n571 5.7.1 here")}) as mx:
        result, reply, _ = await send(mx)
    assert (result, reply.code, reply.enhanced) == (Result.REFUSED, 571, "5.7.1")
    assert reply.text == "not wanted here"
    assert (reply.stage, reply.host) == (Stage.RCPT, "mx.example.net")


async def test_two_answers_to_one_command_end_the_connection() -> None:
    """The first counts; the second must never become the next message's answer."""
    async with ScriptedMX({"dot": Say("250 2.0.0 taken\n550 5.1.1 no such user")}) as mx:
        result, _, usable = await send(mx)
    assert (result, usable) == (Result.ACCEPTED, False)


@pytest.mark.parametrize("act", [Say("421 idle too long", drop=True), Drop(), Drop(rst=True)])
async def test_a_kept_connection_that_ends_is_noticed(act: Act) -> None:
    async with ScriptedMX({"idle": act}) as mx, session_with(mx) as session:
        assert (await transact(session, LETTER))[0] is Result.ACCEPTED
        async with asyncio.timeout(60):
            while session.usable:  # noqa: ASYNC110  a turn of the loop, to read the FIN
                await asyncio.sleep(0)
        assert not await session.renew()


@pytest.mark.parametrize("said", [b"421 4.4.2 idle\r\n", b"4", b"250 2.0.0 again\r\n"])
async def test_a_word_out_of_turn_ends_a_kept_connection(said: bytes) -> None:
    """Even half a word: the rest would come in front of the next answer."""
    async with ScriptedMX({"idle": Raw(said)}) as mx, session_with(mx) as session:
        assert (await transact(session, LETTER))[0] is Result.ACCEPTED
        await mx.until(lambda: mx.open == 0)
        assert not session.usable


async def test_an_abandoned_command_ends_the_connection_whoever_gave_it() -> None:
    """Also aiosmtplib's own: the wire knows that an answer is owed and nobody waits for it."""
    async with ScriptedMX({"rset": Stall()}) as mx, session_with(mx) as session:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.rset(), 0.05)
        assert not session.usable
        await mx.until(lambda: mx.open == 0)


async def test_a_host_that_cannot_reset_is_left() -> None:
    script = {"rcpt": Say("550 5.1.1 no such user"), "rset": Say("502 5.5.1 what?")}
    async with ScriptedMX(script) as mx, session_with(mx) as session:
        assert (await transact(session, LETTER))[0] is Result.REFUSED
        assert not await session.renew()


async def test_354_after_every_recipient_was_refused_is_ended_by_a_lone_dot() -> None:
    """RFC 2920 section 3.1."""
    script = {"rcpt": [Say("550 5.1.1 no such user")], "data": [Say("354 go ahead")]}
    async with ScriptedMX(script) as mx, session_with(mx) as session:
        result, reply = await transact(session, LETTER)
        assert (result, reply.stage) == (Result.REFUSED, Stage.RCPT)
        assert await session.renew()
        assert (await transact(session, LETTER))[0] is Result.ACCEPTED
        assert [message.content for message in mx.received] == [BODY]


async def test_what_follows_a_pipelined_refusal_is_not_waited_for_long() -> None:
    script = {"rcpt": Say("550 5.1.1 no such user"), "data": Stall()}
    async with ScriptedMX(script) as mx:
        result, reply, usable = await send(mx, timeouts=impatient("quit"))
    assert (result, reply.code, usable) == (Result.REFUSED, 550, False)


async def test_a_cancelled_delivery_cuts_its_connection_at_once() -> None:
    async with ScriptedMX({"dot": Stall()}) as mx, session_with(mx) as session:
        wire = session.get_transport_info("socket")
        sending = asyncio.ensure_future(transact(session, LETTER))
        await mx.until(lambda: "DATA" in mx.commands)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert not session.usable
        await mx.until(lambda: mx.open == 0)
        assert wire.fileno() == -1


async def test_an_outer_timeout_cannot_leave_an_answer_for_the_next_message() -> None:
    """The late `550` of one message must never bounce the recipient of the next."""
    async with ScriptedMX({"dot": Stall()}) as mx, session_with(mx) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await transact(session, LETTER)
        assert not session.usable
        assert not await session.renew()


async def test_a_peer_that_stops_reading_frees_its_descriptor_in_time() -> None:
    """aiosmtplib's own close() keeps the socket and the whole message for ever."""
    async with (
        ScriptedMX({"content": Stall()}, receive_buffer=4096) as mx,
        session_with(mx, impatient("block")) as session,
    ):
        wire = session.get_transport_info("socket")
        result, reply = await transact(session, LARGE)
        assert (result, reply.stage, reply.code) == (Result.DEFERRED, Stage.DATA, None)
        assert reply.text == "nothing taken within 0.05 s (at data)"
        await a_few_turns()
        assert wire.fileno() == -1


async def test_content_in_all_has_a_limit_too() -> None:
    async with ScriptedMX({"content": Stall()}, receive_buffer=4096) as mx:
        _, reply, usable = await send(mx, LARGE, impatient("content"))
        assert (reply.enhanced, reply.stage, usable) == ("4.4.2", Stage.DATA, False)
        assert reply.text == "content not taken within 0.05 s (at data)"


async def test_content_is_written_only_as_fast_as_it_is_taken() -> None:
    async with (
        ScriptedMX({"content": Stall()}, receive_buffer=4096) as mx,
        session_with(mx) as session,
    ):
        sending = asyncio.ensure_future(transact(session, LARGE))
        await mx.until(lambda: "DATA" in mx.commands)
        waiting, _ = await asyncio.wait({sending}, timeout=0.3)
        assert not waiting
        transport = cast(asyncio.Transport, session.transport)
        assert transport.get_write_buffer_size() < 200_000
        sending.cancel()
        await asyncio.wait({sending})


async def test_a_large_message_arrives_whole() -> None:
    async with ScriptedMX(receive_buffer=65_536) as mx:
        assert (await send(mx, LARGE))[0] is Result.ACCEPTED
    assert mx.received[0].content == LARGE.content


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ("552 5.3.4 too big", Result.REFUSED),
        ("451 4.3.0 disk trouble", Result.DEFERRED),
        ("250 2.0.0 taken", Result.DEFERRED),
    ],
)
async def test_an_answer_before_the_dot_counts_but_a_yes_does_not(
    said: str, result: Result
) -> None:
    for act in (Say(said, drop=True), Say(said, deaf=True)):
        async with ScriptedMX({"content": act}, receive_buffer=4096) as mx:
            answer, reply, usable = await send(mx, LARGE)
            assert (answer, reply.stage, usable) == (result, Stage.DATA, False)
            assert str(reply) == said


async def test_a_host_that_answered_early_and_went_deaf_holds_no_descriptor() -> None:
    act = Say("552 5.3.4 too big", deaf=True)
    async with ScriptedMX({"content": act}, receive_buffer=4096) as mx, session_with(mx) as session:
        wire = session.get_transport_info("socket")
        assert (await transact(session, LARGE))[0] is Result.REFUSED
        await a_few_turns()
        assert wire.fileno() == -1


@pytest.mark.parametrize("act", [Drop(), Drop(rst=True)])
async def test_a_connection_lost_before_the_dot_is_not_in_doubt(act: Act) -> None:
    async with ScriptedMX({"content": act}, receive_buffer=4096) as mx:
        result, reply, _ = await send(mx, LARGE)
        assert (result, reply.stage, reply.enhanced) == (Result.DEFERRED, Stage.DATA, "4.4.2")


async def test_a_message_the_host_calls_too_big_is_not_sent() -> None:
    async with ScriptedMX(extensions=("SIZE 20",)) as mx:
        result, reply, usable = await send(mx)
        assert (result, reply.code, reply.enhanced) == (Result.REFUSED, None, "5.3.4")
        assert usable
        assert len(mx.commands) == 1


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE much", "SIZE ²"])
async def test_a_size_without_a_limit_limits_nothing(size: str) -> None:
    async with ScriptedMX(extensions=(size,)) as mx:
        assert (await send(mx))[0] is Result.ACCEPTED


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope("", "用户@example.net", BODY),
        Envelope("", "user@例え.example", BODY),
        Envelope("用户@example.com", "user@example.net", BODY),
        Envelope("", "user@example.net", BODY, smtputf8=True),
    ],
)
async def test_smtputf8_is_asked_for_where_offered_and_refused_where_not(
    envelope: Envelope,
) -> None:
    """RFC 6531 section 3.4 and 3.5."""
    async with ScriptedMX() as mx:
        assert (await send(mx, envelope))[0] is Result.ACCEPTED
        assert mx.received[0].mail_line.endswith(" SMTPUTF8")
        assert mx.received[0].rcpts == [envelope.rcpt]
    async with ScriptedMX(extensions=("8BITMIME",)) as mx:
        result, reply, usable = await send(mx, envelope)
        assert (result, reply.code, reply.enhanced) == (Result.REFUSED, None, "5.6.7")
        assert usable
        assert len(mx.commands) == 1


async def test_8_bit_content_is_declared_where_that_is_offered() -> None:
    content = "Subject: é\r\n".encode()
    for extensions in (("8BITMIME",), ()):
        async with ScriptedMX(extensions=extensions) as mx:
            assert (await send(mx, Envelope("", "a@example.net", content)))[0] is Result.ACCEPTED
            assert mx.received[0].content == content
            assert ("BODY=8BITMIME" in mx.received[0].mail_line) == bool(extensions)


async def test_the_null_sender_is_sent_as_such() -> None:
    async with ScriptedMX() as mx:
        assert (await send(mx, Envelope("", "a@example.net", BODY)))[0] is Result.ACCEPTED
    assert mx.received[0].mail_from == ""


@pytest.mark.parametrize(
    "address",
    ["O'Neil+tag@Example.NET", "a=b/c!d#e@example.net", "a@[192.0.2.1]", '"a,b"@example.net'],
)
async def test_an_address_goes_out_byte_for_byte(address: str) -> None:
    """aiosmtplib's parseaddr would rewrite some of these."""
    async with ScriptedMX() as mx:
        assert (await send(mx, Envelope(address, address, BODY)))[0] is Result.ACCEPTED
    assert (mx.received[0].mail_from, mx.received[0].rcpts) == (address, [address])


@pytest.mark.parametrize(
    "address",
    [
        "foo <victim@example.net>",
        "a@b.example\r\nRCPT TO:<z@z.example>",
        "a@b.example>\nDATA",
        "@relay.example:user@example.net",
        "a\x00@b.example",
        "a\x85@b.example",
        "a\u2028@b.example",
        "a\ud800@b.example",
        "a b@c.example",
        "<a@b.example>",
        "nobody",
        "@example.net",
        "a@",
    ],
)
def test_an_address_that_could_be_read_otherwise_makes_no_envelope(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Envelope("", address, BODY)
    with pytest.raises(ValueError, match="address"):
        Envelope(address, "a@example.net", BODY)


def test_a_message_needs_a_recipient() -> None:
    with pytest.raises(ValueError, match="address"):
        Envelope("", "", BODY)


@pytest.mark.parametrize(
    "content", [b"", b"no end", b"bare\nLF\r\n", b"bare\rCR\r\n", b"\r\r\n", b"\n\r\n", b"a\r"]
)
def test_content_with_stray_line_ends_makes_no_envelope(content: bytes) -> None:
    """A bare LF changed on the way breaks the signature; one not changed smuggles."""
    with pytest.raises(ValueError, match="content"):
        Envelope("", "a@example.net", content)


@given(st.lists(st.sampled_from([b".", b"..", b"", b"a", b".a", b"a.", b"x" * 998])))
def test_stuffing_leaves_no_lone_dot_and_can_be_undone(lines: list[bytes]) -> None:
    content = b"\r\n".join(lines) + b"\r\n"
    stuffed = dot_stuffed(content).split(b"\r\n")
    assert b"." not in stuffed
    assert b"\r\n".join(line.removeprefix(b".") for line in stuffed) == content


def test_a_host_is_an_address_not_a_name_to_look_up_again() -> None:
    Host("mx.example.net", "2001:db8::1")
    for address in ("mx.example.net", "", "127.1", "1.2.3.4\n"):
        with pytest.raises(ValueError, match="IP address"):
            Host("mx.example.net", address)


async def open_session(
    mx: ScriptedMX, *, timeouts: Timeouts = CALM, tls: bool = True, **terms: object
) -> tuple[Session, Reply | None]:
    route = route_to(mx, **terms)
    session = Session(route.hosts[0], route, ehlo_name="mail.example.com", timeouts=timeouts)
    return session, await session.open(unverified_tls() if tls else None)


@pytest.mark.parametrize("stage", ["banner", "ehlo"])
@pytest.mark.parametrize(
    ("act", "code", "enhanced"),
    [
        (Say("554 5.7.1 no service for you"), 554, "5.7.1"),
        (Say("421 4.7.0 too many connections", drop=True), 421, "4.7.0"),
        (Say("450 4.3.2 later"), 450, "4.3.2"),
        (Drop(), None, "4.4.2"),
        (Drop(rst=True), None, "4.4.2"),
        (Stall(), None, "4.4.2"),
        (Drip("220-hold on\r\n"), None, "4.4.2"),
        (Raw(b"SSH-2.0-OpenSSH\r\n"), None, "4.5.0"),
        (Raw(b"250-ok\r\n554 no\r\n"), None, "4.5.0"),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_trouble_before_mail_is_told_with_its_stage(
    stage: str, act: Act, code: int | None, enhanced: str
) -> None:
    async with ScriptedMX({stage: act, "helo": act}) as mx:
        session, problem = await open_session(mx, timeouts=impatient(stage, act))
        assert problem is not None
        assert (problem.code, problem.enhanced, problem.stage) == (code, enhanced, Stage(stage))
        assert problem.host == "mx.example.net"
        assert not session.usable
        await mx.until(lambda: mx.open == 0)


async def test_a_host_that_knows_only_helo_is_greeted_so() -> None:
    async with ScriptedMX({"ehlo": Say("502 5.5.1 what?")}) as mx:
        assert (await send(mx))[0] is Result.ACCEPTED
        assert mx.commands[:3] == [
            "EHLO mail.example.com",
            "HELO mail.example.com",
            f"MAIL FROM:<{LETTER.mail_from}>",
        ]


async def test_a_host_that_is_busy_is_not_greeted_again() -> None:
    async with ScriptedMX({"ehlo": Say("450 4.3.2 later")}) as mx:
        _, problem = await open_session(mx)
        assert problem is not None
        assert (problem.code, problem.stage) == (450, Stage.EHLO)
        assert mx.commands == ["EHLO mail.example.com"]


async def test_nobody_there_is_a_reply_in_plain_words() -> None:
    async with ScriptedMX() as mx:
        route = route_to(mx)
    session = Session(route.hosts[0], route, ehlo_name="mail.example.com", timeouts=CALM)
    problem = await session.open(None)
    assert problem is not None
    assert (problem.code, problem.enhanced, problem.stage) == (None, "4.4.1", Stage.CONNECT)
    assert problem.text == f"no connection to 127.0.0.1 port {mx.port}: connection refused"


async def test_starttls_names_the_host_and_greets_again() -> None:
    """RFC 3207 section 4.2; SNI is the host's name though the address was connected to."""
    certificate = certificate_for("mx.example.net")
    async with ScriptedMX(tls=certificate.server) as mx:
        session, problem = await open_session(mx)
        assert problem is None
        assert (await transact(session, LETTER))[0] is Result.ACCEPTED
        session.leave()
        assert session.tls_version == "TLSv1.3"
        assert not session.tls_verified
        assert mx.received[0].tls
        assert mx.server_names == ["mx.example.net"]
        assert [line.split()[0] for line in mx.commands[:4]] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
        await mx.until(lambda: mx.commands[-1] == "QUIT")


async def test_words_before_the_handshake_are_not_taken_into_the_encrypted_session() -> None:
    """RFC 3207 section 4.2: response injection."""
    certificate = certificate_for("mx.example.net")
    injected = Say("220 ready\n250-mx.example.net\n250 SMTPUTF8")
    async with ScriptedMX({"starttls": injected}, tls=certificate.server) as mx:
        _, problem = await open_session(mx)
        assert problem is not None
        assert problem.stage is Stage.STARTTLS


@pytest.mark.parametrize("act", [Raw(b"not TLS at all"), Drop(), Drop(rst=True), Stall()], ids=repr)
async def test_a_failed_handshake_is_told_as_such(act: Act) -> None:
    certificate = certificate_for("mx.example.net")
    async with ScriptedMX({"tls": act}, tls=certificate.server) as mx:
        _, problem = await open_session(mx, timeouts=impatient("tls", act))
        assert problem is not None
        assert (problem.code, problem.stage) == (None, Stage.STARTTLS)
        assert problem.enhanced in ("4.4.2", "4.7.5")
        await mx.until(lambda: mx.open == 0)


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_cancelled_handshake_leaves_nothing_open(implicit: bool) -> None:
    certificate = certificate_for("mx.example.net")
    script: dict[str, Act] = {"tls": Stall(), "banner": Stall()} if implicit else {"tls": Stall()}
    async with ScriptedMX(script, tls=certificate.server) as mx:
        route = route_to(mx, tls=TlsMode.REQUIRED, implicit_tls=implicit)
        session = Session(route.hosts[0], route, ehlo_name="mail.example.com", timeouts=CALM)
        descriptors = len(os.listdir("/dev/fd"))
        opening = asyncio.ensure_future(session.open(unverified_tls()))
        await mx.until(lambda: mx.open == 1 and (implicit or "STARTTLS" in mx.commands))
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await mx.until(lambda: mx.open == 0)
        await a_few_turns()
        assert len(os.listdir("/dev/fd")) <= descriptors


@pytest.mark.parametrize("name", ["-", "mx..example", "a" * 70 + ".example", "", "é.example", "."])
async def test_a_name_unfit_for_tls_is_not_our_fault(name: str) -> None:
    certificate = certificate_for("mx.example.net")
    async with ScriptedMX(tls=certificate.server) as mx:
        route = Route("x", (Host(name, "127.0.0.1", mx.port),))
        session = Session(route.hosts[0], route, ehlo_name="mail.example.com", timeouts=CALM)
        assert await session.open(unverified_tls()) is None
        session.close()


async def test_sign_in() -> None:
    certificate = certificate_for("relay.example.net")
    terms = {"username": "carom", "password": "hunter2", "tls": TlsMode.REQUIRED}
    async with ScriptedMX(tls=certificate.server, extensions=("AUTH PLAIN LOGIN",)) as mx:
        session, problem = await open_session(mx, **terms)
        assert problem is None
        assert (await transact(session, LETTER))[0] is Result.ACCEPTED
        assert (mx.received[0].user, mx.received[0].tls) == ("carom", True)
        session.close()


@pytest.mark.parametrize(
    ("extensions", "act", "code", "enhanced"),
    [
        (("AUTH PLAIN",), Say("535 5.7.8 wrong password"), 535, "5.7.8"),
        (("AUTH PLAIN",), Drop(), None, "4.4.2"),
        (("AUTH GSSAPI",), Say(""), None, "4.7.0"),
        ((), Say(""), None, "4.7.0"),
    ],
)
async def test_a_failed_sign_in_says_so_and_not_the_password(
    extensions: tuple[str, ...], act: Act, code: int | None, enhanced: str
) -> None:
    certificate = certificate_for("relay.example.net")
    terms = {"username": "carom", "password": "hunter2", "tls": TlsMode.REQUIRED}
    async with ScriptedMX({"auth": act}, tls=certificate.server, extensions=extensions) as mx:
        _, problem = await open_session(mx, **terms)
        assert problem is not None
        assert (problem.code, problem.enhanced, problem.stage) == (code, enhanced, Stage.AUTH)
        assert "hunter2" not in problem.text


def test_an_outcome_is_a_plain_value() -> None:
    reply = Reply(250, None, "ok", Stage.DOT)
    outcome = Outcome(Result.ACCEPTED, reply, "mx.example.net", "192.0.2.1")
    assert (outcome.tls_version, outcome.reused) == (None, False)


def test_a_route_needs_hosts_and_sense() -> None:
    with pytest.raises(ValueError, match="no hosts"):
        Route("x", ())
    with pytest.raises(ValueError, match="implicit"):
        Route("x", (Host("x", "192.0.2.1"),), tls=TlsMode.NONE, implicit_tls=True)
