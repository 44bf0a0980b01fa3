"""S1: what other mail software takes for the end of a message is content here, in and out.

Nine forms of an end that is none (RFC 5321 section 4.1.1.4 knows CRLF . CRLF alone), each followed
by a whole second message.  In: cut into two packets at every place.  Out: on the wire there is one
end of data, and none of the nine.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from sender.compose import ComposeError, Origin
from sender.connections import Connections
from sender.ready import accept, read
from sender.smtp import Envelope, Host, Route, TlsMode
from sender.smtp_transaction import BLOCK
from tests.amounts import Amount
from tests.ingest.test_listener import RETURN_PATH, Running, listening
from tests.peers.smtp_client import dial

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

FORMS = (
    *(b"\n.\n", b"\n.\r\n", b"\r\n.\n"),
    *(b"\r.\r", b"\r.\r\n", b"\r\n.\r"),
    *(b"\r\n\0.\r\n", b"\n.\r", b"\r.\n"),
)
SECOND = (
    b"MAIL FROM:<>\r\nRCPT TO:<" + RETURN_PATH.encode() + b">\r\nDATA\r\n"
    b"Subject: smuggled\r\n\r\nsecond\r\n"
)
END = b"\r\n.\r\n"


async def hand_in(carom: Running, payload: bytes, cut: int) -> list[str]:
    """Send content in two packets; every answer until the goodbye."""
    async with dial(carom.port) as wire:
        for line in ("MAIL FROM:<>", f"RCPT TO:<{RETURN_PATH}>", "DATA"):
            assert (await wire.say(line))[:3] in ("250", "354")
        wire.write(payload[:cut])
        await wire.writer.drain()
        await asyncio.sleep(0)  # let it leave alone
        wire.write(payload[cut:] + END + b"QUIT\r\n")
        answers = []
        while answer := await wire.reply():
            answers.append(answer)
        return answers


@pytest.mark.parametrize("form", FORMS, ids=repr)
async def test_nothing_else_ends_a_message_that_comes_in(
    form: bytes, amount: Amount, seen: Callable[[str], None]
) -> None:
    payload = b"Subject: first\r\n\r\nbody" + form + SECOND
    start = payload.index(form) - 1
    cuts = range(1, len(payload), amount(23, 1)) if not amount.full else range(1, len(payload))
    tried = sorted({*cuts, *range(start, start + len(form) + 3)})
    async with listening() as carom:
        for cut in tried:
            answers = await hand_in(carom, payload, cut)
            assert [a[:3] for a in answers] in (["250", "221"], ["550", "221"], ["554", "221"])
        assert len(carom.shelf.kept) <= len(tried)
        for kept in carom.shelf.kept:
            assert kept.content.startswith(b"Subject: first\r\n"), "a message out of a message"
            assert b"smuggled" in kept.content, "all of it is one message's content"
            assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", kept.content), "passed on as it came"
    seen(f"in, {form!r}: {len(tried)} cuts, extra messages 0")


@asynccontextmanager
async def recording_host(wire: bytearray, commands: list[bytes]) -> AsyncIterator[int]:
    """A host that writes down all that comes after its 354, up to the first end of data."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(b"220 mx.example.net ESMTP\r\n")
            while line := await reader.readline():
                match line[:4].upper():
                    case b"EHLO":
                        writer.write(b"250-mx.example.net\r\n250 8BITMIME\r\n")
                    case b"DATA":
                        writer.write(b"354 go on\r\n")
                        wire.extend(b"\r\n" + await reader.readuntil(END))
                        writer.write(b"250 2.0.0 taken\r\n")
                    case b"QUIT":
                        writer.write(b"221 2.0.0 bye\r\n")
                        break
                    case _:  # MAIL and RCPT, once each: a second message would say them again
                        commands.append(line)
                        writer.write(b"250 2.0.0 fine\r\n")
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=4 * BLOCK)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize("form", FORMS, ids=repr)
async def test_nothing_that_goes_out_ends_before_its_end(
    form: bytes, amount: Amount, seen: Callable[[str], None]
) -> None:
    """Also where the form lies across two blocks of writing."""
    origin = Origin("01jd000000000000000000000a", "mta.example.com", "default", "bulk", 1.8e9)
    head = b"From: shop@example.com\r\nSubject: first\r\n\r\n"
    tried = refused = 0
    for shift in amount.some((-2, 0, 1), range(-8, 9)):
        filling = (b"x" * 70 + b"\r\n") * (2 * BLOCK // 72)
        content = head + filling[: BLOCK - len(head) - 200 + shift] + form + SECOND
        try:
            composed = accept(read(content), origin).content
        except ComposeError:
            refused += 1
            continue
        tried += 1
        await _goes_out_whole(composed)
    assert refused == (0 if b"\0" not in form else refused)
    seen(f"out, {form!r}: {tried} sent, {refused} refused, extra messages 0")


async def _goes_out_whole(content: bytes) -> None:
    wire, commands = bytearray(), list[bytes]()
    async with recording_host(wire, commands) as port:
        route = Route("example.net", (Host("mx", "127.0.0.1", port),), tls=TlsMode.NONE)
        connections = Connections(ehlo_name="mta.example.com")
        envelope = Envelope("b+1@b.example", "ann@example.net", content)
        done = await connections.deliver(route, envelope)
        await connections.close()
    assert done.result == "accepted"
    assert [line[:4] for line in commands] == [b"MAIL", b"RCPT"]
    assert wire.count(END) == 1
    assert wire.endswith(END)
    inner = bytes(wire[: -len(END)])
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", inner)
    assert not [form for form in FORMS if form in inner]
    assert b"smuggled" in inner
