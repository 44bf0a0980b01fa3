"""The SMTP server under friendly and hostile clients, over real sockets.

`weakness N` is a numbered weakness of aiosmtpd 1.4.6 that this server guards against.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import logging
import re
import resource
import shutil
import smtplib
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
import uvloop
from aiosmtpd.smtp import SMTP
from hypothesis import given
from hypothesis import strategies as st

from analysis.smtpd import CommandError, Conversation, Door, Limits, Reason, Server
from analysis.smtpd.content import Content
from analysis.smtpd.door import client_address, is_loopback
from analysis.smtpd.path import MAIL, RCPT
from analysis.smtpd.server import read_listen
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.smtp_client import Wire, dial

pytestmark = pytest.mark.anyio
HOST = "127.0.0.1"
SECRET = "postgres://user:hunter2@db.example.com"


@dataclass
class Postbox:
    """A handler that takes everything, and fails or waits where it is told to."""

    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    fault: Exception | None = None
    fault_at_rcpt: Exception | None = None
    gate: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def mail(self, _talk: Conversation, _sender: str) -> str:
        return "250 2.1.0 OK"

    async def recipient(self, _talk: Conversation, address: str) -> str:
        if self.fault_at_rcpt:
            raise self.fault_at_rcpt
        return "250 2.1.5 OK"

    async def message(self, talk: Conversation, content: bytes) -> str:
        sender, recipients = talk.sender, list(talk.envelope.rcpt_tos)
        self.entered.set()
        if self.gate:
            await self.gate.wait()
        if self.fault:
            raise self.fault
        self.mails.append((sender, recipients, content))
        self.encrypted.append(talk.encrypted)
        return "250 2.0.0 Stored"

    @property
    def contents(self) -> list[bytes]:
        return [content for _, _, content in self.mails]


@dataclass
class Running:
    port: int
    server: Server
    box: Postbox
    refused: Counter[str]
    door: Door


def nobody(_client: str) -> bool:
    return False


@contextlib.asynccontextmanager
async def serving(
    limits: Limits | None = None,
    *,
    exempt: Callable[[str], bool] = is_loopback,
    tls: ssl.SSLContext | None = None,
    auth: tuple[str, ...] = (),
    tls_at_once: bool = False,
) -> AsyncIterator[Running]:
    limits = limits or Limits()
    box, refused, door = Postbox(), Counter[str](), Door(limits, exempt=exempt)

    def observe(reason: Reason) -> None:
        refused[reason] += 1

    server = Server(
        ["127.0.0.1:0"],
        lambda: box,
        hostname="mx.example.org",
        limits=limits,
        door=door,
        observe=observe,
        tls=tls,
        auth=auth,
        tls_at_once=tls_at_once,
    )
    [(_, port)] = await server.start()
    try:
        yield Running(port, server, box, refused, door)
    finally:
        await server.close(0)
        assert server.open == 0


async def envelope(wire: Wire, sender: str = "a@example.net", to: str = "b@example.org") -> None:
    assert await wire.say(f"MAIL FROM:<{sender}>") == "250 2.1.0 OK"
    assert await wire.say(f"RCPT TO:<{to}>") == "250 2.1.5 OK"


async def data(wire: Wire, octets: bytes) -> str:
    """Send a message whose octets, end and all, are given."""
    await envelope(wire)
    assert (await wire.say("DATA")).startswith("354 ")
    wire.write(octets)
    return await wire.reply()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another task is about to do; the test's own timeout is the end of patience."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 what is waited for is on the other side of a socket
            await asyncio.sleep(0.01)


def resident() -> int:
    """Octets of memory this process holds, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certificate_for(HOST)


# Friendly clients.


