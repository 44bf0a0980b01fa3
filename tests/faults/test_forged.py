"""S2 and S3: only the receiver of a message can say anything about it, and nothing is relayed.

A forged address is refused at RCPT, before a word of the mail is read.  A genuine one speaks for
its own delivery alone, once, and for its own purpose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Connection, func, select

from analysis.schema import deliveries, messages, reports, suppressions
from analysis.smtpd import CommandError
from ingest.recipients import Recipients
from sender.tokens import ALPHABET
from tests.amounts import Amount
from tests.faults.traffic import Clients, people
from tests.flows.house import BOUNCES, House, carom_house
from tests.ingest.letters import letter
from tests.peers.counting_sink import Copy, CountingSink
from tests.peers.smtp_client import dial

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]


def forgeries(genuine: str, chance: Random) -> Iterator[str]:
    """Addresses that look like this one and are not it."""
    local = genuine.partition("@")[0]
    prefix, _, token = local.partition("+")
    while True:
        at = chance.randrange(len(token))
        other = chance.choice([c for c in ALPHABET if c != token[at]])
        yield f"{prefix}+{token[:at]}{other}{token[at + 1 :]}@{BOUNCES}"
        yield f"{prefix}+{''.join(chance.choices(ALPHABET, k=len(token)))}@{BOUNCES}"
        yield f"{'u' if prefix == 'b' else 'b'}+{token}@{BOUNCES}"
        yield f"{prefix}+{token[:-1]}@{BOUNCES}"
        yield f"{prefix}+{token}{chance.choice(ALPHABET)}@{BOUNCES}"


def accepted(book: Recipients, address: str, now: float) -> bool:
    try:
        book.find(address, now)
    except CommandError:
        return False
    return True


async def refused_on_the_wire(port: int, addresses: list[str]) -> int:
    """How many of these the listener refuses at RCPT; it must refuse all."""
    for start in range(0, len(addresses), 10):
        async with dial(port) as wire:
            assert (await wire.say("MAIL FROM:<>")).startswith("250")
            for address in addresses[start : start + 10]:
                answer = await wire.say(f"RCPT TO:<{address}>")
                assert answer[:3] in ("500", "501", "550", "553", "555"), (address, answer)
    return len(addresses)


async def test_no_forged_report_comes_in_and_every_genuine_one_does(
    tmp_path: Path, amount: Amount, chance: Random, seen: Callable[[str], None]
) -> None:
    async with house(tmp_path) as (carom, sink):
        clients = Clients(carom)
        await clients.insist_each(people(amount(15, 1_000)))
        await clients.settled()
        port = carom.bound.ingest
        assert port is not None
        genuine = list(sink.copies)
        fakes = [
            fake
            for copy in genuine
            for fake, _ in zip(forgeries(copy.return_path, chance), range(10), strict=False)
        ]
        by_hand = await _in_the_book(carom, genuine, amount(2_000, 20_000), chance)
        over_the_wire = await refused_on_the_wire(port, fakes[: amount(150, 3_000)])
        assert await carom.books(lambda tx: tx.execute(_REPORTS).scalar_one()) == 0

        # another's token: it speaks for its own delivery, whoever it names
        named_themselves = set()
        for copy in genuine:
            named = chance.choice((copy.recipient, chance.choice(genuine).recipient))
            if named == copy.recipient:
                named_themselves.add(named)
            for _ in range(2):  # and a replay is no second fact
                assert await clients.report(copy.return_path, named, status="5.1.1")
        await carom.all_read()
        told = await carom.books(_by_delivery)
        assert set(told.values()) == {1}
        assert len(told) == len(genuine), "genuine reports that were not believed"
        assert await carom.books(_suppressed) <= named_themselves, "another's token closed it"
    seen(
        f"{by_hand} forged tokens in the address book and {over_the_wire} on the wire: accepted 0; "
        f"genuine {len(told)}/{len(genuine)}, replayed once each: recorded once"
    )


_REPORTS = select(func.count()).select_from(reports)


async def _in_the_book(carom: House, genuine: list[Copy], count: int, chance: Random) -> int:
    """The listener's own judgement of so many forgeries, and of every genuine address."""
    tokens = carom.engine.tokens
    book = Recipients(
        BOUNCES,
        read_return_path=tokens.read_return_path,
        read_unsubscribe_address=tokens.read_unsubscribe_address,
        read_canary_address=tokens.read_canary_address,
    )
    now = carom.engine.clock()
    unsubscribes = [
        tokens.unsubscribe_address(
            await _delivery_of(carom, copy.return_path), BOUNCES, expires=now + 86_400
        )
        for copy in genuine[:20]
    ]
    real = [*(copy.return_path for copy in genuine), *unsubscribes]
    assert all(accepted(book, address, now) for address in real)
    tried = 0
    while tried < count:
        for fake, _ in zip(forgeries(chance.choice(real), chance), range(5), strict=False):
            assert not accepted(book, fake, now), fake
            tried += 1
    return tried


