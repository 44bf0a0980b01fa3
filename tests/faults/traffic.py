"""Clients of a Carom in trouble: what they ask, and which answers are honest then.

A promise is a 202 or a 250.  Without one a client asks again with the same key or the same mail, as
clients do; any answer but a promise and "later" (503, 451, 452) fails the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy import select

from analysis.lookup import accounts
from analysis.schema import raw_inbound
from ingest import inbox
from tests.faults.books import balanced
from tests.flows.house import SHOP, House, until
from tests.ingest.letters import group, report
from tests.peers.smtp_client import dial

AT_ONCE = 20
PATIENCE = 60.0
WORDS = {"5.1.1": "550 5.1.1 No such user here", "5.2.2": "552 5.2.2 Mailbox full"}


@dataclass(slots=True)
class Clients:
    """Everything that was promised to them, and how often they were asked to come again."""

    carom: House
    promised: set[str] = field(default_factory=set)  # ids of deliveries
    kept: list[str] = field(default_factory=list)  # recipients of reports answered 250
    later: int = 0
    last_word: str = ""  # of the listener

    async def post(self, recipient: str) -> bool:
        """Submit once; whether it was promised."""
        body = {"from": SHOP, "to": [recipient], "subject": "Your order", "text": "Hello.\n"}
        headers = {"Idempotency-Key": recipient}
        answer = await self.carom.client.post("/v1/messages", json=body, headers=headers)
        if answer.status_code == 202:
            self.promised.update(one["id"] for one in answer.json()["deliveries"])
            return True
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) > 0
        self.later += 1
        return False

    async def report(self, to: str, recipient: str, *, status: str = "5.2.2") -> bool:
        """Hand a bounce in once; whether it was promised."""
        about = group(
            final_recipient=f"rfc822; {recipient}",
            action="failed",
            status=status,
            diagnostic_code=f"smtp; {WORDS[status]}",
        )
        assert self.carom.bound.ingest is not None
        async with dial(self.carom.bound.ingest) as wire:
            for line in ("MAIL FROM:<>", f"RCPT TO:<{to}>", "DATA"):
                assert (await wire.say(line))[:3] in ("250", "354")
            wire.write(report(about) + b"\r\n.\r\n")
            self.last_word = answer = await wire.reply()
        if answer.startswith("250 "):
            self.kept.append(to)
            return True
        assert answer[:3] in ("451", "452"), answer
        self.later += 1
        return False

    async def insist(self, recipient: str) -> None:
        """Submit until it is promised."""
        await until(lambda: self.post(recipient), PATIENCE)

    async def insist_each(self, recipients: Iterable[str]) -> None:
        await each(recipients, self.insist)

    async def settled(self, within: float = PATIENCE) -> dict[str, int]:
        """Wait until all is at its end, and prove the accounts; everything promised is in them."""

        async def are_quiet() -> bool:
            return await self.carom.books(inbox.unread) == 0 and await self._nothing_pending()

        await until(are_quiet, within)
        stored = select(raw_inbound.c.recipient)
        arrived = await self.carom.books(lambda tx: list(tx.execute(stored).scalars()))
        missing = set(self.kept) - set(arrived)
        assert not missing, f"{len(missing)} reports acknowledged and missing"
        return await self.carom.books(lambda tx: balanced(tx, self.promised))

    async def _nothing_pending(self) -> bool:
        """By one statement: several, while mail moves, would see several moments."""
        states = await self.carom.books(accounts)
        return not states["queued"] and not states["sending"]


async def each(items: Iterable[str], work: Callable[[str], Awaitable[object]]) -> None:
    """The work on each item, a bounded number at once."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(item: str) -> None:
        async with turns:
            await work(item)

    async with asyncio.TaskGroup() as group_:
        for item in items:
            group_.create_task(one(item))


def people(count: int, prefix: str = "user") -> list[str]:
    return [f"{prefix}{number}@known.example" for number in range(count)]