async def test_smtplib_delivers_over_starttls(certificate: Certificate) -> None:
    async with serving(tls=certificate.server) as at:

        def deliver() -> dict[str, tuple[int, bytes]]:
            with smtplib.SMTP(HOST, at.port, timeout=60) as client:
                client.starttls(context=certificate.client)
                return client.sendmail("a@example.net", ["b@example.org"], "Subject: x\n\n.dot\n")

        assert await asyncio.to_thread(deliver) == {}
        assert at.box.mails == [("a@example.net", ["b@example.org"], b"Subject: x\r\n\r\n.dot\r\n")]
        assert at.box.encrypted == [True]


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
async def test_swaks_delivers_over_starttls(certificate: Certificate) -> None:
    async with serving(tls=certificate.server) as at:
        swaks = await asyncio.create_subprocess_exec(
            *("swaks", "--server", f"127.0.0.1:{at.port}", "--tls", "--to", "b@example.org"),
            *("--from", "<>", "--helo", "client.example.net"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await swaks.communicate()
        assert swaks.returncode == 0, said.decode()
        assert [sender for sender, _, _ in at.box.mails] == [""]
        assert at.box.encrypted == [True]


def test_starttls_works_on_uvloop_too(certificate: Certificate) -> None:
    async def story() -> list[bool]:
        async with serving(tls=certificate.server) as at, dial(at.port) as wire:
            assert (await wire.say("STARTTLS")).startswith("220 ")
            await wire.start_tls(certificate.client)
            await wire.say("EHLO again.example.net")
            assert (await data(wire, b"x\r\n.\r\n")).startswith("250 ")
            assert (await wire.say("QUIT")).startswith("221 ")
            return at.box.encrypted

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(story()) == [True]


def test_a_client_that_goes_before_its_answer_is_no_trouble_of_ours_on_uvloop_either() -> None:
    async def story() -> Counter[str]:
        async with serving() as at:
            at.box.gate = asyncio.Event()
            async with dial(at.port) as wire:
                await envelope(wire)
                await wire.say("DATA")
                wire.write(b"x\r\n.\r\n")
                await at.box.entered.wait()
                [talk] = at.server._house.open
                sock = wire.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await talk.gone  # by a reset: a client that only has said all still gets its answer
            at.box.gate.set()
            await talk._handler_coroutine
            assert at.box.contents == [b"x\r\n"]
            return at.refused

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert not runner.run(story())


async def test_tls_from_the_first_octet_and_auth_only_inside_it(certificate: Certificate) -> None:
    async with serving(tls=certificate.server, tls_at_once=True, auth=("PLAIN",)) as at:

        def ask() -> bytes:
            context = certificate.client
            with smtplib.SMTP_SSL(HOST, at.port, timeout=60, context=context) as client:
                return client.ehlo()[1]

        offers = (await asyncio.to_thread(ask)).split(b"\n")
        assert b"AUTH PLAIN" in offers
        assert b"STARTTLS" not in offers


async def test_a_whole_conversation_in_one_packet_is_answered_in_order() -> None:
    """PIPELINING, RFC 2920; also a second message right behind the first one's dot."""
    one = b"MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
    async with serving() as at, dial(at.port) as wire:
        wire.write(one + b"first\r\n.\r\n" + one + b".\r\n" + b"NOOP\r\nQUIT\r\n")
        codes = [(await wire.reply())[:3] for _ in range(10)]
        assert codes == ["250", "250", "354", "250", "250", "250", "354", "250", "250", "221"]
        assert at.box.contents == [b"first\r\n", b""]
        assert await wire.at_eof()


async def test_replies_to_a_group_of_commands_leave_together() -> None:
    """RFC 2920 section 3.2: stored for MAIL, RCPT and RSET, sent with the reply to DATA."""
    async with serving() as at, dial(at.port) as wire:
        wire.write(b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
        packet = await wire.reader.read(65_536)
        assert [line[:3] for line in packet.splitlines()] == [b"250", b"250", b"250", b"354"]


@pytest.mark.parametrize("rest", [b"", b"RCPT TO:<b@exam"])
async def test_a_reply_waits_for_no_command_that_is_not_there_yet(rest: bytes) -> None:
    async with serving() as at, dial(at.port) as wire:
        wire.write(b"RSET\r\nMAIL FROM:<>\r\n" + rest)
        assert (await wire.reply(), await wire.reply()) == ("250 2.0.0 OK", "250 2.1.0 OK")


async def test_a_client_that_half_closes_after_the_dot_gets_its_answer() -> None:
    """Weakness 11: aiosmtpd cancels the handler at EOF."""
    async with serving() as at, dial(at.port) as wire:
        at.box.gate = asyncio.Event()
        await envelope(wire)
        await wire.say("DATA")
        wire.write(b"x\r\n.\r\n")
        wire.writer.write_eof()
        await at.box.entered.wait()
        at.box.gate.set()
        assert await wire.reply() == "250 2.0.0 Stored"
        assert at.box.contents == [b"x\r\n"]


async def test_a_message_is_stored_though_the_client_is_gone_before_the_answer() -> None:
    async with serving() as at:
        at.box.gate = asyncio.Event()
        async with dial(at.port) as wire:
            await envelope(wire)
            await wire.say("DATA")
            wire.write(b"x\r\n.\r\n")
            await at.box.entered.wait()
            sock = wire.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda: at.server.open == 0)
        at.box.gate.set()
        await until(lambda: at.box.contents == [b"x\r\n"])


# What is said, and not said.


async def test_banner_and_ehlo_tell_what_is_offered_and_not_what_runs() -> None:
    """Weaknesses 10 and 13."""
    async with serving() as at, dial(at.port, greet=False) as wire:
        assert await wire.reply() == "220 mx.example.org ESMTP"
        offers = (await wire.say("EHLO client.example.net")).split("\n")
        assert [offer[4:] for offer in offers] == [
            "mx.example.org",
            "PIPELINING",
            "SIZE 10000000",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
        ]
        assert await wire.say("HELP MAIL") == "214 2.0.0 See RFC 5321"
        assert (await wire.say("VRFY b@example.org")).startswith("252 2.1.5 ")
        assert (await wire.say("EXPN staff")).startswith("502 5.5.1 ")
        assert (await wire.say("AUTH PLAIN AGEAYg==")).startswith("502 5.5.1 ")
        assert (await wire.say("STARTTLS")).startswith("503 5.5.1 ")
        assert (await wire.say("WIZ")) == "500 5.5.1 Unknown command"


async def test_auth_is_refused_without_tls_and_not_offered(certificate: Certificate) -> None:
    async with serving(tls=certificate.server, auth=("PLAIN",)) as at, dial(at.port) as wire:
        assert "AUTH" not in await wire.say("EHLO client.example.net")
        assert (await wire.say("AUTH PLAIN AGEAYg==")).startswith("538 5.7.11 ")


async def test_each_command_needs_the_one_before() -> None:
    async with serving() as at, dial(at.port, greet=False) as wire:
        await wire.reply()
        assert (await wire.say("MAIL FROM:<>")).startswith("503 5.5.1 ")
        assert (await wire.say("HELO client.example.net")) == "250 mx.example.org"
        assert (await wire.say("RCPT TO:<b@example.org>")).startswith("503 5.5.1 ")
        assert (await wire.say("MAIL FROM:<>")).startswith("250 ")
        assert (await wire.say("MAIL FROM:<>")).startswith("503 5.5.1 ")
        assert (await wire.say("DATA")).startswith("503 5.5.1 ")
        assert (await wire.say("RSET")).startswith("250 ")
        assert (await wire.say("RCPT TO:<b@example.org>")).startswith("503 5.5.1 ")


# Arguments.


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("FROM:<", "501"),
        ('FROM:"', "501"),
        ("FROM:<a@[", "501"),
        ('FROM:<"', "501"),
        ('FROM:<">', "501"),
        ("FROM:<a@[>", "553"),
        ("FROM:a@example.net", "501"),
        ("FROM:<@relay.example,@b.example:a@example.net>", "553"),
        ("FROM:<a b@example.net>", "553"),
        ('FROM:<"a b"@example.net>', "501"),
        ("FROM:<a(comment)@example.net>", "553"),
        ("FROM:<a@b@example.net>", "553"),
        ("FROM:<a@example.net>SIZE=1", "501"),
        ("FROM:<a@example.net> SIZE=x", "501"),
        ("FROM:<a@example.net> SIZE=٣", "501"),
        ("FROM:<a@example.net> SIZE=1 SIZE=2", "501"),
        ("FROM:<a@example.net> SIZE=10000001", "552"),
        ("FROM:<a@example.net> BODY=BINARYMIME", "501"),
        ("FROM:<a@example.net> SMTPUTF8=yes", "501"),
        ("FROM:<a@example.net> X-STRANGE=1", "555"),
        ("FROM:<ä@example.net>", "553"),
        ("FROM:<" + "a" * 400 + "@example.net>", "553"),
        ("TO:<a@example.net>", "501"),
        ("", "501"),
        ("FROM:<>", "250"),
        ("from: <>", "250"),
        ("FROM:<a@example.net> SIZE=1000 BODY=8BITMIME", "250"),
        ("FROM:<a@example.net> RET=HDRS ENVID=QQ314159", "250"),
        ("FROM:<ä@bücher.example> SMTPUTF8", "250"),
        ("FROM:<a..b.@example.net>", "250"),
        ('FROM:<"a>b"@example.net>', "250"),
        ("FROM:<a@[192.0.2.1]>", "250"),
    ],
)
async def test_mail_arguments_are_read_strictly(argument: str, code: str) -> None:
    """Weakness 8: aiosmtpd's parser crashes on some of these and takes others."""
    async with serving() as at, dial(at.port) as wire:
        reply = await wire.say(f"MAIL {argument}")
        assert reply[:3] == code
        assert re.fullmatch(r"[245]\d\d [245]\.\d\.\d .+", reply)


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bc@example.org", "250"),
        ("TO:<Postmaster>", "250"),
        ("TO:<>", "553"),
        ("TO:<root>", "553"),
        ("TO:<b@example.org> SIZE=1", "555"),
    ],
)
async def test_rcpt_arguments_are_read_strictly(argument: str, code: str) -> None:
    async with serving() as at, dial(at.port) as wire:
        await wire.say("MAIL FROM:<a@example.net>")
        assert (await wire.say(f"RCPT {argument}"))[:3] == code


