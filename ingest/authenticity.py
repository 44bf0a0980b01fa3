"""Authenticity: whether the one who reports signed the report.  RFC 8460 section 3 wants it of TLS
reports; RFC 7489 section 7.2 of DMARC aggregates.

Anybody may send a report, so a signature proves only whose it is: it counts where its domain has
the organisational domain of the reporter (RFC 7489 section 3.1), and no further question is asked
otherwise.  Keys are asked for by `ask`, which may take long; a batch of reports waits `HASTE`
seconds for them in all.  What is not known by then is `LATER`: the answer is in the resolver's
memory when the report is read again.  So strangers whose name servers stall hold up no bounce, and
with `MOST_OPEN` questions at once they leave the resolver to those who send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import Any

from analysis.facts import Kind, Reading, Signature
from analysis.organisation import organisational_domain
from ingest.dkim_key import made

HASTE = 1.0
FIRST = 20.0
PATIENCE = 6 * 3_600.0
"""Seconds to the first time that a key is asked for again, and to the last: name servers come back
by then, or never answer."""
MOST_OPEN = 10
MOST_TRIED = 3
"""Signatures of one report whose keys are asked for."""
MOST_RECORDS = 3
"""Of one name; there should be one."""

_SERVICES = {Kind.TLS_RPT: "tlsrpt"}  # s= of a key: RFC 8460 section 3

Ask = Callable[[str], Awaitable[Sequence[str] | None]]
"""The TXT records of a name; None where nobody could say."""


class Later(Enum):
    LATER = "later"


LATER = Later.LATER
"""Nobody can say yet."""


def ask_again(received: float, now: float) -> float | None:
    """When to read a report again whose signer nobody could tell; None: it is let be unsigned.

    Each wait is longer than all before it, so that a report is read eight times at most.
    """
    age = now - received
    return None if age > PATIENCE else now + max(FIRST, 3 * age)


class Authenticity:
    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._open: dict[str, asyncio.Task[Sequence[str] | None]] = {}

    async def signers(self, reports: Sequence[tuple[Reading, float]]) -> list[str | Later]:
        """Who signed each, of those that came at a time: the reporter's organisational domain, ''
        where that one did not, or `LATER`."""
        aligned = await asyncio.to_thread(  # the public suffix list takes long to load, once
            lambda: [_aligned(*report) for report in reports]
        )
        until = asyncio.get_running_loop().time() + HASTE
        return list(
            await asyncio.gather(
                *(
                    self._signer(those, _SERVICES.get(reading.kind, "email"), until)
                    for those, (reading, _) in zip(aligned, reports, strict=True)
                )
            )
        )

    async def close(self) -> None:
        """Give up the questions under way."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _signer(
        self, signatures: Sequence[Signature], service: str, until: float
    ) -> str | Later:
        unsure = False
        for signature in signatures[:MOST_TRIED]:
            records = await self._records(signature, until)
            if records is None:
                unsure = True
            elif any(made(signature, one, service=service) for one in records[:MOST_RECORDS]):
                return organisational_domain(signature.domain)
        return LATER if unsure else ""

    async def _records(self, signature: Signature, until: float) -> Sequence[str] | None:
        name = f"{signature.selector}._domainkey.{signature.domain}"
        while name not in self._open and len(self._open) >= MOST_OPEN:
            if not await _one_of(self._open.values(), until):
                return None
        task = self._open.get(name) or self._begin(name)
        return task.result() if await _one_of([task], until) else None

    def _begin(self, name: str) -> asyncio.Task[Sequence[str] | None]:
        """Ask, for as long as it takes, for all who want to know."""
        task = asyncio.ensure_future(self._ask(name))
        self._open[name] = task
        task.add_done_callback(lambda _: self._open.pop(name))
        return task


async def _one_of(tasks: Iterable[asyncio.Task[Any]], until: float) -> bool:
    """Whether one of them is done by then."""
    left = max(0.0, until - asyncio.get_running_loop().time())
    done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


def _aligned(reading: Reading, received: float) -> list[Signature]:
    """The signatures that may prove the reporter."""
    signing = reading.signing
    if not signing.reporter:
        return []
    wanted = organisational_domain(signing.reporter)
    return [
        one
        for one in signing.signatures
        if organisational_domain(one.domain) == wanted
        and (one.expires is None or received <= one.expires)
    ]
