"""R8 and R9: hosts that fall silent after the dot, answer late, twice or to somebody who has gone.

Silence after the dot may mean that the message was taken: it is sent again and never filed as
failed.  An answer belongs to the message that it was given to, whatever else is on the wire.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from sender.connections import Connections, Limits
from sender.smtp import Envelope, Host, Outcome, Result, Route, TlsMode
from tests.amounts import Amount
from tests.faults.books import nobody_suppressed
from tests.faults.traffic import Clients, people
from tests.flows.house import carom_house
from tests.peers.counting_sink import CountingSink

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]


class Dropping(CountingSink):
    """Takes each message; of one in four it hangs up in place of the answer the first time.

    More in a row would be a reason to leave the host alone for half a minute.
    """

    def _take(
        self, writer: asyncio.StreamWriter, content: bytes, sender: str, recipient: str
    ) -> None:
        number = int(recipient.partition("@")[0].removeprefix("user"))
        if number % 4 == 0 and recipient not in self._seen:
            self._seen.add(recipient)
            writer.transport.abort()  # before: its answer goes nowhere
        super()._take(writer, content, sender, recipient)


async def test_silence_after_the_dot_is_doubt_and_costs_one_more_copy(
    tmp_path: Path, amount: Amount, seen: Callable[[str], None]
) -> None:
    count = amount(24, 4_000)
    async with (
        Dropping() as sink,
        carom_house(tmp_path, f"sqlite:///{tmp_path / 'carom.db'}", mx=sink.port) as carom,
    ):
        clients = Clients(carom)
        await clients.insist_each(people(count))
        books = await clients.settled(within=3_600.0)
        assert books["delivered"] == sum(books.values()) == count, "filed as failed"
        copies = Counter(copy.recipient for copy in sink.copies)
        assert max(copies.values()) == 2
        assert sum(times == 2 for times in copies.values()) == count // 4
        assert len(set(sink.copies)) == count, "the second copy is the first one again"
        await carom.books(nobody_suppressed)
    seen(f"{count // 4} drops after the dot: filed as failed 0, at most one extra copy each")


@dataclass(frozen=True, slots=True)
class Manner:
    """How the host of R9 answers the message with a number: by the number alone."""

    number: int

    @property
    def answer(self) -> str:
        words = f"message #{self.number}#"
        return f"550 5.1.1 gone {words}" if self.number % 3 == 0 else f"250 2.0.0 took {words}"

    @property
    def extra(self) -> str:
        """What nobody asked for, right behind the answer."""
        one = self.number % 40 == 7
        return f"550 5.1.1 extra #{self.number}#\r\n" if one else ""

    @property
    def delay(self) -> float:
        """Seconds; with 11 every client has gone by then."""
        return {11: 0.02, 23: 0.002}.get(self.number % 40, 0.0)

    @property
    def cancelled(self) -> bool:
        return self.number % 20 == 11


@asynccontextmanager
async def muddled_host() -> AsyncIterator[int]:
    """Its port.  It names the message it means in each answer to a dot."""

    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await _converse(reader, writer)
        writer.transport.abort()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.gather(*talks)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mx.example.net ESMTP\r\n")
    manner = Manner(1)
    while line := await reader.readline():
        match line[:4].upper():
            case b"EHLO":
                writer.write(b"250-mx.example.net\r\n250 PIPELINING\r\n")
            case b"RCPT":
                found = re.search(rb"<user(\d+)@", line)
                manner = Manner(int(found[1]) if found else 1)
                writer.write(b"250 2.1.5 fine\r\n")
            case b"DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                if manner.delay:
                    await asyncio.sleep(manner.delay)  # the one thing that is about time here
                writer.write(f"{manner.answer}\r\n{manner.extra}".encode())
            case b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            case _:
                writer.write(b"250 2.0.0 fine\r\n")


async def test_no_answer_is_tied_to_another_message(
    amount: Amount, chance: Random, seen: Callable[[str], None]
) -> None:
    count, cancelled, tied = amount(1_000, 10_000), 0, Counter[str]()
    async with muddled_host() as port:
        route = Route("example.net", (Host("mx", "127.0.0.1", port),), tls=TlsMode.NONE)
        connections = Connections(
            ehlo_name="mta.example.com", limits=Limits(total=8, per_site=8, messages=50)
        )
        turns = asyncio.Semaphore(16)

        async def one(number: int) -> None:
            nonlocal cancelled
            envelope = Envelope("b+1@b.example", f"user{number}@example.net", b"Subject: x\r\n\r\n")
            async with turns:
                patience = chance.uniform(0.0, 0.01) if Manner(number).cancelled else None
                try:
                    async with asyncio.timeout(patience):
                        done = await connections.deliver(route, envelope)
                except TimeoutError:
                    cancelled += 1
                else:
                    tied[_tie(done, number)] += 1

        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                tasks.create_task(one(number))
        await connections.close()
    assert cancelled >= count // 40
    assert tied["accepted"] + tied["refused"] > count * 9 // 10
    seen(
        f"{count} sends, {cancelled} cancelled under way, {count // 40} late and {count // 40} "
        f"doubled answers: tied to the wrong message 0 ({dict(tied)})"
    )


def _tie(done: Outcome, number: int) -> str:
    """Whose answer this is; the test fails if it is another's."""
    named = re.findall(r"#(\d+)#", str(done.reply))
    assert set(named) <= {str(number)}, f"message {number} was told {done.reply}"
    if done.result in (Result.ACCEPTED, Result.REFUSED):
        wanted = Result.REFUSED if number % 3 == 0 else Result.ACCEPTED
        assert done.result is wanted, f"message {number} was told {done.reply}"
        assert named, "an answer without a name decides nothing"
    return str(done.result)
