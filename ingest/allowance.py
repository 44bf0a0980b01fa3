"""The day's allowance: how many octets strangers may leave with us.

Raw mail is stored before it is read, and kept for weeks.  Anybody may write to `postmaster` or
`fbl`, and everybody who ever got a mail of ours holds a genuine token: without a bound one
connection fills the disk, on which it must still be noted what becomes of the mail we sent.  So a
day has so many octets for all mail to addresses without a token, for that of one client (IPv6 by
/64), and for one token.  What goes beyond is put off with 452 and comes again another day.

Days are those of UTC.  It is kept in memory, by each process for itself: the `_BOOK` clients and
tokens that were heard of last are remembered, and a start begins anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analysis.smtpd.door import is_loopback, network_of
from ingest.recipients import Accepted

_DAY = 86_400.0
_BOOK = 50_000
_ALL = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Octets a day."""

    anybody: int = 2_000_000_000  # to addresses without a token, from all clients
    client: int = 500_000_000  # the same, from one client
    token: int = 20_000_000  # with one delivery's token
    least: int = 10_000  # that a message counts for: the smallest has to be read and has its rows


class Allowance:
    """`exempt` names clients that are not counted by themselves, such as a proxy on loopback."""

    def __init__(
        self, bounds: Bounds | None = None, *, exempt: Callable[[str], bool] = is_loopback
    ) -> None:
        self._bounds = bounds or Bounds()
        self._exempt = exempt
        self._day = -1
        self._taken: dict[str, int] = {}

    def is_left(self, client: str, accepted: Accepted, now: float) -> bool:
        """Whether anything at all is left for mail of this client to this address."""
        self._turn(now)
        return all(self._by(who) < most for who, most in self._accounts(client, accepted))

    def take(self, client: str, recipients: Sequence[Accepted], octets: int, now: float) -> bool:
        """Take what a message needs, which is kept once for each recipient: all of it or nothing.

        Who has anything left may leave one more message, however large.
        """
        self._turn(now)
        if not all(self.is_left(client, accepted, now) for accepted in recipients):
            return False
        needed: Counter[str] = Counter()
        for accepted in recipients:
            for who, _ in self._accounts(client, accepted):
                needed[who] += max(octets, self._bounds.least)
        for who, more in needed.items():
            self._taken[who] = self._by(who) + more
        self._by(_ALL)
        while len(self._taken) > _BOOK:
            del self._taken[next(iter(self._taken))]
        return True

    def _by(self, who: str) -> int:
        """What they took today; they are heard of now, and so the last to be forgotten."""
        if taken := self._taken.pop(who, 0):
            self._taken[who] = taken
        return taken

    def _accounts(self, client: str, accepted: Accepted) -> Iterator[tuple[str, int]]:
        if accepted.token is not None:
            yield accepted.token.subject_id, self._bounds.token
            return
        yield _ALL, self._bounds.anybody
        if not self._exempt(client):
            yield network_of(client), self._bounds.client

    def _turn(self, now: float) -> None:
        if (day := int(now // _DAY)) != self._day:
            self._day = day
            self._taken.clear()
