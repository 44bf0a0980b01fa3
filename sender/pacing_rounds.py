"""Rounds: a node renews its shares of what sites bear, about once a second while it sends.

When the database is away a node keeps to its last share: nobody else can take it meanwhile.  A node
that slept over the end of its lease holds nothing until it has renewed it.  A node that has nothing
to send looks seldom, and at once when it has; one that writes to a site which is new to it asks
within `SOON`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from analysis.pause import pause
from analysis.store import Store, StoreUnavailable
from sender import pacing_leases
from sender.pacing import Pacing
from sender.pacing_leases import Said

log = structlog.get_logger()

EVERY, LEASE = 1.0, 3.0
"""Seconds between renewals, and for which one holds."""
SOON = 0.25
"""Seconds until the next, where others have yet to give up what is fairly ours, twice as many each
time that they have not; and at the least, however many sites are new to this node."""


class PacingRounds:
    """`gone`: whether a node, by its name, surely runs no more."""

    def __init__(
        self,
        pacing: Pacing,
        store: Store,
        *,
        node: str,
        gone: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._pacing = pacing
        self._store = store
        self._node = node
        self._gone = gone
        self._clock = clock
        self._soon = SOON  # until the next, should others have yet to give something up

    async def serve(self) -> None:
        """Renew until cancelled."""
        while True:
            self._pacing.stirred.clear()
            left = await self.renew()
            if left is not None:
                await asyncio.sleep(SOON)
                left -= SOON
            await pause(self._pacing.stirred, left)

    async def renew(self) -> float | None:
        """Renew once; seconds until the next.  None where there is nothing to send, and all of
        it is given up."""
        pacing, now = self._pacing, self._clock()
        said, before, held = Said(pacing.wanted(), pacing.cuts()), pacing.holding, pacing.holds
        if not said.wanted:
            await self.leave()
            return None
        try:
            holding, cuts = await self._store.write(
                lambda tx: pacing_leases.renew(
                    tx, said, before, node=self._node, now=now, lease=LEASE
                )
            )
        except StoreUnavailable as error:
            log.warning("pacing keeps its shares: the database is unavailable", error=str(error))
            if held:
                pacing.hold(before, self._clock() + LEASE)
        else:
            pacing.hold(holding, now + LEASE)
            pacing.told(cuts)
            if holding.short:  # as it often is: somebody always takes or gives a little
                soon, self._soon = self._soon, min(EVERY, 2 * self._soon)
                return soon
            self._soon = SOON
        return EVERY

    async def leave(self) -> None:
        """Hold nothing, nor let anybody hold anything who surely runs no more."""
        self._pacing.sleep()
        try:
            await self._store.write(
                lambda tx: pacing_leases.leave(
                    tx, gone=lambda name: name == self._node or self._gone(name)
                )
            )
        except StoreUnavailable as error:
            log.warning("shares are left to their leases", error=str(error))
