"""An address: what became of the last mail to it, whether mail is withheld, and what to do.

The answer comes first, then the timeline of the newest message, the other messages, the entries on
the suppression list and who changed them.  Suppressing and lifting need a reason, which is audited
with who gave it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection
from starlette.responses import Response

from analysis import browsing, incident_view, incidents, lookup
from analysis import suppression as listing
from analysis.address import Address, AddressError, address_hash, parse
from analysis.explain import explain
from analysis.lookup import Json
from analysis.problem import Problem
from analysis.suppression import EVERY_STREAM, Lift, Reason, Suppression
from analysis.telling import tell
from carom.console.visit import Visit

OTHERS = 20
CHANGES = 10


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of an address."""

    delivery: Any
    standing: list[Suppression]
    timeline: list[Json]
    others: list[Any]
    changes: list[Any]
    incident: Any


def known(tx: Connection, hashed: bytes, now: float) -> Known:
    delivery = lookup.newest_delivery(tx, hashed)
    timeline = lookup.timeline(tx, delivery.message_id) if delivery is not None else None
    return Known(
        delivery,
        listing.standing(tx, [hashed], now).get(hashed, []),
        timeline or [],
        browsing.to_address(tx, hashed, OTHERS),
        browsing.audit_before(tx, subject=hashed.hex(), limit=CHANGES),
        incidents.awaited(tx, delivery),
    )


async def show(visit: Visit) -> Response:
    given = visit.ask("address").replace(" ", "+")
    if not given:
        return visit.go("")
    address = _read(visit, given)
    hashed = address_hash(address.key)
    found = await visit.desk.store.read(lambda tx: known(tx, hashed, visit.now))
    lang = visit.lang
    entry = next(iter(found.standing), None)
    return visit.page(
        "person.html",
        address=address.wire,
        found=found,
        many=len({one.get("recipient") for one in found.timeline} - {None}) > 1,
        told=explain(address.wire, found.delivery, found.standing, lang=lang, now=visit.now),
        answer=tell(address.wire, found.delivery, entry, lang=lang, now=visit.now),
        streams=_streams(visit, found.delivery),
        every=EVERY_STREAM,
        incident=incident_view.told(found.incident, lang),
    )


async def suppress(visit: Visit) -> Response:
    """Put an address on the list by hand, with a reason."""
    address = _read(visit, visit.given("address"))
    why = _why(visit)
    stream = visit.given("stream", 64) or EVERY_STREAM
    if stream != EVERY_STREAM and not listing_stream(stream):
        raise Problem(422, "invalid", visit.words("trouble.stream"))
    entry = Suppression(
        address_hash=address_hash(address.key),
        stream=stream,
        reason=Reason.MANUAL,
        address=address.wire,
        since=visit.now,
        until=visit.desk.limits.until(Reason.MANUAL, visit.now),
        evidence=why,
        actor=visit.actor,
    )
    await visit.desk.store.write(lambda tx: listing.suppress(tx, [entry]))
    return visit.go(f"/address?address={quote(address.wire, safe='')}&done=suppressed")


async def lift(visit: Visit) -> Response:
    """Take an address off the list for one reason in one stream, or for all, with a reason."""
    address = _read(visit, visit.given("address"))
    reason = visit.given("reason", 16)
    order = Lift(
        address_hash(address.key),
        actor=visit.actor,
        why=_why(visit),
        at=visit.now,
        reasons=frozenset({Reason(reason)} if reason in set(Reason) else Reason),
        stream=visit.given("stream", 64) or None,
    )
    lifted = await visit.desk.store.write(lambda tx: listing.lift(tx, order))
    done = "lifted" if lifted else "nothing_lifted"
    return visit.go(f"/address?address={quote(address.wire, safe='')}&done={done}")


def listing_stream(name: str) -> bool:
    """Whether a stream may be called so."""
    return (
        0 < len(name) <= 32 and name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    )


def _read(visit: Visit, text: str) -> Address:
    try:
        return parse(text)
    except AddressError as error:
        raise Problem(
            422, "invalid", visit.words("trouble.address", why=str(error)), field="address"
        ) from error


def _why(visit: Visit) -> str:
    why = visit.given("why")
    if not why:
        raise Problem(422, "invalid", visit.words("trouble.why"), field="why")
    return why


def _streams(visit: Visit, delivery: Any) -> list[str]:
    """Streams to choose from: those of the settings and the one last written in."""
    named = {*visit.desk.streams, *([delivery.stream] if delivery is not None else [])}
    return sorted(named)