@pytest.mark.parametrize(
    "line",
    [b"MAIL FROM:<a\x01b@example.net>", b"NOOP \0", b"NOOP a\rb", b"NOOP \xff", b"NO\xc3\xa9OP"],
)
async def test_a_line_that_is_not_text_is_refused(line: bytes) -> None:
    """Weaknesses 8 and 14: no control character and no surrogate reaches a handler."""
    async with serving() as at, dial(at.port) as wire:
        assert (await wire.say(line)).startswith("500 5.5.")


async def test_a_command_that_ends_in_a_bare_line_feed_is_refused() -> None:
    """Weakness 6."""
    async with serving() as at, dial(at.port) as wire:
        wire.write(b"NOOP\n")
        assert (await wire.reply()).startswith("500 5.5.2 ")


async def test_command_length_is_the_same_for_every_session() -> None:
    """Weakness 9: aiosmtpd's limits are one dict of all sessions, and grow."""
    fits = "NOOP " + "x" * (Limits().line - 7)
    async with serving() as at, dial(at.port) as first, dial(at.port) as second:
        for _ in range(10):
            await first.say("EHLO client.example.net")
        for wire in (first, second):
            assert (await wire.say(fits)).startswith("250 ")
            assert (await wire.say(fits + "x")).startswith("500 5.5.2 ")
    assert dict(SMTP.command_size_limits) == {}


