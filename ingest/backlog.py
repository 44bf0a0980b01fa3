"""Back-pressure at the bounce listener: how many reports may be unread before more are put off.

A report that is not taken stays with its sender, who comes again; one that is taken and not read
only fills the disk, on which it must still be noted what became of sent mail.  Anybody may write to
an address that needs no token, so mail to those fills half of the room at most: a flood of it puts
off no bounce that proves itself.

The database is looked at now and then (`analysis.looking`), and no further than the limit; what
this process stored since is added.  So it goes past the limit only by what was under way, and
several together by what the others take between two looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from analysis.looking import keep_looking
from analysis.store import Store
from ingest import inbox
from ingest.recipients import Accepted


@dataclass(slots=True)
class Backlog:
    """`most`: reports that may be unread; 0: no limit.  `put_off` is told of each that was."""

    store: Store
    most: int
    put_off: Callable[[], None]
    _seen: int = field(default=0, init=False)
    _came: int = field(default=0, init=False)  # since the last look

    def has_room(self, accepted: Accepted) -> bool:
        """Whether a report to this address is taken now."""
        most = self.most if accepted.token is not None else (self.most + 1) // 2
        if not self.most or self._seen + self._came < most:
            return True
        self.put_off()
        return False

    def came(self, reports: int) -> None:
        """So many were stored."""
        self._came += reports

    async def look(self) -> None:
        """See what there is; raises `StoreUnavailable`."""
        before = self._came
        self._seen = await self.store.read(lambda tx: inbox.unread(tx, self.most))
        self._came -= before

    async def serve(self, stop: asyncio.Event) -> None:
        """Look now and then.  What was seen stands while the database is away."""
        await keep_looking(self.look, stop, who="listener")
