"""Where each statement goes when the same tables lie on several servers.

Rows of mail lie by the mark that their ids carry (`analysis.ids.mark`): what belongs to a message
has the mark of the message, and so lies beside it.  Rows of people lie by the hash of the address,
answers to repeated requests by the hash of their key.  All other tables are small and lie on the
first server, `HOME`.  A change to the counts lies wherever its transaction works.

A statement that gives values for a key goes to the servers of these values, cut into one for each
where there are several; one about such tables that gives none goes everywhere.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from analysis.ids import mark
from tests.flows.trace import Row, Statement, Transaction

HOME = 0

KEYS: dict[str, tuple[str, ...]] = {
    "messages": ("id",),
    "bodies": ("message_id",),
    "deliveries": ("id", "message_id"),
    "attempts": ("delivery_id",),
    "events": ("message_id", "delivery_id"),
    "reports": ("delivery_id", "raw_id"),
    "raw_inbound": ("id",),
    "engagements": ("delivery_id",),
    "feedback": ("delivery_id",),
    "unsubscribe_links": ("delivery_id",),
    "suppressions": ("address_hash",),
    "soft_bounces": ("address_hash",),
    "held_suppressions": ("address_hash",),
    "idempotency": ("key_hash",),
    "cohort_changes": (),
}
"""By table that grows with mail or with people, what its rows are spread by: the first that a row
has.  An event about no message lies at home."""

NUMBERED = {"events": "seq", "cohort_changes": "seq"}
"""Tables that lie on several servers and are numbered by one sequence for all."""

Place = Callable[[Any], int]
"""The server of a key's value."""
Parts = dict[int, Statement]
"""By server what it is asked of a statement."""

_TABLES = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE) ([a-z_]+)")
_GIVEN = re.compile(r"\b([a-z_]+)\.([a-z_]+) (?:= \$(\d+)|IN \((\$[^()]*)\))")
_INSERT = re.compile(
    r"INSERT INTO ([a-z_]+) \(([^)]*)\) VALUES ((?:\([^()]*\)(?:, )?)+)(.*)", re.DOTALL
)
_GROUP = re.compile(r"\([^()]*\)")
_NUMBER = re.compile(r"\$(\d+)")
_WORK = {"messages", "deliveries", "attempts", "raw_inbound"}
_LAYOUT = ("CREATE ", "DROP ", "ALTER ", "LOCK ")
_AHEAD = ("SELECT pg_advisory_xact_lock", "SET LOCAL ")  # belongs to what follows


def by_key(servers: int) -> Place:
    """As the tables would be spread: by the mark of an id, by the first octets of a hash."""

    def place(key: str | bytes) -> int:
        number = mark(key) if isinstance(key, str) else int.from_bytes(key[:4])
        return number % servers

    return place


def tables(text: str) -> tuple[str, ...]:
    """The tables that grow which a statement is about."""
    return tuple(sorted(KEYS.keys() & set(_TABLES.findall(text))))


def everywhere(text: str) -> bool:
    """Whether a statement is about tables that grow and gives no key."""
    return bool(tables(text)) and not text.startswith("INSERT") and not any(_given(text))


def _given(text: str) -> tuple[str, str]:
    """The parameter that holds the key, or the IN list of several; empty where there is none."""
    for table, column, number, several in _GIVEN.findall(text):
        if column in KEYS.get(table, ()):
            return number, several
    return "", ""


