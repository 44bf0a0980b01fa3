"""Replay of reports: a stored report read again, compared with what it was taken for.

`differs` looks; `reread` changes what is stored to what today's reading says, in one short
transaction for each report, through the same consequences as a report that has just come.  Both
are plain work.  Running it twice changes nothing the second time; a run that was interrupted is
simply run again.

A delivery goes on only where the life-cycle lets it (delivered -> bounced, by a bounce that had
not been understood).  It never comes back from a final state: the message was refused and its
sender told so, and another rule does not deliver it now.  What is undone is what would hurt the
next message, the suppression.

Facts of a delivery that retention has taken, or whose recipient was erased, are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from analysis import audit, cohorts, hindsight, ledger, suppression
from analysis.amends import Change, Effect, Judged, Memory, audit_row
from analysis.consequence import blame, follow, held_against
from analysis.erase import ERASED
from analysis.facts import Arrival, ReportedRecipient
from analysis.schema import deliveries, raw_inbound, reports
from analysis.suppression import Reason

_LOOKED_AT = (
    "identity",
    "kind",
    "address",
    "action",
    "status",
    "category",
    "fault",
    "severity",
    "rule",
    "feedback_type",
)
"""Columns that make another fact of a row; its wording alone does not."""

_SHAPE = ("kind", "action", "feedback_type")
"""Columns on which it rests what follows at all."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """One fact as it is stored and as it is read today; either may be missing."""

    row: Row[Any] | None
    recipient: ReportedRecipient | None
    today: dict[str, Any] | None
    held: Reason | None  # against the address, today

    @property
    def changed(self) -> bool:
        if self.row is None or self.today is None:
            return True
        return any(getattr(self.row, name) != self.today[name] for name in _LOOKED_AT)

    @property
    def reshaped(self) -> bool:
        if self.row is None or self.today is None:
            return True
        return any(getattr(self.row, name) != self.today[name] for name in _SHAPE)

    @property
    def was_held(self) -> Reason | None:
        if self.row is None or self.row.delivery_id is None:
            return None
        return hindsight.held_by_report(self.row)

    @property
    def withdraws(self) -> bool:
        """Whether it holds less against the address than its row lets one think."""
        return self.was_held is not None and self.held is not self.was_held


@dataclass(frozen=True, slots=True)
class _Comparison:
    delivery: Any
    pairs: list[_Pair]
    raw: dict[str, Any]  # columns of the raw row that change


def differs(tx: Connection, arrival: Arrival, memory: Memory, now: float) -> bool:
    """Whether `reread` may have something to do.  Remembers what facts hold today."""
    found = _compare(tx, arrival, memory, lock=False)
    if found is None:
        return False
    _remember(found, memory)
    if found.raw or any(pair.changed for pair in found.pairs):
        return True
    withdraws = any(pair.withdraws for pair in found.pairs)
    return withdraws and hindsight.listed(tx, found.delivery, now)


def reread(
    tx: Connection,
    arrival: Arrival,
    memory: Memory,
    *,
    now: float,
    limits: suppression.Limits,
    new_id: Callable[[], str],
) -> list[Change]:
    """Bring a stored report to today's reading; what changed, the effects with the first."""
    found = _compare(tx, arrival, memory, lock=True)
    if found is None:
        return []
    _remember(found, memory)
    delivery = found.delivery
    before = hindsight.standing(tx, delivery, now) if delivery is not None else None
    changed = [pair for pair in found.pairs if pair.changed]
    for pair in changed:
        _store(tx, pair, new_id)
    for pair in changed if delivery is not None else ():
        _follow(tx, arrival, pair, delivery, now, limits)
    withdrawn = [pair for pair in found.pairs if pair.withdraws]
    if any(pair.was_held is Reason.SOFT_BOUNCE for pair in withdrawn):
        hindsight.unmark(tx, delivery, arrival.received_at, memory, late=True)
    if withdrawn:
        hindsight.lift_unheld(tx, delivery, memory, now, limits)
    if found.raw:
        tx.execute(
            update(raw_inbound).where(raw_inbound.c.id == arrival.raw_id).values(**found.raw)
        )
    changes = [_change(arrival, pair, delivery) for pair in changed]
    if before is not None:
        after = hindsight.standing(tx, delivery, now)
        changes = _with_effects(changes, hindsight.effects(before, after), arrival, found)
    if changes:
        audit.note(tx, [audit_row(change, now) for change in changes])
    return changes


def _compare(tx: Connection, arrival: Arrival, memory: Memory, *, lock: bool) -> _Comparison | None:
    old = tx.execute(
        select(reports).where(reports.c.raw_id == arrival.raw_id).order_by(reports.c.id)
    ).all()
    # A token that ran out or a key that is gone since takes nothing back from its report.
    told = next((row.delivery_id for row in old if row.delivery_id is not None), None)
    arrival = replace(arrival, delivery_id=told or arrival.delivery_id)
    delivery = ledger.find_delivery(tx, arrival.delivery_id, lock=lock)
    if told is not None and (delivery is None or delivery.recipient == ERASED):
        return None
    state = select(raw_inbound).where(raw_inbound.c.id == arrival.raw_id)
    raw = tx.execute(state).one_or_none()
    if raw is None or raw.state == "new" or not raw.content:
        return None
    wanted = {"state": "read", **ledger.outcome(arrival.reading)}
    return _Comparison(
        delivery,
        _paired(tx, arrival, delivery, old, memory),
        {name: value for name, value in wanted.items() if getattr(raw, name) != value},
    )