async def _delivery_of(carom: House, return_path: str) -> str:
    of = select(deliveries.c.id).where(deliveries.c.return_path == return_path)
    return str(await carom.books(lambda tx: tx.execute(of).scalar_one()))


def _by_delivery(tx: Connection) -> Counter[str]:
    return Counter(tx.execute(select(reports.c.delivery_id)).scalars())


def _suppressed(tx: Connection) -> set[str]:
    return set(tx.execute(select(suppressions.c.address)).scalars())


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[tuple[House, CountingSink]]:
    url = f"sqlite:///{folder / 'carom.db'}"
    async with CountingSink() as sink, carom_house(folder, url, mx=sink.port) as carom:
        yield carom, sink


PROBES = (
    *("user@known.example", "user%known.example@{us}", "known.example!user@{us}"),
    *("user%known.example", "known.example!user", "@{us}:user@known.example"),
    *("@known.example:user@{us}", "@a.example,@{us}:user@known.example", '"user@known.example"'),
    *('"user@known.example"@{us}', '"user%known.example"@{us}', "user@known.example@{us}"),
    *(
        "user@[127.0.0.1]",
        "user@[IPv6:::1]",
        "user@localhost",
        "user@127.0.0.1",
        "user@{us}.example",
    ),
    *("user@sub.{us}", "user@x{us}", "user@example.com", "shop@example.com", "root", "root@{us}"),
    *("b+@{us}", "b+x@{us}", "fbl@known.example", "postmaster@known.example", "abuse@[127.0.0.1]"),
    *(
        "user\\@known.example@{us}",
        "user@{us}@known.example",
        "<user@known.example>",
        " user@known.example",
    ),
    *(
        "user@known.example ",
        "user@known.example\x00@{us}",
        "user@known.example,fbl@{us}",
        "*@{us}",
    ),
    *("user@known.example;fbl@{us}", "fbl @{us}", "+@{us}", "@{us}", "user@\u212anown.example"),
)


async def test_nothing_is_relayed_and_no_mail_causes_mail(
    tmp_path: Path, amount: Amount, seen: Callable[[str], None]
) -> None:
    async with house(tmp_path) as (carom, sink):
        clients = Clients(carom)
        await clients.insist_each(people(5))
        await clients.settled()
        port, before = carom.bound.ingest, len(sink.copies)
        assert port is not None
        probes = [probe.replace("{us}", BOUNCES) for probe in PROBES]
        refused = await refused_on_the_wire(port, probes)
        count = amount(80, 10_000)
        for number in range(0, count, 20):
            await _many(port, sink.copies[number // 20 % before], range(number, number + 20))
        await carom.all_read()
        await clients.settled()
        assert await carom.books(lambda tx: tx.execute(_MESSAGES).scalar_one()) == before
        assert len(sink.copies) == before
    seen(f"{refused} relay probes: relayed 0; {count} inbound messages: mail caused 0")


_MESSAGES = select(func.count()).select_from(messages)
KINDS = (
    ("Auto-Submitted: auto-replied", "Subject: Out of office"),
    ("Return-Receipt-To: <victim@known.example>", "Subject: please confirm"),
    ("Disposition-Notification-To: <victim@known.example>", "Subject: read?"),
    ("Reply-To: <victim@known.example>", "Subject: Hello", "To: list@known.example"),
    ("Subject: Undelivered Mail Returned to Sender", "X-Failed-Recipients: a@known.example"),
)


async def _many(port: int, copy: Copy, numbers: range) -> None:
    """Mail of every kind on one connection, to each address of ours that takes any."""
    doors = (copy.return_path, f"fbl@{BOUNCES}", f"abuse@{BOUNCES}", "postmaster")
    async with dial(port) as wire:
        for number in numbers:
            sender = ("", "victim@known.example")[number % 2]
            for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{doors[number % 4]}>", "DATA"):
                assert (await wire.say(line))[:3] in ("250", "354")
            headers = ["From: someone@known.example", *KINDS[number % len(KINDS)]]
            wire.write(letter(headers, f"Hello, number {number}.") + b"\r\n.\r\n")
            assert (await wire.reply()).startswith("250 ")
