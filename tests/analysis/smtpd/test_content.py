"""Content of messages: one end, whole lines, exact bounds."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.smtpd import Door, Limits
from analysis.smtpd.content import Content
from tests.analysis.smtpd.running import data, envelope, resident, serving, until
from tests.peers.smtp_client import dial

pytestmark = pytest.mark.anyio


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