class Spread:
    """The parts of transactions; numbers are given out as one server would.

    `in_turn`: what is due is asked for only where the transaction then works, as if whoever claims
    did so for one server at a time.
    """

    def __init__(self, servers: int, place: Place | None = None, *, in_turn: bool = False) -> None:
        self.servers = servers
        self._place = place or by_key(servers)
        self._in_turn = in_turn
        self._numbers = {table: count(1) for table in NUMBERED}

    def of(self, transaction: Transaction) -> Iterator[tuple[Statement, Parts]]:
        """Each statement with its parts, in order."""
        ahead: list[Statement] = []
        works = self._works(transaction)
        for said in transaction:
            if said.text.startswith(_AHEAD):
                ahead.append(said)
                continue
            parts = self._parts(said, works)
            yield from ((one, dict.fromkeys(parts, one)) for one in ahead)
            yield said, parts
            ahead.clear()
        yield from ((one, {HOME: one}) for one in ahead)

    def _works(self, transaction: Transaction) -> int:
        """The server of the first rows of mail that a transaction writes; or home."""
        for said in transaction:
            writes = not said.text.startswith("SELECT") and not everywhere(said.text)
            if writes and _WORK & set(tables(said.text)):
                return min(self._parts(said, HOME))
        return HOME

    def _parts(self, said: Statement, works: int) -> Parts:
        about = tables(said.text)
        if not about:
            everywhere = said.text.startswith(_LAYOUT)
            return dict.fromkeys(range(self.servers) if everywhere else [HOME], said)
        if found := _INSERT.fullmatch(said.text):
            return self._inserted(said, found, works)
        number, several = _given(said.text)
        if several:
            return self._each_of(said, several)
        if number:
            place = int(number) - 1
            return _dealt(said, said.text, said.rows, lambda row: self._place(row[place]))
        one = self._in_turn and said.text.endswith("SKIP LOCKED")
        return dict.fromkeys([works] if one else range(self.servers), said)

    def _each_of(self, said: Statement, several: str) -> Parts:
        """Cut by the values of an IN list: each server is asked for its own."""
        [row] = said.rows
        items: dict[int, list[str]] = defaultdict(list)
        for item in several.split(", "):
            items[self._place(row[_numbers(item)[0] - 1])].append(item)
        return {
            server: _renumbered(said, said.text.replace(several, ", ".join(some)))
            for server, some in items.items()
        }

    def _inserted(self, said: Statement, found: re.Match[str], works: int) -> Parts:
        """Cut by the rows, each with its number where the table counts them."""
        table, columns, groups, rest = found.groups()
        names, shapes = columns.split(", "), _GROUP.findall(groups)
        if not said.many:  # one row of values for each group
            said = replace(said, rows=tuple(_values(said.rows[0], shape) for shape in shapes))
        shape = shapes[0] if said.many else _renumbered(said, shapes[0]).text
        if table in NUMBERED:
            numbers = self._numbers[table]
            said = replace(said, rows=tuple((*row, next(numbers)) for row in said.rows))
            names, shape = [*names, NUMBERED[table]], f"{shape[:-1]}, ${len(said.rows[0])})"
        begin = f"INSERT INTO {table} ({', '.join(names)}) VALUES "
        keys = [names.index(key) for key in KEYS[table] if key in names]

        def server(row: Row) -> int:
            known = (row[place] for place in keys if row[place] is not None)
            return works if not KEYS[table] else next((self._place(k) for k in known), HOME)

        dealt = _dealt(said, f"{begin}{shape}{rest}", said.rows, server)
        return dealt if said.many else {s: _joined(one, begin, rest) for s, one in dealt.items()}


def _dealt(said: Statement, text: str, rows: Sequence[Row], server: Callable[[Row], int]) -> Parts:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[server(row)].append(row)
    return {s: replace(said, text=text, rows=tuple(some)) for s, some in found.items()}


def _values(row: Row, shape: str) -> Row:
    return tuple(row[number - 1] for number in _numbers(shape))


def _joined(said: Statement, begin: str, rest: str) -> Statement:
    """One statement of several rows of values."""
    shape = said.text.removeprefix(begin).removesuffix(rest)
    width = len(said.rows[0])
    groups = (
        _NUMBER.sub(lambda found, by=n * width: f"${int(found[1]) + by}", shape)  # type: ignore[misc]
        for n in range(len(said.rows))
    )
    return replace(said, text=f"{begin}{', '.join(groups)}{rest}", rows=(sum(said.rows, ()),))


def _renumbered(said: Statement, text: str) -> Statement:
    """With the parameters that the text still names, numbered anew."""
    named = {old: new for new, old in enumerate(dict.fromkeys(_numbers(text)), 1)}
    text = _NUMBER.sub(lambda found: f"${named[int(found[1])]}", text)
    return replace(said, text=text, rows=(tuple(said.rows[0][old - 1] for old in named),))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in _NUMBER.findall(text)]