async def test_a_command_line_without_end_is_hung_up_on() -> None:
    async with serving() as at, dial(at.port) as wire:
        wire.write(b"x" * 1_000_000)
        assert await wire.reply() in ("500 5.5.2 Line too long", "")
        assert await wire.at_eof()
        await until(lambda: at.server.open == 0)


@given(st.text(max_size=60))
def test_no_argument_breaks_the_grammar(text: str) -> None:
    for grammar in (MAIL, RCPT):
        for argument in (text, f"{grammar.keyword}:{text}", f"{grammar.keyword}:<{text}>"):
            try:
                read = grammar.read(argument).address
            except CommandError as error:
                refusal = error.reply
            else:
                refusal = "500 5.0.0 none"
                assert not re.search(r"[\x00-\x20\x7f-\xa0\ud800-\udfff]", read)
            assert re.fullmatch(r"5\d\d 5\.\d\.\d [ -~]+", refusal)


# Content.


async def read_content(*parts: bytes, limits: Limits | None = None) -> bytes:
    limits = limits or Limits()
    reader = asyncio.StreamReader(limit=2**16)

    async def feed() -> None:
        for part in parts:
            reader.feed_data(part)
            await asyncio.sleep(0)

    feeding = asyncio.create_task(feed())
    content = Content(reader, limits, Door(limits))
    try:
        return await asyncio.wait_for(content.read(), 60)
    finally:
        await feeding