def _paired(
    tx: Connection, arrival: Arrival, delivery: Any, old: Sequence[Row[Any]], memory: Memory
) -> list[_Pair]:
    """Facts by their identity; then, in order, those that are left on both sides."""
    rows = {bytes(row.identity): row for row in old}
    today: dict[bytes, _Pair] = {}
    for recipient in ledger.named(arrival.reading):
        new = ledger.report_row(arrival, recipient, delivery, "")
        held = None if delivery is None else held_against(arrival, recipient, delivery)
        today.setdefault(new["identity"], _Pair(rows.get(new["identity"]), recipient, new, held))
    known = _known_elsewhere(tx, arrival, set(today) - set(rows)) | memory.entered
    same = [pair for identity, pair in today.items() if identity in rows]
    fresh = [p for identity, p in today.items() if identity not in rows and identity not in known]
    gone = [row for identity, row in rows.items() if identity not in today]
    paired = [
        replace(pair, row=row) if pair is not None else _Pair(row, None, None, None)
        for row, pair in zip_longest(gone, fresh)
    ]
    if any(pair.row is None for pair in paired) and ledger.full(tx, delivery):
        paired = [pair for pair in paired if pair.row is not None]
    return same + paired


def _known_elsewhere(tx: Connection, arrival: Arrival, identities: set[bytes]) -> set[bytes]:
    """Facts that another report has told as well."""
    if not identities:
        return set()
    found = select(reports.c.identity).where(
        reports.c.identity.in_(sorted(identities)), reports.c.raw_id != arrival.raw_id
    )
    return {bytes(identity) for identity in tx.execute(found).scalars()}


def _remember(found: _Comparison, memory: Memory) -> None:
    for pair in found.pairs:
        if pair.withdraws and pair.row is not None:
            memory.held[pair.row.id] = pair.held


def _store(tx: Connection, pair: _Pair, new_id: Callable[[], str]) -> None:
    """The fact's row as it is read today."""
    if pair.today is None:
        assert pair.row is not None
        tx.execute(delete(reports).where(reports.c.id == pair.row.id))
    elif pair.row is None:
        tx.execute(insert(reports).values({**pair.today, "id": new_id()}))
    else:
        values = {name: value for name, value in pair.today.items() if name != "id"}
        tx.execute(update(reports).where(reports.c.id == pair.row.id).values(**values))


def _follow(
    tx: Connection,
    arrival: Arrival,
    pair: _Pair,
    delivery: Any,
    now: float,
    limits: suppression.Limits,
) -> None:
    """What follows from a fact that is new, or another than it was."""
    if pair.recipient is None:
        return
    hold = pair.held is not None and hindsight.may_hold(
        tx, delivery, pair.held, arrival.received_at, now
    )
    if pair.reshaped:
        follow(tx, arrival, pair.recipient, delivery, now, limits, hold=hold)
        return
    _explain_anew(tx, pair, delivery)
    if hold and pair.held is not pair.was_held:
        blame(tx, arrival, pair.recipient, delivery, now, limits)


def _explain_anew(tx: Connection, pair: _Pair, delivery: Any) -> None:
    """The delivery's own columns, where this report is what they tell of."""
    assert pair.row is not None
    assert pair.today is not None
    with cohorts.following(tx, [delivery.id]):
        tx.execute(
            update(deliveries)
            .where(
                deliveries.c.id == delivery.id,
                deliveries.c.rule == pair.row.rule,
                deliveries.c.category == pair.row.category,
                deliveries.c.reply == pair.row.reply,
            )
            .values({name: pair.today[name] for name in ("category", "fault", "rule")})
        )


def _change(arrival: Arrival, pair: _Pair, delivery: Any) -> Change:
    new = pair.today
    return Change(
        at=arrival.received_at,
        source="report",
        raw_id=arrival.raw_id,
        delivery_id=None if delivery is None else delivery.id,
        recipient=None if delivery is None else delivery.recipient,
        old=None if pair.row is None else Judged.of(pair.row),
        new=None if new is None else Judged(**{name: new[name] for name in _JUDGED}),
        entered=new["identity"] if pair.row is None and new is not None else None,
    )


_JUDGED = ("kind", "category", "fault", "severity", "rule", "address")


def _with_effects(
    changes: list[Change],
    effects: tuple[Effect, ...],
    arrival: Arrival,
    found: _Comparison,
) -> list[Change]:
    if not effects:
        return changes
    if not changes:  # the same words, and a rule that holds less than it did
        pair = next(pair for pair in found.pairs if pair.withdraws)
        changes = [_change(arrival, pair, found.delivery)]
    return [replace(changes[0], effects=effects), *changes[1:]]