@pytest.mark.parametrize(
    "form",
    [
        *(b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r"),
        *(b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\r\r\n", b"\n\n.\r\n"),
    ],
)
async def test_no_bare_line_end_ends_a_message(form: bytes) -> None:
    """Weakness 6 and CVE-2024-27305: what follows stays content and never becomes a command."""
    smuggled = b"MAIL FROM:<evil@example.net>\r\n"
    async with serving() as at, dial(at.port) as wire:
        assert (await data(wire, b"x" + form + smuggled + b"\r\n.\r\n")) == "250 2.0.0 Stored"
        assert (await wire.say("NOOP")).startswith("250 ")
        [content] = at.box.contents
        assert content.endswith(smuggled + b"\r\n")


async def test_content_has_whole_line_ends_no_nul_and_no_stuffed_dots() -> None:
    assert await read_content(b"a\nb\rc\r\n\0d\n\r\n..e\r\n.f\r\n.\r\n") == (
        b"a\r\nb\r\nc\r\nd\r\n\r\n.e\r\nf\r\n"
    )


LINES = st.lists(st.text("ab.\t ", max_size=5), max_size=6)


@given(LINES, st.lists(st.integers(0, 60), max_size=4))
def test_any_message_in_any_pieces_comes_out_as_it_was(lines: list[str], cuts: list[int]) -> None:
    message = "".join(f"{line}\r\n" for line in lines).encode()
    stuffed = re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"
    edges = [0, *sorted(min(cut, len(stuffed)) for cut in cuts), len(stuffed)]
    parts = [stuffed[a:b] for a, b in itertools.pairwise(edges)]
    assert asyncio.run(read_content(*parts)) == message


async def test_what_follows_the_content_is_left_for_the_next_command() -> None:
    reader = asyncio.StreamReader(limit=2**16)
    reader.feed_data(b"x\r\n.\r\nQUIT\r\n")
    assert await Content(reader, Limits(), Door(Limits())).read() == b"x\r\n"
    assert await reader.readline() == b"QUIT\r\n"


async def test_a_long_line_is_kept_whole() -> None:
    line = b"x" * 300_000 + b"\r\n"
    assert await read_content(b"S: x\r\n\r\n" + line + b".\r\n") == b"S: x\r\n\r\n" + line


@pytest.mark.parametrize("size", [1_000, 1_001, 70_000, 200_000])
async def test_the_limit_is_exact_and_the_session_goes_on(size: int) -> None:
    async with serving(Limits(message=size, header=size)) as at, dial(at.port) as wire:
        fits = b"x" * (size - 2) + b"\r\n"
        assert (await data(wire, fits + b".\r\n")).startswith("250 ")
        assert (await data(wire, b"x" + fits + b".\r\n")).startswith("552 5.3.4 ")
        assert (await data(wire, fits + b".\r\n")).startswith("250 ")
        assert at.refused == {"too_big": 1}


async def test_a_header_that_is_too_big_is_refused() -> None:
    limits = Limits(header=1_000)
    async with serving(limits) as at, dial(at.port) as wire:
        line = b"X: " + b"x" * 495 + b"\r\n"
        assert (await data(wire, line * 2 + b"\r\nbody\r\n.\r\n")).startswith("250 ")
        assert (await data(wire, line * 2 + b"X:\r\n\r\nbody\r\n.\r\n")).startswith("552 5.3.4 ")
        assert (await data(wire, b"\r\n" + line * 9 + b".\r\n")).startswith("250 ")
        assert at.refused == {"too_big": 1}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from Linux's /proc")
async def test_a_line_without_end_takes_no_memory() -> None:
    """Weakness 1: aiosmtpd keeps all of it, whatever its limit."""
    limits = Limits(message=1_000_000)
    async with serving(limits) as at, dial(at.port) as wire:
        await envelope(wire)
        await wire.say("DATA")
        before, block, most = resident(), b"x" * 500_000, 0
        with contextlib.suppress(ConnectionError):
            for _ in range(400):
                wire.write(block)
                await wire.writer.drain()
                most = max(most, resident())
        assert most - before < 60_000_000  # of 200
        await until(lambda: at.server.open == 0)
        assert at.refused == {"too_big": 1}
        assert at.door.hold(limits.held)  # all room was given back


async def test_there_is_a_limit_on_what_all_connections_hold() -> None:
    async with serving(Limits(held=200_000)) as at, dial(at.port) as one, dial(at.port) as other:
        for wire in (one, other):
            await envelope(wire)
            await wire.say("DATA")
        one.write(b"\r\n" + b"x" * 180_000)
        await until(lambda: not at.door.hold(100_000) or at.door.give_back(100_000) is not None)
        other.write(b"\r\n" + b"x" * 180_000 + b"\r\n.\r\n")
        assert (await other.reply()).startswith("452 4.3.1 ")
        one.write(b"\r\n.\r\n")
        assert (await one.reply()).startswith("250 ")
        assert (await data(other, b"x\r\n.\r\n")).startswith("250 ")
        assert at.refused == {"trouble": 1}
        assert at.door.hold(200_000)  # all room was given back


async def test_empty_lines_cost_no_more_than_others() -> None:
    """Weakness 12: 2 MB of them stop aiosmtpd's loop for a second, twenty times as long."""
    async with serving() as at, dial(at.port) as wire:

        async def cost(content: bytes) -> float:
            """Seconds of this thread, which is client and server."""
            began = time.thread_time()
            assert (await data(wire, content + b".\r\n")).startswith("250 ")
            assert at.box.contents.pop() == content
            return time.thread_time() - began

        empty, full = b"\r\n" * 1_000_000, b"\r\n" + (b"x" * 98 + b"\r\n") * 20_000
        costs = [(await cost(empty), await cost(full)) for _ in range(3)]
        assert min(one for one, _ in costs) < 8 * min(other for _, other in costs)


# Trouble of ours.


@pytest.mark.parametrize(
    "fault", [RuntimeError(SECRET), ConnectionRefusedError(SECRET), TimeoutError(SECRET)]
)
async def test_a_failed_store_is_temporary_and_says_nothing(fault: Exception) -> None:
    """Weakness 2: aiosmtpd answers 500 with the text, and forgets to reset the envelope."""
    with structlog.testing.capture_logs() as logged:
        async with serving() as at, dial(at.port) as wire:
            at.box.fault = fault
            reply = await data(wire, b"x\r\n.\r\n")
            assert reply == "451 4.3.0 Temporary trouble here, try later"
            at.box.fault = None
            assert (await data(wire, b"y\r\n.\r\n")).startswith("250 ")
            assert at.refused == {"trouble": 1}
    spoken = [entry for entry in logged if entry["log_level"] != "debug"]
    assert [entry["error"] for entry in spoken if entry["event"] == "smtpd.trouble"] == [
        type(fault).__name__
    ]
    assert "hunter2" not in str(spoken)


async def test_a_fault_at_rcpt_is_temporary_and_leaves_the_other_recipients() -> None:
    async with serving() as at, dial(at.port) as wire:
        at.box.fault_at_rcpt = ConnectionResetError(SECRET)
        await wire.say("MAIL FROM:<a@example.net>")
        assert (await wire.say("RCPT TO:<b@example.org>")).startswith("451 4.3.0 ")
        at.box.fault_at_rcpt = None
        assert (await wire.say("RCPT TO:<c@example.org>")).startswith("250 ")


async def test_a_store_that_takes_too_long_is_answered_and_let_to_its_end() -> None:
    async with serving(Limits(store_seconds=0.05)) as at, dial(at.port) as wire:
        at.box.gate = asyncio.Event()
        assert (await data(wire, b"x\r\n.\r\n")).startswith("451 4.3.0 ")
        at.box.gate.set()
        await until(lambda: at.box.contents == [b"x\r\n"])
        assert (await wire.say("NOOP")).startswith("250 ")


async def test_nothing_a_client_says_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), structlog.testing.capture_logs() as logged:
        async with serving() as at, dial(at.port) as wire:
            await data(wire, b"x\r\n.\r\n")
            await wire.say("BOGUS b@example.org")
    said = caplog.text + str([entry for entry in logged if entry["log_level"] != "debug"])
    assert "example.org" not in said
    assert "example.net" not in said


# TLS.


async def test_plain_text_behind_starttls_is_never_obeyed(certificate: Certificate) -> None:
    """CVE-2024-34083: a command that an attacker put in front of the handshake."""
    async with serving(tls=certificate.server) as at, dial(at.port) as wire:
        wire.write(b"STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n")
        assert (await wire.reply()).startswith("554 5.5.1 ")
        assert await wire.at_eof()


async def test_plain_text_after_the_go_ahead_ends_the_connection(certificate: Certificate) -> None:
    async with serving(tls=certificate.server) as at, dial(at.port) as wire:
        assert (await wire.say("STARTTLS")).startswith("220 ")
        wire.write(b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<b@example.org>\r\n")
        assert b"250" not in await wire.reader.read()
        await until(lambda: at.server.open == 0)


async def test_tls_forgets_what_was_said_before_and_is_not_offered_twice(
    certificate: Certificate,
) -> None:
    """Weakness 10; RFC 3207 section 4.2."""
    async with serving(tls=certificate.server) as at, dial(at.port) as wire:
        assert "STARTTLS" in await wire.say("EHLO client.example.net")
        await wire.say("MAIL FROM:<a@example.net>")
        await wire.say("STARTTLS")
        await wire.start_tls(certificate.client)
        assert (await wire.say("RCPT TO:<b@example.org>")).startswith("503 ")
        assert (await wire.say("MAIL FROM:<>")).startswith("503 ")
        offers = await wire.say("EHLO client.example.net")
        assert "STARTTLS" not in offers
        assert "AUTH" not in offers
        assert (await wire.say("STARTTLS")).startswith("503 ")
        assert (await data(wire, b"x\r\n.\r\n")).startswith("250 ")


async def test_a_handshake_that_never_comes_gives_its_slot_back(certificate: Certificate) -> None:
    limits = Limits(command_seconds=0.1, linger_seconds=0.1)
    async with serving(limits, tls=certificate.server) as at, dial(at.port) as wire:
        await wire.say("STARTTLS")
        await until(lambda: at.server.open == 0)


# Limits.


async def test_who_only_begins_a_handshake_takes_a_place(certificate: Certificate) -> None:
    limits = Limits(client_connections=2, command_seconds=60.0)
    async with serving(limits, tls=certificate.server, tls_at_once=True, exempt=nobody) as at:
        async with dial(at.port, greet=False), dial(at.port, greet=False) as second:
            await until(lambda: at.door.inside == 2)
            async with dial(at.port, greet=False) as third:
                assert await third.at_eof()
            assert at.refused == {"too_many_connections": 1}
            second.write(b"no handshake at all\r\n")
            assert await second.at_eof()
            await until(lambda: at.door.inside == 1)
            secured = await asyncio.open_connection("127.0.0.1", at.port, ssl=certificate.client)
            assert (await secured[0].readline()).startswith(b"220 ")
            assert at.door.inside == 2
            secured[1].transport.abort()
        await until(lambda: at.door.inside == 0)


async def test_a_handshake_that_drags_on_loses_its_place(certificate: Certificate) -> None:
    limits = Limits(command_seconds=0.1)
    async with (
        serving(limits, tls=certificate.server, tls_at_once=True) as at,
        dial(at.port, greet=False) as wire,
    ):
        await until(lambda: at.door.inside == 1)
        assert await wire.at_eof()
        await until(lambda: at.door.inside == 0)


async def test_a_handshake_in_work_is_broken_off_at_the_end(certificate: Certificate) -> None:
    async with (
        serving(tls=certificate.server, tls_at_once=True) as at,
        dial(at.port, greet=False) as wire,
    ):
        await until(lambda: at.door.inside == 1)
        await at.server.close(0)
        assert at.door.inside == 0
        assert await wire.at_eof()


async def test_connections_are_limited_by_client_and_in_all() -> None:
    """Weakness 3."""
    limits = Limits(client_connections=2)
    async with (
        serving(limits, exempt=nobody) as at,
        dial(at.port),
        dial(at.port) as second,
        dial(at.port, greet=False) as third,
    ):
        assert await third.reply() == "421 4.7.0 Too many connections, try later"
        assert await third.at_eof()
        assert (await second.say("QUIT")).startswith("221 ")
        await until(lambda: at.server.open == 1)
        async with dial(at.port):
            pass
        assert at.refused == {"too_many_connections": 1}
    async with serving(Limits(connections=1)) as at, dial(at.port), dial(at.port, greet=False) as x:
        assert (await x.reply()).startswith("421 4.7.0 ")


async def test_arrivals_are_limited_by_the_minute() -> None:
    async with serving(Limits(client_arrivals=3), exempt=nobody) as at:
        answers = []
        for _ in range(5):
            async with dial(at.port, greet=False) as wire:
                answers.append((await wire.reply())[:3])
    assert answers == ["220", "220", "220", "421", "421"]
    assert at.refused == {"rate": 2}


def test_the_door_forgets_a_minute_and_counts_ipv6_by_64() -> None:
    door = Door(Limits(client_arrivals=1, client_connections=99))
    assert door.enter("2001:db8::1", 0.0) is None
    assert door.enter("2001:db8::2", 59.0) is Reason.RATE
    assert door.enter("2001:db8:0:1::1", 59.0) is None
    assert door.enter("2001:db8::2", 61.0) is None


def test_patience_shrinks_when_there_is_little_room() -> None:
    door = Door(Limits(connections=10, command_seconds=60, crowded_seconds=10))
    for _ in range(8):
        door.enter("127.0.0.1", 0.0)
    assert door.patience == 60
    door.enter("127.0.0.1", 0.0)
    assert door.patience == 10
    door.leave("127.0.0.1")
    assert door.patience == 60


@pytest.mark.parametrize(
    ("peername", "address"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::1"),
        (None, ""),
        ("/run/socket", ""),
    ],
)
def test_a_client_has_one_address(peername: object, address: str) -> None:
    assert client_address(peername) == address


async def test_recipients_of_a_message_are_limited_and_a_notice_has_one() -> None:
    async with serving(Limits(recipients=3)) as at, dial(at.port) as wire:
        for sender, expected in (("a@example.net", 3), ("", 1)):
            await wire.say(f"MAIL FROM:<{sender}>")
            taken = 0
            while (reply := await wire.say("RCPT TO:<b@example.org>")).startswith("250"):
                taken += 1
            assert reply.startswith("452 4.5.3 ")
            assert taken == expected
            await wire.say("RSET")


@pytest.mark.parametrize(
    ("flood", "limits", "code"),
    [
        (b"NOOP\r\n", Limits(commands=10), b"250"),
        (b"RSET\r\n", Limits(commands=10), b"250"),
        (b"EHLO x\r\n", Limits(commands=10), b"250"),
        (b"HELP\r\n", Limits(commands=10), b"214"),
        (b"XYZZY\r\n", Limits(errors=10), b"500"),
        (b"AUTH PLAIN AGEAYg==\r\n", Limits(errors=10), b"502"),
        (b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n", Limits(errors=5), b"250"),
    ],
)
async def test_a_flood_of_commands_is_ended(flood: bytes, limits: Limits, code: bytes) -> None:
    """Weakness 3: 5,000 recipients, NOOPs without end."""
    async with serving(limits) as at, dial(at.port) as wire:
        wire.write(flood * 5_000)
        said = b""
        with contextlib.suppress(ConnectionError):
            while part := await wire.reader.read(65_536):
                said += part
        assert said.count(code) <= 120
        await until(lambda: at.server.open == 0)
        assert at.refused["errors"] == 1


async def test_a_good_message_forgives_the_commands_before_it() -> None:
    async with serving(Limits(commands=12)) as at, dial(at.port) as wire:
        for _ in range(5):
            assert (await wire.say("NOOP")).startswith("250 ")
            assert (await data(wire, b"x\r\n.\r\n")).startswith("250 ")
        assert len(at.box.mails) == 5


@pytest.mark.parametrize("trickle", [b"", b"N"])
async def test_a_slow_command_is_ended(trickle: bytes) -> None:
    """Weakness 5: the time is for a whole command, however it trickles in."""
    async with serving(Limits(command_seconds=0.2)) as at, dial(at.port) as wire:
        wire.write(trickle)
        assert (await wire.reply()) == "421 4.4.2 Too slow, good bye"
        assert await wire.at_eof()
        assert at.refused == {"timeout": 1}


async def test_the_time_of_a_command_begins_with_the_answer_to_the_last_one() -> None:
    async with serving(Limits(command_seconds=1.0)) as at, dial(at.port) as wire:
        loop = asyncio.get_running_loop()
        enough = loop.time() + 1.5
        while loop.time() < enough:
            assert (await wire.say("NOOP")).startswith("250 ")
            await asyncio.sleep(0.02)  # a client's pace
        assert (await wire.reply()) == "421 4.4.2 Too slow, good bye"


async def test_a_crowd_shortens_the_time_of_those_who_came_before_it() -> None:
    limits = Limits(connections=5, command_seconds=600, crowded_seconds=0.2)
    async with serving(limits) as at, dial(at.port) as first, contextlib.AsyncExitStack() as crowd:
        for _ in range(4):
            await crowd.enter_async_context(dial(at.port, greet=False))
        assert (await first.say("NOOP")).startswith("250 ")
        assert (await first.reply()) == "421 4.4.2 Too slow, good bye"


async def test_slow_content_is_ended_and_steady_content_is_not() -> None:
    """Weakness 5: what counts in DATA is the rate, not the time in all."""
    limits = Limits(command_seconds=1.0, data_rate=1_000)
    async with serving(limits) as at, dial(at.port) as steady, dial(at.port) as slow:
        for wire in (steady, slow):
            await envelope(wire)
            await wire.say("DATA")
        slow.write(b"x" * 100)
        ended = asyncio.create_task(slow.reply())
        steady.write(b"\r\n")  # what follows is no header, of which there may be little
        while not ended.done():
            steady.write((b"x" * 98 + b"\r\n") * 50)
            await asyncio.sleep(0.02)  # a steady sender is one that takes time
        steady.write(b"\r\n.\r\n")
        assert (await steady.reply()).startswith("250 ")
        assert (await ended).startswith("421 4.4.2 ")
        assert at.refused == {"timeout": 1}


async def test_a_session_ends_however_busy_it_is() -> None:
    """Weakness 5: NOOP every so often holds no slot for ever."""
    async with serving(Limits(session_seconds=0.3, commands=10**9)) as at, dial(at.port) as wire:
        while (reply := await wire.say("NOOP")).startswith("250 "):  # noqa: ASYNC110 a client's pace
            await asyncio.sleep(0.01)
        assert reply[:3] in ("421", "")
        await until(lambda: at.server.open == 0)


async def test_a_client_that_never_reads_gives_its_slot_back() -> None:
    """Weakness 4: transport.close() waits for such a client without end."""
    limits = Limits(command_seconds=0.2, linger_seconds=0.2, commands=10**9, errors=10**9)
    async with serving(limits) as at:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", at.port))
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(60):
                await loop.sock_sendall(deaf, b"EHLO x\r\n" * 500_000)
        await until(lambda: at.server.open == 0)
        deaf.close()


# Start and end.


@pytest.mark.parametrize(
    ("text", "read"),
    [("127.0.0.1:2525", ("127.0.0.1", 2525)), ("[::1]:25", ("::1", 25)), ("0.0.0.0:0", None)],
)
def test_listen_addresses_are_read(text: str, read: tuple[str, int] | None) -> None:
    assert read_listen(text) == (read or ("0.0.0.0", 0))


@pytest.mark.parametrize("text", ["", "2525", "host", "host:", "host:x", "host:70000", "host:-1"])
def test_a_bad_listen_address_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="listen address"):
        read_listen(text)


async def test_all_addresses_are_bound_or_none() -> None:
    async with serving() as at:
        other = Server(
            ["127.0.0.1:0", f"127.0.0.1:{at.port}"],
            lambda: at.box,
            hostname="mx.example.org",
            limits=Limits(),
            door=at.door,
            observe=lambda _: None,
        )
        with pytest.raises(OSError, match="in use"):
            await other.start()
        assert await other.close(0) is None


async def test_closing_lets_a_message_under_way_finish_and_sends_the_idle_away() -> None:
    """Weakness 13: aiosmtpd's controller cancels what is under way."""
    async with serving() as at, dial(at.port) as idle, dial(at.port) as busy:
        await envelope(busy)
        await busy.say("DATA")
        closing = asyncio.create_task(at.server.close(10))
        assert (await idle.reply()).startswith("421 4.3.2 ")
        assert await idle.at_eof()
        busy.write(b"x\r\n.\r\n")
        assert (await busy.reply()) == "250 2.0.0 Stored"
        assert (await busy.reply()).startswith("421 4.3.2 ")
        await closing
        assert at.box.contents == [b"x\r\n"]
        with pytest.raises(ConnectionRefusedError):
            async with dial(at.port):
                pass


async def test_closing_ends_what_takes_longer_than_the_grace() -> None:
    async with serving() as at, dial(at.port) as reading, dial(at.port) as storing:
        at.box.gate = asyncio.Event()
        for wire in (reading, storing):
            await envelope(wire)
            await wire.say("DATA")
        storing.write(b"x\r\n.\r\n")
        await at.box.entered.wait()
        await asyncio.wait_for(at.server.close(0.05), 60)
        assert (await reading.reply()).startswith("421 ")
        assert not (await storing.reply()).startswith("2")
        assert at.server.open == 0
        assert at.box.contents == []


def test_every_command_of_aiosmtpd_is_obeyed_by_our_own_code() -> None:
    """A new aiosmtpd must not bring a command that nobody looked at."""
    ours = {name for name, _ in inspect.getmembers(Conversation) if name.startswith("smtp_")}
    assert {name for name in ours if getattr(Conversation, name) is getattr(SMTP, name, None)} == (
        set()
    )
